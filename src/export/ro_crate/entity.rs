//! The entities of a crate: JSON-LD objects, each once, in the order in which they were added, and the names that they may have.

use crate::export::name::plain;
use crate::visible::visible;
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::path::Path;

/// The meaning of the properties.
const CONTEXT: &str = "https://w3id.org/ro/crate/1.1/context";
/// One that RO-Crate 1.1 has no term for.
const SHA256: &str = "https://w3id.org/ro/terms/workflow-run#sha256";

/// The entities in the making.
#[derive(Default)]
pub struct Crate {
    entities: IndexMap<String, Value>,
    files: Vec<String>,
}

impl Crate {
    /// Adds an entity, and gives its name. One that is there already stays.
    pub fn add(&mut self, entity: Value) -> String {
        let id = entity["@id"].as_str().unwrap_or_default().to_string();
        self.entities.entry(id.clone()).or_insert(entity);
        id
    }

    /// Adds a file that lies in the crate.
    pub fn add_file(&mut self, entity: Value) -> String {
        let id = self.add(entity);
        if !self.files.contains(&id) {
            self.files.push(id.clone());
        }
        id
    }

    /// The files that lie in the crate.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The whole document.
    pub fn document(&self) -> Value {
        let graph: Vec<Value> = self.entities.values().map(plainest).collect();
        json!({ "@context": [CONTEXT, { "sha256": SHA256 }], "@graph": graph })
    }
}

/// An entity in which a list of one is the one, as RO-Crate recommends it.
fn plainest(entity: &Value) -> Value {
    let mut entity = entity.clone();
    for value in entity.as_object_mut().into_iter().flat_map(|entity| entity.values_mut()) {
        if value.as_array().is_some_and(|all| all.len() == 1) {
            *value = value[0].take();
        }
    }
    entity
}

/// A reference to an entity.
pub fn reference(id: &str) -> Value {
    json!({ "@id": id })
}

/// The name of an entity that is no file: `#node-evaluate-arch=mlp`.
pub fn id_of(what: &str, text: &str) -> String {
    format!("#{what}-{}", plain(text, "-_.=,"))
}

/// The path of a file in the crate, of plain letters.
pub fn path_in(folder: &str, path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        std::path::Component::Normal(part) => Some(plain(&part.to_string_lossy(), "-_.=,")),
        _ => None,
    });
    std::iter::once(folder.to_string()).chain(parts).collect::<Vec<_>>().join("/")
}

/// A text of others, in which what is obeyed instead of shown is written out.
pub fn text(text: &str) -> String {
    visible(text).into_owned()
}

/// An address in which nothing stands that addresses do not have.
pub fn address(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,;=%".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
