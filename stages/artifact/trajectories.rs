//! Trajectories: the parameters that networks had after each epoch of their training, in one safetensors file with one
//! tensor. They are too large for memory: they are written and read one parameter vector at a time, in any order, and a
//! vector may be written again.
//!
//! Legend: E experts, T epochs, P parameters.

use super::{Content, memory};
use crate::artifact::tensor_file::{described, description, header};
use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::Digest;
use ddpipe_interface::ArtifactType;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use tch::{Kind, Tensor};

/// The name of the tensor \[E,T+1,P\] float32.
const NAME: &str = "parameters";
const BYTES: u64 = size_of::<f32>() as u64;
/// The largest number of bytes of a header, as safetensors limits it.
const LONGEST_HEADER: u64 = 100_000_000;

/// The numbers of experts, epochs and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrajectoryShape {
    /// The number of experts E.
    pub experts: u64,
    /// The number of epochs T of each expert. There are T+1 parameter vectors, the first before training.
    pub epochs: u64,
    /// The number of parameters P.
    pub parameters: u64,
}

impl TrajectoryShape {
    /// The offset of an expert's parameters after `epoch` epochs, in bytes from the start of the tensor. An error if
    /// there is no such expert or epoch.
    fn offset(&self, expert: u64, epoch: u64) -> Result<u64> {
        ensure!(
            expert < self.experts && epoch <= self.epochs,
            "expert {expert} after {epoch} epochs, of {} experts with {} epochs",
            self.experts,
            self.epochs
        );
        Ok((expert * (self.epochs + 1) + epoch) * self.parameters * BYTES)
    }

    fn bytes(&self) -> Result<u64> {
        let vectors = self.epochs.checked_add(1).and_then(|stamps| stamps.checked_mul(self.experts));
        let bytes = vectors.and_then(|vectors| vectors.checked_mul(self.parameters)?.checked_mul(BYTES));
        bytes.filter(|&bytes| i64::try_from(bytes).is_ok()).context("more trajectories than a file can hold")
    }
}

/// Writes trajectories into a file.
#[derive(Debug)]
pub struct TrajectoryWriter {
    file: File,
    shape: TrajectoryShape,
    start: u64,
    /// Of every vector that was written, by expert and epoch.
    written: RefCell<BTreeMap<(u64, u64), Digest>>,
}

/// The digest of one vector in a file of trajectories, as a checkpoint keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenVector {
    expert: u64,
    epoch: u64,
    digest: Digest,
}

impl TrajectoryWriter {
    /// Writes the header into `file` and sets its length. Vectors that are in a file of the same header and shape
    /// already are kept. `about` is the description of the artifact.
    pub fn new(file: File, about: &Value, shape: TrajectoryShape) -> Result<Self> {
        let axes = [shape.experts, shape.epochs + 1, shape.parameters];
        let axes = axes.map(|axis| usize::try_from(axis).unwrap_or(usize::MAX));
        let end = usize::try_from(shape.bytes()?)?;
        let info = TensorInfo { dtype: Dtype::F32, shape: axes.to_vec(), data_offsets: (0, end) };
        let header = header(&description(ArtifactType::Trajectories, about), vec![(NAME.to_string(), info)])?;
        let start = header.len() as u64;
        file.write_all_at(&header, 0)?;
        file.set_len(start + shape.bytes()?)?;
        Ok(TrajectoryWriter { file, shape, start, written: RefCell::default() })
    }

    /// Writes the parameters (\[P\]) of an expert after `epoch` epochs.
    pub fn put(&self, expert: u64, epoch: u64, parameters: &Tensor) -> Result<()> {
        let vector = memory::settled(&parameters.f_to_kind(Kind::Float)?)?;
        ensure!(vector.size() == [self.shape.parameters as i64], "{:?} parameters", vector.size());
        let place = self.start + self.shape.offset(expert, epoch)?;
        let bytes = memory::bytes(&vector)?;
        self.file.write_all_at(bytes, place).context("could not write a trajectory")?;
        self.written.borrow_mut().insert((expert, epoch), Digest::of(bytes));
        Ok(())
    }

    /// The digests of all vectors that were written so far: what a checkpoint keeps, so that the file is not trusted when
    /// the stage continues.
    pub fn written(&self) -> Vec<WrittenVector> {
        let written = self.written.borrow();
        written.iter().map(|(&(expert, epoch), &digest)| WrittenVector { expert, epoch, digest }).collect()
    }

    /// Whether the file still holds these vectors; if so, they count as written.
    pub fn holds(&self, vectors: &[WrittenVector]) -> Result<bool> {
        let mut bytes = vec![0; usize::try_from(self.shape.parameters * BYTES)?];
        for vector in vectors {
            let place = self.start + self.shape.offset(vector.expert, vector.epoch)?;
            self.file.read_exact_at(&mut bytes, place).context("could not read a trajectory")?;
            if Digest::of(&bytes) != vector.digest {
                return Ok(false);
            }
        }
        let known = vectors.iter().map(|vector| ((vector.expert, vector.epoch), vector.digest));
        self.written.borrow_mut().extend(known);
        Ok(true)
    }

    /// Forces what was written to disk, so that it survives a crash.
    pub fn settle(&self) -> Result<()> {
        self.file.sync_data().context("could not write a trajectory")
    }

