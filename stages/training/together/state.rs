//! The state of several students' training: all that it needs to continue after an interruption, and its form in a
//! checkpoint. Sums of epochs stay on the device and are read together now and then, because reading makes the host wait.

use crate::context::Checkpoint;
use crate::training::EpochResult;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::optim::{Average, Averaged, Memory, Moments};
use ddpipe_nn::transfer;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Epochs whose sums are read at a time.
const UNREAD: usize = 50;

const ABOUT: &str = "students together";
const PARAMETER: &str = "together.parameter.";
const BUFFER: &str = "together.buffer.";
const VELOCITY: &str = "together.velocity.";
const FIRST_MOMENT: &str = "together.moment1.";
const SECOND_MOMENT: &str = "together.moment2.";
const AVERAGE: &str = "together.average.";
const SUMS: &str = "together.sums";
const UNREAD_SUMS: &str = "together.unread";

/// The state of S students, trained together.
#[derive(Debug)]
pub struct StackedState {
    /// Parameters and running statistics, \[S,…\].
    pub parameters: Parameters,
    /// What the optimiser remembers, \[S,…\]; empty before the first step.
    pub memory: Memory,
    /// The averages of parameters and running statistics, \[S,…\], where they are taken.
    pub averaged: Averaged,
    /// The current epoch, from 0.
    pub epoch: u64,
    /// The number of batches of the current epoch that are done.
    pub batch: u64,
    /// The results of the epochs of each student, as far as they were read.
    pub history: Vec<Vec<EpochResult>>,
    /// The epoch of each student in which its loss was no longer finite; its history ends before.
    pub diverged: Vec<Option<u64>>,
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
    diverged: Vec<Option<u64>>,
    unread: Vec<Finished>,
    /// Steps of Adam, and of the average.
    steps: (u64, u64),
}

impl StackedState {
    /// The start of a training.
    pub fn new(parameters: Parameters, students: usize) -> Self {
        let device = parameters.trainable.first().map_or(Device::Cpu, Tensor::device);
        let sums_S2 = Tensor::zeros([students as i64, 2], (Kind::Double, device));
        StackedState {
            parameters,
            memory: Memory::default(),
            averaged: Averaged::default(),
            epoch: 0,
            batch: 0,
            history: vec![Vec::new(); students],
            diverged: vec![None; students],
            sums_S2,
            unread: Vec::new(),
        }
    }

    /// The averages of the parameters so far; the parameters, before the first step.
    pub(super) fn averaged(&self, average: Average) -> Result<Parameters> {
        let mut values = average.value(&self.averaged)?;
        if values.is_empty() {
            return Ok(self.parameters.clone());
        }
        let buffers = values.split_off(self.parameters.trainable.len().min(values.len()));
        Ok(Parameters { trainable: values, buffers })
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

    /// Reads the sums of the epochs that were not read yet into the history, which ends where a loss is not finite.
    pub(super) fn read(&mut self) -> Result<()> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let unread = std::mem::take(&mut self.unread);
        let (finished, sums): (Vec<Finished>, Vec<Tensor>) = unread.into_iter().unzip();
        let sums: Vec<f64> = transfer::numbers(&Tensor::f_stack(&sums, 0)?.f_reshape([-1])?)?;
        for (Finished { epoch, rate, images }, sums) in finished.into_iter().zip(sums.chunks(2 * self.history.len())) {
            let students = self.history.iter_mut().zip(&mut self.diverged);
            for ((history, diverged), sums) in students.zip(sums.chunks(2)) {
                let &[loss, right] = sums else { continue };
                if !loss.is_finite() && diverged.is_none() {
                    *diverged = Some(epoch);
                }
                if diverged.is_some() {
                    continue;
                }
                let (loss, train_accuracy) = (loss / images as f64, right / images as f64);
                history.push(EpochResult { epoch, rate, loss, train_accuracy, accuracy: None });
            }
        }
        Ok(())
    }

    /// Adds the state to a checkpoint.
    pub(super) fn store(&self, checkpoint: &mut Checkpoint) -> Result<()> {
        let Memory { velocity, moments } = &self.memory;
        let lists = [
            (PARAMETER, &self.parameters.trainable),
            (BUFFER, &self.parameters.buffers),
            (VELOCITY, velocity),
            (FIRST_MOMENT, &moments.first),
            (SECOND_MOMENT, &moments.second),
            (AVERAGE, &self.averaged.sums),
        ];
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
        let (history, diverged) = (self.history.clone(), self.diverged.clone());
        let steps = (moments.steps, self.averaged.steps);
        let about = About { epoch: self.epoch, batch: self.batch, history, diverged, unread, steps };
        checkpoint.note(ABOUT, about);
        Ok(())
    }

    /// The state in a checkpoint that [`StudentsTogether`](super::StudentsTogether) saved; `None` if it has none.
    pub fn resume(network: &Network, checkpoint: &Checkpoint) -> Result<Option<Self>> {
        if checkpoint.state.get(ABOUT).is_none() {
            return Ok(None);
        }
        let About { epoch, batch, history, diverged, unread, steps } = checkpoint.noted(ABOUT)?;
        let list = |prefix: &str, count: usize| -> Result<Vec<Tensor>> {
            (0..count).map(|place| Ok(checkpoint.get(&format!("{prefix}{place}"))?.shallow_clone())).collect()
        };
        let trainable = list(PARAMETER, network.trainable().count())?;
        let fit = trainable.iter().zip(network.trainable()).all(|(tensor, spec)| tensor.size()[1..] == spec.shape);
        ensure!(fit, "the checkpoint's parameters are those of another network");
        // Empty is what is not kept, or has not begun.
        let kept = |prefix: &str, count: usize| {
            let begun = checkpoint.tensors.contains_key(&format!("{prefix}0"));
            list(prefix, if begun { count } else { 0 })
        };
        let (count, buffers) = (trainable.len(), network.buffers().count());
        let moments =
            Moments { first: kept(FIRST_MOMENT, count)?, second: kept(SECOND_MOMENT, count)?, steps: steps.0 };
        let memory = Memory { velocity: kept(VELOCITY, count)?, moments };
        let averaged = Averaged { sums: kept(AVERAGE, count + buffers)?, steps: steps.1 };
        let parameters = Parameters { trainable, buffers: list(BUFFER, buffers)? };
        let sums = if unread.is_empty() { Vec::new() } else { checkpoint.get(UNREAD_SUMS)?.f_unbind(0)? };
        ensure!(sums.len() == unread.len(), "the checkpoint's sums are of other epochs");
        let unread = unread.into_iter().zip(sums).collect();
        let sums_S2 = checkpoint.get(SUMS).context("the checkpoint has no running sums")?.copy();
        let own = StackedState { parameters, memory, averaged, epoch, batch, history, diverged, sums_S2, unread };
        Ok(Some(own))
    }
}
