//! Forgetting events (Toneva et al., An Empirical Study of Example Forgetting, ICLR 2019): how often a network unlearns
//! an image while it is trained. The training loop tells its observer which images were classified correctly; this file
//! counts the events.

use crate::context::Checkpoint;
use anyhow::Result;
use indexmap::IndexMap;
use tch::{Device, Kind, Tensor};

/// The counts for each of N images.
#[derive(Debug)]
pub struct Events {
    /// \[N\] int64, how often the image was misclassified after it had been classified correctly the time before.
    forgotten: Tensor,
    /// \[N\] bool, whether the image was classified correctly the last time it was seen.
    known: Tensor,
    /// \[N\] bool, whether the image was ever classified correctly.
    learnt: Tensor,
}

impl Events {
    /// The counts of `count` images that were not seen yet.
    pub fn new(count: i64, device: Device) -> Self {
        Events {
            forgotten: Tensor::zeros([count], (Kind::Int64, device)),
            known: Tensor::zeros([count], (Kind::Bool, device)),
            learnt: Tensor::zeros([count], (Kind::Bool, device)),
        }
    }

    /// Counts one batch: positions \[B\] int64, without repetition, and whether the images were classified correctly
    /// (`right`, \[B\] bool).
    pub fn count(&mut self, positions: &Tensor, right: &Tensor) -> Result<()> {
        let known = self.known.f_index_select(0, positions)?;
        let events = known.f_logical_and(&right.f_logical_not()?)?.f_to_kind(Kind::Int64)?;
        self.forgotten = self.forgotten.f_index_add(0, positions, &events)?;
        let learnt = self.learnt.f_index_select(0, positions)?.f_logical_or(right)?;
        self.learnt = self.learnt.f_index_copy(0, positions, &learnt)?;
        self.known = self.known.f_index_copy(0, positions, right)?;
        Ok(())
    }

    /// \[N\], the number of events of every image; `None` for an image that was never classified correctly.
    pub fn per_image(&self) -> Result<Vec<Option<u64>>> {
        let forgotten = Vec::<i64>::try_from(self.forgotten.to_device(Device::Cpu))?;
        let learnt = Vec::<bool>::try_from(self.learnt.to_device(Device::Cpu))?;
        Ok(forgotten.into_iter().zip(learnt).map(|(events, learnt)| learnt.then_some(events as u64)).collect())
    }

    /// Adds the counts to a checkpoint.
    pub fn store(&self, tensors: &mut IndexMap<String, Tensor>) {
        tensors.insert("forgotten".into(), self.forgotten.shallow_clone());
        tensors.insert("known".into(), self.known.to_kind(Kind::Uint8));
        tensors.insert("learnt".into(), self.learnt.to_kind(Kind::Uint8));
    }

    /// Reads the counts that [`store`](Self::store) wrote.
    pub fn restore(checkpoint: &Checkpoint) -> Result<Self> {
        let flags = |name| anyhow::Ok(checkpoint.get(name)?.to_kind(Kind::Bool));
        Ok(Events { forgotten: checkpoint.get("forgotten")?.copy(), known: flags("known")?, learnt: flags("learnt")? })
    }
}
