//! Named tensors with a description, as one safetensors file. The same content always gives the same bytes, because the
//! keys of all later stages depend on their digest. The types of artifacts give the tensors their meaning.

use super::{Pieces, memory};
use anyhow::{Context as _, Result, bail};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};
use serde_json::{Value, json};
use std::collections::HashMap;
use tch::{Device, Kind, Tensor};

/// The single metadata entry that ddpipe writes. The safetensors crate does not order its metadata, so a second entry
/// would make the bytes differ from run to run.
const ENTRY: &str = ddpipe_interface::tensor_file::ENTRY;

/// Named tensors, the type of the artifact, and a JSON object that describes it.
#[derive(Debug)]
pub struct TensorFile {
    /// The type of the artifact.
    pub artifact: ArtifactType,
    /// The tensors by name.
    pub tensors: IndexMap<String, Tensor>,
    /// The description that the type of the artifact defines: a JSON object.
    pub about: Value,
}

impl TensorFile {
    /// A file of this type without tensors.
    pub fn new(artifact: ArtifactType, about: Value) -> Self {
        TensorFile { artifact, tensors: IndexMap::new(), about }
    }

    /// Adds a tensor.
    pub fn with(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.tensors.insert(name.into(), tensor);
        self
    }

    /// The tensor of this name, or an error that lists the names in the file.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| {
            let names: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
            format!("the {} has no tensor {name:?}; it has {}", self.artifact, names.join(", "))
        })
    }

    /// The number of bytes of all tensors together.
    pub fn size(&self) -> u64 {
        self.tensors.values().map(|tensor| (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64).sum()
    }

    /// The same content on another device. Tensors that are there already are shared, not copied.
    pub fn to_device(&self, device: Device) -> TensorFile {
        let tensors = self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.to_device(device))).collect();
        TensorFile { artifact: self.artifact, tensors, about: self.about.clone() }
    }

    /// The same content as it would be read from the file: tensors sorted by name, detached, contiguous, on the CPU,
    /// each in its own memory. Tensors that are so already are shared.
    pub fn settled(&self) -> Result<TensorFile> {
        let mut names: Vec<&String> = self.tensors.keys().collect();
        names.sort_unstable();
        let settled = |name: &String| Ok((name.clone(), memory::settled(&self.tensors[name])?));
        let tensors = names.into_iter().map(settled).collect::<Result<_>>()?;
        Ok(TensorFile { artifact: self.artifact, tensors, about: self.about.clone() })
    }

    /// The safetensors bytes as header and tensors; tensors that are [`settled`](Self::settled) are not copied.
    pub fn pieces(&self) -> Result<Pieces> {
        encode(&self.tensors, &description(self.artifact, &self.about))
    }

    /// The safetensors bytes, copied into one buffer.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.pieces()?.to_vec()
    }

    /// Reads safetensors bytes that ddpipe wrote and puts the tensors on a device.
    pub fn from_bytes(bytes: &[u8], device: Device) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).context("not a safetensors file")?;
        let (artifact, about) = described(&header)?;
        let tensors = named_tensors(bytes, device)?;
        Ok(TensorFile { artifact, tensors, about })
    }
}

/// The safetensors bytes of named tensors with a description, a JSON object. Tensors that are settled are not copied.
pub(crate) fn encode(tensors: &IndexMap<String, Tensor>, description: &Value) -> Result<Pieces> {
    let mut held: Vec<(&String, Dtype, Tensor)> = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        held.push((name, dtype(tensor.kind())?, memory::settled(tensor)?));
    }
    // The order in which the safetensors crate writes, in which every tensor is aligned to the size of its numbers.
    held.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let (mut listed, mut offset) = (Vec::with_capacity(held.len()), 0);
    for (name, dtype, tensor) in &held {
        let end = offset + memory::bytes(tensor)?.len();
        let shape = tensor.size().iter().map(|&axis| axis as usize).collect();
        listed.push(((*name).clone(), TensorInfo { dtype: *dtype, shape, data_offsets: (offset, end) }));
        offset = end;
    }
    Pieces::new(header(description, listed)?, held.into_iter().map(|(_, _, tensor)| tensor).collect())
}

/// Reads tensors and description from the bytes that [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8], device: Device) -> Result<(IndexMap<String, Tensor>, Value)> {
    let (_, header) = SafeTensors::read_metadata(bytes).context("not a safetensors file")?;
    Ok((named_tensors(bytes, device)?, entry(&header)?))
}

/// Reads the tensors of any safetensors file, also one that ddpipe did not write, sorted by name, onto a device.
pub fn named_tensors(bytes: &[u8], device: Device) -> Result<IndexMap<String, Tensor>> {
    let file = SafeTensors::deserialize(bytes).context("not a safetensors file")?;
    let mut tensors = IndexMap::new();
    let mut names: Vec<&str> = file.names();
    names.sort_unstable();
    for name in names {
        let view = file.tensor(name)?;
        let shape: Vec<i64> = view.shape().iter().map(|&axis| axis as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind(view.dtype())?)
            .with_context(|| format!("tensor {name:?}"))?;
        tensors.insert(name.to_string(), tensor.f_to_device(device)?);
    }
    Ok(tensors)
}