    /// The finished file.
    pub fn finish(self) -> File {
        self.file
    }
}

/// A file of trajectories, read vector by vector.
#[derive(Debug)]
pub struct Trajectories {
    content: Content,
    start: u64,
    /// The numbers of experts, epochs and parameters.
    pub shape: TrajectoryShape,
    /// The description of the artifact.
    pub about: Value,
}

impl Trajectories {
    /// Reads the header. An error if this is not a complete file of trajectories.
    pub fn open(content: Content) -> Result<Self> {
        let mut reader = content.reader();
        let mut length = [0; 8];
        reader.read_exact(&mut length).context("not a safetensors file")?;
        let length = u64::from_le_bytes(length);
        let start = length.saturating_add(8);
        ensure!(length <= LONGEST_HEADER && start <= content.len(), "not a safetensors file");
        let mut text = vec![0; usize::try_from(length)?];
        reader.read_exact(&mut text)?;
        let metadata: Metadata = serde_json::from_slice(&text).context("not a safetensors file")?;
        let (artifact, about) = described(&metadata)?;
        ensure!(artifact == ArtifactType::Trajectories, "expected trajectories, found a {artifact}");
        let info = metadata.info(NAME).with_context(|| format!("the trajectories have no tensor {NAME:?}"))?;
        let &[experts, stamps, parameters] = info.shape.as_slice() else {
            anyhow::bail!("trajectories have 3 axes, these have {:?}", info.shape)
        };
        ensure!(info.dtype == Dtype::F32, "trajectories are float32, these are {:?}", info.dtype);
        ensure!(experts > 0 && stamps > 0 && parameters > 0, "there is no trajectory, only {:?}", info.shape);
        let shape =
            TrajectoryShape { experts: experts as u64, epochs: stamps as u64 - 1, parameters: parameters as u64 };
        let (first, end) = info.data_offsets;
        ensure!(
            end.checked_sub(first).map(|bytes| bytes as u64) == Some(shape.bytes()?),
            "the header's sizes contradict each other"
        );
        let start = start + first as u64;
        ensure!(start + shape.bytes()? <= content.len(), "the file of trajectories is cut off");
        Ok(Trajectories { content, start, shape, about })
    }

    /// \[P\] float32 on the CPU, the parameters of an expert after `epoch` epochs; epoch 0 is before training.
    pub fn at(&self, expert: u64, epoch: u64) -> Result<Tensor> {
        let mut reader = self.content.reader();
        reader.seek(SeekFrom::Start(self.start + self.shape.offset(expert, epoch)?))?;
        let mut bytes = vec![0; usize::try_from(self.shape.parameters * BYTES)?];
        reader.read_exact(&mut bytes).context("could not read a trajectory")?;
        Ok(Tensor::f_from_data_size(&bytes, &[self.shape.parameters as i64], Kind::Float)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::TensorFile;
    use serde_json::json;
    use std::sync::Arc;
    use tch::Device;

    const SHAPE: TrajectoryShape = TrajectoryShape { experts: 2, epochs: 1, parameters: 3 };

    fn written() -> (Tensor, Vec<u8>) {
        let all = Tensor::arange(12, (Kind::Float, Device::Cpu)).reshape([2, 2, 3]);
        let writer = TrajectoryWriter::new(tempfile::tempfile().unwrap(), &json!({ "a": 1 }), SHAPE).unwrap();
        for (expert, epoch) in [(1, 1), (0, 0), (1, 0), (0, 1), (0, 0)] {
            writer.put(expert, epoch, &all.get(expert as i64).get(epoch as i64)).unwrap();
        }
        writer.settle().unwrap();
        (all, Content::of_file(writer.finish()).unwrap().to_vec().unwrap().to_vec())
    }

    #[test]
    fn what_is_written_vector_by_vector_is_the_file_of_all() {
        let (all, bytes) = written();
        let whole = TensorFile::new(ArtifactType::Trajectories, json!({ "a": 1 })).with(NAME, all.shallow_clone());
        assert_eq!(bytes, whole.to_bytes().unwrap());
        let read = Trajectories::open(Content::Memory(Arc::new(bytes))).unwrap();
        assert_eq!((read.shape, read.about["a"].as_i64()), (SHAPE, Some(1)));
        assert_eq!(read.at(1, 0).unwrap(), all.get(1).get(0));
        assert!(read.at(2, 0).is_err() && read.at(0, 2).is_err());
    }

    #[test]
    fn a_writer_keeps_what_its_file_has() {
        let (_, bytes) = written();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        let writer = TrajectoryWriter::new(file, &json!({ "a": 1 }), SHAPE).unwrap();
        assert_eq!(Content::of_file(writer.finish()).unwrap().to_vec().unwrap().as_slice(), bytes);
    }

    #[test]
    fn a_broken_file_is_an_error() {
        let (_, bytes) = written();
        let open = |bytes: &[u8]| Trajectories::open(Content::Memory(Arc::new(bytes.to_vec())));
        for broken in [&bytes[..4], &bytes[..20], &bytes[..bytes.len() - 1], &[0xff; 64]] {
            assert!(open(broken).is_err());
        }
        let other = TensorFile::new(ArtifactType::Model, json!({})).to_bytes().unwrap();
        assert!(open(&other).unwrap_err().to_string().contains("expected trajectories"));
    }
}
