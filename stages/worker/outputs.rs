//! From what a stage returned to what the engine hears and the cache gets: exactly the declared outputs, of the declared
//! types, with their digests, and without a second copy of what is large.

use crate::artifact::{Content, TensorFile};
use crate::context::{Artifact, Outputs};
use crate::worker::pending::Pending;
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_cache::Digest;
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::OutputArtifact;
use indexmap::IndexMap;
use tch::Device;

/// The outputs of a job, checked and hashed.
#[derive(Debug, Default)]
pub struct Sealed {
    /// The outputs as the engine is told of them, in the order of the declaration.
    pub described: IndexMap<String, OutputArtifact>,
    /// The outputs as the cache gets them.
    pub pending: Vec<(Digest, Pending)>,
    /// The tensors for the stages to come, on the device.
    pub tensors: Vec<(Digest, TensorFile)>,
}

/// Checks outputs against their declaration and hashes what their bytes will be.
pub fn seal(
    made: IndexMap<String, Artifact>,
    declared: &IndexMap<String, ArtifactType>,
    device: Device,
) -> Result<Sealed> {
    if let Some(name) = made.keys().find(|name| !declared.contains_key(*name)) {
        bail!("made an output {name:?} that its kind does not declare; declared: {}", names(declared));
    }
    let mut made = made;
    let mut sealed = Sealed { described: IndexMap::new(), pending: Vec::new(), tensors: Vec::new() };
    for (name, &wanted) in declared {
        let Some(artifact) = made.shift_remove(name) else { bail!("did not make its output {name:?} ({wanted})") };
        let found = kind_of(&artifact);
        ensure!(found == wanted, "output {name:?} is a {found}, but its kind declares a {wanted}");
        let mut tensors = None;
        let context = || format!("output {name:?}");
        let pending = match artifact {
            Artifact::Tensors(file) => {
                // What stays is what a reader of the bytes would get, in order, layout and all: whether the next stage
                // finds it here or in the cache can then make no difference.
                let file = file.settled().with_context(context)?;
                let pieces = file.pieces().with_context(context)?;
                tensors = Some(file);
                Pending::Tensors(pieces)
            }
            Artifact::Json(_, value) => serde_json::to_vec(&value)?.into(),
            Artifact::Bytes(_, bytes) => bytes.into(),
            Artifact::File(_, file) => Pending::Content(Content::of_file(file).with_context(context)?),
        };
        let digest = pending.digest().with_context(context)?;
        if let Some(file) = tensors {
            sealed.tensors.push((digest, file.to_device(device)));
        }
        let described = OutputArtifact { digest, bytes: pending.len(), artifact: wanted };
        sealed.described.insert(name.clone(), described);
        sealed.pending.push((digest, pending));
    }
    Ok(sealed)
}

/// Takes out the scalars that JSON cannot hold (NaN, infinity), and names them.
pub fn drop_non_finite(outputs: &mut Outputs) -> Vec<String> {
    let lost = outputs.metrics.iter().filter(|(_, value)| !value.is_finite());
    let lost = lost.map(|(name, value)| format!("{name} is {value}, which is no result; it is left out")).collect();
    outputs.metrics.retain(|_, value| value.is_finite());
    lost
}

fn kind_of(artifact: &Artifact) -> ArtifactType {
    match artifact {
        Artifact::Tensors(file) => file.artifact,
        Artifact::Json(kind, _) | Artifact::Bytes(kind, _) | Artifact::File(kind, _) => *kind,
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
        let bytes = sealed.pending[0].1.to_vec().unwrap();
        assert_eq!(*digest, Digest::of(&bytes));
        assert_eq!(resident.tensors.keys().collect::<Vec<_>>(), ["a", "b"]);
        let b = resident.get("b").unwrap();
        assert!(b.is_contiguous() && !b.requires_grad());
        assert_eq!(resident.to_bytes().unwrap(), *bytes);
        let back = TensorFile::from_bytes(&bytes, Device::Cpu).unwrap();
        assert_eq!(back.tensors.keys().collect::<Vec<_>>(), resident.tensors.keys().collect::<Vec<_>>());
    }

    #[test]
    fn tensors_are_kept_and_written_from_the_memory_that_the_stage_filled() {
        let images = Tensor::ones([4, 3, 8, 8], (tch::Kind::Uint8, Device::Cpu));
        let place = images.data_ptr();
        let outputs =
            Outputs::default().tensors("set", TensorFile::new(ArtifactType::Dataset, json!({})).with("i", images));
        let sealed = seal(outputs.artifacts, &declared(&[("set", ArtifactType::Dataset)]), Device::Cpu).unwrap();
        assert_eq!(sealed.tensors[0].1.get("i").unwrap().data_ptr(), place);
        let Pending::Tensors(pieces) = &sealed.pending[0].1 else { panic!("not in pieces") };
        assert_eq!(pieces.parts().unwrap()[1].as_ptr(), place.cast::<u8>().cast_const());
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
        assert_eq!(drop_non_finite(&mut outputs), ["loss is NaN, which is no result; it is left out"]);
        assert_eq!(outputs.metrics.keys().collect::<Vec<_>>(), ["accuracy"]);
    }
}