/// The description of an artifact of this type.
pub(super) fn description(artifact: ArtifactType, about: &Value) -> Value {
    json!({ "type": artifact, "about": about })
}

/// The bytes before the tensors of a file: the length of the header, and the header with the description. `listed` is
/// in the order in which the tensors follow.
pub(super) fn header(description: &Value, listed: Vec<(String, TensorInfo)>) -> Result<Vec<u8>> {
    let metadata = Metadata::new(Some(HashMap::from([(ENTRY.to_string(), description.to_string())])), listed)?;
    let mut text = serde_json::to_vec(&metadata)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    Ok(header)
}

/// The description in a header; an error if ddpipe did not write the file.
fn entry(header: &Metadata) -> Result<Value> {
    match header.metadata().as_ref().and_then(|metadata| metadata.get(ENTRY)) {
        Some(text) => serde_json::from_str(text).context("the description in the header is not JSON"),
        None => bail!("the file was not written by ddpipe: its header has no {ENTRY:?} entry"),
    }
}

/// The type and the description of the artifact in a header.
pub(super) fn described(header: &Metadata) -> Result<(ArtifactType, Value)> {
    let description = entry(header)?;
    let artifact = serde_json::from_value(description["type"].clone()).context("the header names no known type")?;
    Ok((artifact, description["about"].clone()))
}

fn dtype(kind: Kind) -> Result<Dtype> {
    Ok(match kind {
        Kind::Uint8 => Dtype::U8,
        Kind::Int64 => Dtype::I64,
        Kind::Int => Dtype::I32,
        Kind::Int16 => Dtype::I16,
        Kind::Int8 => Dtype::I8,
        Kind::Bool => Dtype::BOOL,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Float => Dtype::F32,
        Kind::Double => Dtype::F64,
        other => bail!("tensors of type {other:?} cannot be stored"),
    })
}

fn kind(dtype: Dtype) -> Result<Kind> {
    Ok(match dtype {
        Dtype::U8 => Kind::Uint8,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::BOOL => Kind::Bool,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        other => bail!("tensors of type {other:?} cannot be read"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    #[test]
    fn the_same_content_gives_the_same_bytes_and_reads_back() {
        let make = || {
            TensorFile::new(ArtifactType::Dataset, json!({ "b": 1, "a": [0.1307, 2] }))
                .with("labels", Tensor::from_slice(&[3i64, 1, 2]))
                .with("images", Tensor::from_slice(&[0.5f32, -1.0, f32::MIN_POSITIVE]).reshape([3, 1]))
        };
        let bytes = make().to_bytes().unwrap();
        assert_eq!(bytes, make().to_bytes().unwrap());
        let back = TensorFile::from_bytes(&bytes, Device::Cpu).unwrap();
        assert_eq!(back.about, make().about);
        assert_eq!(back.get("images").unwrap().size(), [3, 1]);
        assert_eq!(back.to_bytes().unwrap(), bytes);
    }

    /// The digests of files that earlier versions of ddpipe wrote do not change.
    #[test]
    fn the_bytes_are_those_that_the_safetensors_crate_writes() {
        let grown = Tensor::arange(6, (Kind::Float, Device::Cpu)).reshape([2, 3]).set_requires_grad(true);
        let file = TensorFile::new(ArtifactType::Model, json!({ "network": "mlp" }))
            .with("b", grown.transpose(0, 1))
            .with("labels", Tensor::from_slice(&[7i64, 8]))
            .with("a", Tensor::from_slice(&[1u8, 2, 3]))
            .with("none", Tensor::zeros([0, 3], (Kind::Float, Device::Cpu)))
            .with("one", Tensor::from(1.5f64));
        let held: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = file
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let shape = tensor.size().iter().map(|&axis| axis as usize).collect();
                let plain = tensor.detach().contiguous();
                let mut bytes = vec![0u8; plain.numel() * plain.kind().elt_size_in_bytes()];
                plain.copy_data_u8(&mut bytes, plain.numel());
                (name.clone(), dtype(tensor.kind()).unwrap(), shape, bytes)
            })
            .collect();
        let views = held
            .iter()
            .map(|(name, dtype, shape, bytes)| (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        let description = json!({ "type": "model", "about": { "network": "mlp" } }).to_string();
        let metadata = HashMap::from([(ENTRY.to_string(), description)]);
        let theirs = safetensors::serialize(views, Some(metadata)).unwrap();
        assert_eq!(file.to_bytes().unwrap(), theirs);
        let (pieces, mut read) = (file.pieces().unwrap(), Vec::new());
        std::io::Read::read_to_end(&mut pieces.reader().unwrap(), &mut read).unwrap();
        assert_eq!((pieces.len(), read), (theirs.len(), theirs));
        let settled = file.settled().unwrap();
        assert_eq!(settled.tensors.keys().collect::<Vec<_>>(), ["a", "b", "labels", "none", "one"]);
        assert_eq!(settled.to_bytes().unwrap(), file.to_bytes().unwrap());
    }

    #[test]
    fn a_foreign_or_broken_file_is_an_error() {
        assert!(TensorFile::from_bytes(b"", Device::Cpu).is_err());
        let foreign = safetensors::serialize(Vec::<(&str, TensorView)>::new(), None).unwrap();
        let error = TensorFile::from_bytes(&foreign, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("not written by ddpipe"), "{error}");
    }
}
