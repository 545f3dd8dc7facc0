//! The state of several students' training: all that it needs to continue after an interruption, and its form in a
//! checkpoint. Sums of epochs stay on the device and are read together now and then, because reading makes the host wait.

use crate::context::Checkpoint;
use crate::training::EpochResult;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::transfer;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Epochs whose sums are read at a time.
const UNREAD: usize = 50;

const ABOUT: &str = "students together";
const PARAMETER: &str = "together.parameter.";
const BUFFER: &str = "together.buffer.";
const VELOCITY: &str = "together.velocity.";
const SUMS: &str = "together.sums";
const UNREAD_SUMS: &str = "together.unread";

/// The state of S students, trained together.
#[derive(Debug)]
pub struct StackedState {
    /// Parameters and running statistics, \[S,…\].
    pub parameters: Parameters,
    /// The velocities of SGD, \[S,…\]; empty before the first step.
    pub velocity: Vec<Tensor>,
    /// The current epoch, from 0.
    pub epoch: u64,
    /// The number of batches of the current epoch that are done.
    pub batch: u64,
    /// The results of the epochs of each student, as far as they were read.
    pub history: Vec<Vec<EpochResult>>,
    /// \[S,2\] float64, sums of losses and numbers of correct predictions in the current epoch.
    sums_S2: Tensor,
    /// Epoch, learning rate and number of images of finished epochs that were not read yet, and their sums.
    unread: Vec<(Finished, Tensor)>,
}

/// An epoch that is over.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Finished {
    epoch: u64,
    rate: f64,
    images: i64,
}

#[derive(Serialize, Deserialize)]
struct About {
    epoch: u64,
    batch: u64,
    history: Vec<Vec<EpochResult>>,
    unread: Vec<Finished>,
}

impl StackedState {
    /// The start of a training.
    pub fn new(parameters: Parameters, students: usize) -> Self {
        let device = parameters.trainable.first().map_or(Device::Cpu, Tensor::device);
        let sums_S2 = Tensor::zeros([students as i64, 2], (Kind::Double, device));
        let (velocity, unread) = (Vec::new(), Vec::new());
        StackedState { parameters, velocity, epoch: 0, batch: 0, history: vec![Vec::new(); students], sums_S2, unread }
    }

    /// Adds a step's mean losses \[S\] and correct predictions \[S,B\].
    pub(super) fn add(&mut self, losses_S: &Tensor, right_SB: &Tensor) -> Result<()> {
        let each = right_SB.size()[1];
        let losses = losses_S.f_to_kind(Kind::Double)?.f_mul_scalar(each)?;
        let right = right_SB.f_sum_dim_intlist(1, false, Kind::Double)?;
        self.sums_S2 = self.sums_S2.f_add(&Tensor::f_stack(&[losses, right], 1)?)?;
        Ok(())
    }

    /// Ends an epoch over so many images of every student.
    pub(super) fn end_epoch(&mut self, rate: f64, images: i64) -> Result<()> {
        let fresh = self.sums_S2.f_zeros_like()?;
        let finished = Finished { epoch: self.epoch, rate, images };
        self.unread.push((finished, std::mem::replace(&mut self.sums_S2, fresh)));
        self.epoch += 1;
        self.batch = 0;
        if self.unread.len() >= UNREAD { self.read() } else { Ok(()) }
    }

    /// Reads the sums of the epochs that were not read yet into the history. An error if a loss is not finite.
    pub(super) fn read(&mut self) -> Result<()> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let unread = std::mem::take(&mut self.unread);
        let (finished, sums): (Vec<Finished>, Vec<Tensor>) = unread.into_iter().unzip();
        let sums: Vec<f64> = transfer::numbers(&Tensor::f_stack(&sums, 0)?.f_reshape([-1])?)?;
        for (Finished { epoch, rate, images }, sums) in finished.into_iter().zip(sums.chunks(2 * self.history.len())) {
            for (history, sums) in self.history.iter_mut().zip(sums.chunks(2)) {
                ensure!(
                    sums[0].is_finite(),
                    "the loss is no longer finite in epoch {epoch}; a lower learning rate may help"
                );
                let (loss, train_accuracy) = (sums[0] / images as f64, sums[1] / images as f64);
                history.push(EpochResult { epoch, rate, loss, train_accuracy, accuracy: None });
            }
        }
        Ok(())
    }

    /// Adds the state to a checkpoint.
    pub(super) fn store(&self, checkpoint: &mut Checkpoint) -> Result<()> {
        let lists =
            [(PARAMETER, &self.parameters.trainable), (BUFFER, &self.parameters.buffers), (VELOCITY, &self.velocity)];
        for (prefix, tensors) in lists {
            for (place, tensor) in tensors.iter().enumerate() {
                checkpoint.put(format!("{prefix}{place}"), tensor);
            }
        }
        checkpoint.put(SUMS, &self.sums_S2);
        if !self.unread.is_empty() {
            let sums: Vec<&Tensor> = self.unread.iter().map(|(_, sums)| sums).collect();
            checkpoint.put(UNREAD_SUMS, &Tensor::f_stack(&sums, 0)?);
        }
        let unread = self.unread.iter().map(|(finished, _)| *finished).collect();
        let about = About { epoch: self.epoch, batch: self.batch, history: self.history.clone(), unread };
        checkpoint.note(ABOUT, about);
        Ok(())
    }

    /// The state in a checkpoint that [`StudentsTogether`](super::StudentsTogether) saved; `None` if it has none.
    pub fn resume(network: &Network, checkpoint: &Checkpoint) -> Result<Option<Self>> {
        if checkpoint.state.get(ABOUT).is_none() {
            return Ok(None);
        }
        let About { epoch, batch, history, unread } = checkpoint.noted(ABOUT)?;
        let list = |prefix: &str, count: usize| -> Result<Vec<Tensor>> {
            (0..count).map(|place| Ok(checkpoint.get(&format!("{prefix}{place}"))?.shallow_clone())).collect()
        };
        let trainable = list(PARAMETER, network.trainable().count())?;
        let fit = trainable.iter().zip(network.trainable()).all(|(tensor, spec)| tensor.size()[1..] == spec.shape);
        ensure!(fit, "the checkpoint's parameters are those of another network");
        let begun = checkpoint.tensors.contains_key(&format!("{VELOCITY}0"));
        let velocity = list(VELOCITY, if begun { trainable.len() } else { 0 })?;
        let parameters = Parameters { trainable, buffers: list(BUFFER, network.buffers().count())? };
        let sums = if unread.is_empty() { Vec::new() } else { checkpoint.get(UNREAD_SUMS)?.f_unbind(0)? };
        ensure!(sums.len() == unread.len(), "the checkpoint's sums are of other epochs");
        let unread = unread.into_iter().zip(sums).collect();
        let sums_S2 = checkpoint.get(SUMS).context("the checkpoint has no running sums")?.copy();
        Ok(Some(StackedState { parameters, velocity, epoch, batch, history, sums_S2, unread }))
    }
}
