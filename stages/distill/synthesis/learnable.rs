//! A tensor that a method optimises: the images of a synthetic set, the logits of its labels, the learning rate of its
//! students. Knows no loss: gradients come from the method.

use crate::artifact::SyntheticSet;
use crate::context::Checkpoint;
use anyhow::Result;
use ddpipe_nn::optim::Sgd;
use tch::Tensor;

/// The name of the synthetic images in a checkpoint.
const IMAGES: &str = "images";

/// A tensor and its optimiser, SGD with momentum: v ← momentum · v + gradient, value ← value - lr · v, where the first
/// step takes the gradient whole.
#[derive(Debug)]
pub struct Learnable {
    /// The tensor as it is, without a graph.
    pub value: Tensor,
    /// Empty before the first step.
    velocity: Vec<Tensor>,
    lr: f64,
    sgd: Sgd,
}

impl Learnable {
    /// A tensor before its first step.
    pub fn new(value: Tensor, lr: f64, momentum: f64) -> Self {
        Learnable { value, velocity: Vec::new(), lr, sgd: Sgd { momentum, weight_decay: 0.0 } }
    }

    /// One step against a gradient of the tensor's shape.
    pub fn step(&mut self, gradient: &Tensor) -> Result<()> {
        let values = std::slice::from_ref(&self.value);
        let stepped = self.sgd.step(self.lr, values, std::slice::from_ref(gradient), &mut self.velocity)?;
        if let Some(value) = stepped.into_iter().next() {
            self.value = value;
        }
        Ok(())
    }

    /// One step where `kept` is true (a scalar bool, on the device, so that the host need not wait for it); otherwise tensor
    /// and velocity stay. Always, where it is `None`.
    pub fn step_where(&mut self, gradient: &Tensor, kept: Option<&Tensor>) -> Result<()> {
        let value = self.value.shallow_clone();
        let velocity = match self.velocity.first() {
            Some(velocity) => velocity.shallow_clone(),
            None => value.f_zeros_like()?,
        };
        self.step(gradient)?;
        if let Some(kept) = kept {
            self.value = self.value.f_where_self(kept, &value)?;
            for own in &mut self.velocity {
                *own = own.f_where_self(kept, &velocity)?;
            }
        }
        Ok(())
    }

    /// Adds the tensor and its velocity to a checkpoint.
    pub fn store(&self, name: &str, checkpoint: &mut Checkpoint) {
        checkpoint.put(name, &self.value);
        if let Some(velocity) = self.velocity.first() {
            checkpoint.put(format!("{name}.velocity"), velocity);
        }
    }

    /// The tensor and its velocity as [`store`](Self::store) put them away.
    pub fn restore(name: &str, checkpoint: &Checkpoint, lr: f64, momentum: f64) -> Result<Self> {
        let velocity = checkpoint.tensors.get(&format!("{name}.velocity")).map(Tensor::shallow_clone);
        Ok(Learnable {
            velocity: velocity.into_iter().collect(),
            ..Self::new(checkpoint.get(name)?.shallow_clone(), lr, momentum)
        })
    }

    /// The synthetic images of a run: those of `start`, or of the checkpoint that the run continues from.
    pub fn images(start: &SyntheticSet, lr: f64, momentum: f64, checkpoint: Option<&Checkpoint>) -> Result<Self> {
        match checkpoint {
            Some(checkpoint) => Self::restore(IMAGES, checkpoint, lr, momentum),
            None => Ok(Self::new(start.images.copy(), lr, momentum)),
        }
    }

    /// Adds the synthetic images to a checkpoint, for [`images`](Self::images).
    pub fn store_images(&self, checkpoint: &mut Checkpoint) {
        self.store(IMAGES, checkpoint);
    }
}
