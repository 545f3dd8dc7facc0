//! One golden case: its description and its tensors. It answers with a message that names the case and the key, so
//! that a case of a new form says what it lacks.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// One golden case.
pub struct Case {
    /// `family/name`, for messages.
    pub id: String,
    /// The whole description.
    pub json: Value,
    /// Where the description lies; files that belong to the case lie beside it.
    pub path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl Case {
    /// Reads `NAME.json` and, where there is one, `NAME.safetensors`.
    pub fn load(path: &Path) -> Result<Case, String> {
        let text = std::fs::read_to_string(path).map_err(|why| why.to_string())?;
        let json: Value = serde_json::from_str(&text).map_err(|why| why.to_string())?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let family = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        let data = path.with_extension("safetensors");
        let tensors = if data.exists() { read_tensors(&data)? } else { BTreeMap::new() };
        if let Some(listed) = json["tensors"].as_object()
            && let Some(missing) = listed.keys().find(|name| !tensors.contains_key(*name))
        {
            return Err(format!("tensor {missing:?} is described but not in {}", data.display()));
        }
        Ok(Case { id: format!("{family}/{name}"), json, path: path.to_owned(), tensors })
    }

    /// A tensor as stored (inputs float32 or int64, expected values float64), or a panic that names it.
    pub fn tensor(&self, name: &str) -> Tensor {
        self.get(name).unwrap_or_else(|| panic!("{}: no tensor {name:?}", self.id))
    }

    /// A tensor as stored, where there is one of that name.
    pub fn get(&self, name: &str) -> Option<Tensor> {
        self.tensors.get(name).map(Tensor::shallow_clone)
    }

    /// The stored tensors whose names start with `prefix`, by the rest of their names: `with_prefix("w.")` is the
    /// state dict of a network.
    pub fn with_prefix(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let rest =
            |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix(prefix)?.into(), tensor.shallow_clone()));
        self.tensors.iter().filter_map(rest).collect()
    }

    /// The names of the tensors with the role `expected`, sorted.
    pub fn expected(&self) -> Vec<String> {
        let Some(listed) = self.json["tensors"].as_object() else { return Vec::new() };
        let mut names: Vec<_> =
            listed.iter().filter(|(_, t)| t["role"] == "expected").map(|(n, _)| n.clone()).collect();
        names.sort();
        names
    }

    /// What the description says about a tensor; empty when it says nothing.
    pub fn meaning(&self, name: &str) -> &str {
        self.json["tensors"][name]["meaning"].as_str().unwrap_or_default()
    }

    /// A number of the description, by JSON pointer (`/network/channel`) or by name at the top.
    pub fn number(&self, key: &str) -> f64 {
        self.value(key).as_f64().unwrap_or_else(|| panic!("{}: {key} is not a number", self.id))
    }

    /// A whole number of the description.
    pub fn integer(&self, key: &str) -> i64 {
        self.value(key).as_i64().unwrap_or_else(|| panic!("{}: {key} is not a whole number", self.id))
    }

    /// A text of the description.
    pub fn text(&self, key: &str) -> &str {
        self.value(key).as_str().unwrap_or_else(|| panic!("{}: {key} is not a text", self.id))
    }

    /// A list of the description.
    pub fn list(&self, key: &str) -> &[Value] {
        self.value(key).as_array().unwrap_or_else(|| panic!("{}: {key} is not a list", self.id))
    }

    /// A list of whole numbers, a shape for instance.
    pub fn integers(&self, key: &str) -> Vec<i64> {
        let whole = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("{}: {key}: {value}", self.id));
        self.list(key).iter().map(whole).collect()
    }

    /// Whether the description has the key, with another value than null.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some_and(|value| !value.is_null())
    }

    /// Any value of the description.
    pub fn value(&self, key: &str) -> &Value {
        self.find(key).unwrap_or_else(|| panic!("{}: the description has no {key}", self.id))
    }

    fn find(&self, key: &str) -> Option<&Value> {
        if key.starts_with('/') { self.json.pointer(key) } else { self.json.get(key) }
    }
}

fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, String> {
    let at = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let bytes = std::fs::read(path).map_err(|why| at(&why))?;
    let file = safetensors::SafeTensors::deserialize(&bytes).map_err(|why| at(&why))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        use safetensors::Dtype;
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::I64 => Kind::Int64,
            Dtype::I32 => Kind::Int,
            Dtype::U8 => Kind::Uint8,
            Dtype::BOOL => Kind::Bool,
            other => return Err(at(&format!("tensor {name:?} is of type {other:?}, which no case uses"))),
        };
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind).map_err(|why| at(&why))?;
        tensors.insert(name.to_string(), tensor);
    }
    Ok(tensors)
}
