//! From what a stage returned to what the engine hears and the cache gets: exactly the declared outputs, of the declared
//! types, as bytes with their digests.

use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_cache::Digest;
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::OutputArtifact;
use ddpipe_stages::artifact::TensorFile;
use ddpipe_stages::context::{Artifact, Outputs};
use indexmap::IndexMap;
use std::sync::Arc;
use tch::Device;

/// The outputs of a job, checked and serialised.
#[derive(Debug, Default)]
pub struct Sealed {
    /// For the engine, in the order of the declaration.
    pub described: IndexMap<String, OutputArtifact>,
    /// For the cache.
    pub bytes: Vec<(Digest, Arc<Vec<u8>>)>,
    /// For the stages to come, on the device.
    pub tensors: Vec<(Digest, TensorFile)>,
}

/// Checks outputs against their declaration and makes bytes of them.
pub fn seal(
    made: IndexMap<String, Artifact>,
    declared: &IndexMap<String, ArtifactType>,
    device: Device,
) -> Result<Sealed> {
    if let Some(name) = made.keys().find(|name| !declared.contains_key(*name)) {
        bail!("made an output {name:?} that its kind does not declare; declared: {}", names(declared));
    }
    let mut made = made;
    let mut sealed = Sealed { described: IndexMap::new(), bytes: Vec::new(), tensors: Vec::new() };
    for (name, &wanted) in declared {
        let Some(artifact) = made.shift_remove(name) else { bail!("did not make its output {name:?} ({wanted})") };
        let found = kind_of(&artifact);
        ensure!(found == wanted, "output {name:?} is a {found}, but its kind declares a {wanted}");
        let resident = matches!(artifact, Artifact::Tensors(_));
        let bytes = to_bytes(artifact).with_context(|| format!("output {name:?}"))?;
        let digest = Digest::of(&bytes);
        if resident {
            // What stays is what a reader of the bytes would get, in order, layout and all: whether the next stage
            // finds it here or in the cache can then make no difference.
            let file = TensorFile::from_bytes(&bytes, device).with_context(|| format!("output {name:?}"))?;
            sealed.tensors.push((digest, file));
        }
        let described = OutputArtifact { digest, bytes: bytes.len() as u64, artifact: wanted };
        sealed.described.insert(name.clone(), described);
        sealed.bytes.push((digest, Arc::new(bytes)));
    }
    Ok(sealed)
}

/// Takes out the scalars that JSON cannot hold (NaN, infinity), and names them.
pub fn unspeakable(outputs: &mut Outputs) -> Vec<String> {
    let lost = outputs.metrics.iter().filter(|(_, value)| !value.is_finite());
    let lost = lost.map(|(name, value)| format!("{name} is {value}, which is no result; it is left out")).collect();
    outputs.metrics.retain(|_, value| value.is_finite());
    lost
}

fn kind_of(artifact: &Artifact) -> ArtifactType {
    match artifact {
        Artifact::Tensors(file) => file.artifact,
        Artifact::Json(kind, _) | Artifact::Bytes(kind, _) => *kind,
    }
}

fn to_bytes(artifact: Artifact) -> Result<Vec<u8>> {
    match artifact {
        Artifact::Tensors(file) => file.to_bytes(),
        Artifact::Json(_, value) => Ok(serde_json::to_vec(&value)?),
        Artifact::Bytes(_, bytes) => Ok(bytes),
    }
}

fn names(declared: &IndexMap<String, ArtifactType>) -> String {
    declared.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tch::Tensor;

    fn declared(outputs: &[(&str, ArtifactType)]) -> IndexMap<String, ArtifactType> {
        outputs.iter().map(|(name, kind)| (name.to_string(), *kind)).collect()
    }

    #[test]
    fn what_stays_resident_equals_what_the_bytes_say() {
        let grown = Tensor::arange(6, (tch::Kind::Float, Device::Cpu)).reshape([2, 3]).set_requires_grad(true);
        let file = TensorFile::new(ArtifactType::Model, json!({ "network": null }))
            .with("b", grown.transpose(0, 1))
            .with("a", Tensor::from(1.5f64));
        let outputs = Outputs::default().tensors("model", file);
        let sealed = seal(outputs.artifacts, &declared(&[("model", ArtifactType::Model)]), Device::Cpu).unwrap();
        let (digest, resident) = &sealed.tensors[0];
        assert_eq!(*digest, Digest::of(&sealed.bytes[0].1));
        assert_eq!(resident.tensors.keys().collect::<Vec<_>>(), ["a", "b"]);
        let b = resident.get("b").unwrap();
        assert!(b.is_contiguous() && !b.requires_grad());
        assert_eq!(resident.to_bytes().unwrap(), **sealed.bytes[0].1);
    }

    #[test]
    fn missing_extra_and_mistyped_outputs_are_named() {
        let metrics = || Outputs::default().json("metrics", ArtifactType::Metrics, json!({})).artifacts;
        let message = |made, outputs: &[(&str, ArtifactType)]| {
            seal(made, &declared(outputs), Device::Cpu).unwrap_err().to_string()
        };
        let text = message(metrics(), &[("metrics", ArtifactType::Metrics), ("image", ArtifactType::Image)]);
        assert_eq!(text, "did not make its output \"image\" (image)");
        let text = message(metrics(), &[("image", ArtifactType::Image)]);
        assert_eq!(text, "made an output \"metrics\" that its kind does not declare; declared: image");
        let text = message(metrics(), &[("metrics", ArtifactType::Table)]);
        assert_eq!(text, "output \"metrics\" is a metrics, but its kind declares a table");
    }

    #[test]
    fn scalars_that_json_cannot_hold_are_left_out_by_name() {
        let mut outputs = Outputs::default().metric("accuracy", 0.5).metric("loss", f64::NAN);
        assert_eq!(unspeakable(&mut outputs), ["loss is NaN, which is no result; it is left out"]);
        assert_eq!(outputs.metrics.keys().collect::<Vec<_>>(), ["accuracy"]);
    }
}
