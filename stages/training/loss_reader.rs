//! The loss of a step, for display.

use ddpipe_nn::transfer;
use std::time::{Duration, Instant};
use tch::Tensor;

/// Reads a loss for display from time to time, because reading makes the CPU wait for the device. What it reads is not counted.
#[derive(Debug, Default)]
pub struct LossReader {
    last: Option<Instant>,
}

impl LossReader {
    /// The loss, if the last one was read at least 100 ms ago.
    pub fn read(&mut self, loss: &Tensor) -> Option<f64> {
        if self.last.is_some_and(|last| last.elapsed() < Duration::from_millis(100)) {
            return None;
        }
        self.last = Some(Instant::now());
        transfer::shown(loss)
    }
}
