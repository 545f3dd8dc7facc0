//! The pool of networks that the synthetic set is seen through: each has learnt from the set as it was for a number of
//! steps of its own, and is replaced by a fresh one when it is old. It knows no real images and no kernel.

use crate::context::Checkpoint;
use crate::training::{Batch, Objective};
use anyhow::{Context as _, Result};
use ddpipe_nn::network::{Chunk, Network, Parameters};
use ddpipe_nn::optim::{Moments, Optimiser};
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer::{Parcel, Place, Sent};
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

/// What the names of the networks begin with in a checkpoint.
const POOL: &str = "pool.";

/// How networks are trained and how long they stay.
#[derive(Clone, Copy, Debug)]
pub struct Upkeep {
    /// Networks in the pool.
    pub networks: u64,
    /// A network that has seen more steps than these is replaced.
    pub most_steps: u64,
    /// Learning rate of their Adam.
    pub rate: f64,
    /// Synthetic images that they learn from in a step; all, where there are not more.
    pub batch: i64,
    /// Images that go forward and back at a time.
    pub chunk: Chunk,
}

/// One network.
struct Online {
    parameters: Parameters,
    moments: Moments,
    /// Steps that count towards its age.
    age: u64,
}

/// What happens to a network after the set was seen through it.
pub enum Next {
    /// A fresh one takes its place, with these weights.
    Fresh(Vec<Place>),
    /// It learns from these images.
    Learns(Place),
    /// It learns from all images.
    LearnsFromAll,
}

/// The networks.
pub struct Pool<'a> {
    network: &'a Network,
    upkeep: Upkeep,
    seed: u64,
    device: Device,
    online: Vec<Online>,
    /// Networks that were made, over all.
    made: u64,
}

#[derive(Serialize, Deserialize)]
struct About {
    made: u64,
    /// Age and steps of the optimiser of each.
    ages: Vec<(u64, u64)>,
}

impl<'a> Pool<'a> {
    /// Fresh networks. Their ages are spread evenly, so that they are not all replaced at once.
    pub fn new(network: &'a Network, upkeep: Upkeep, seed: u64, device: Device) -> Result<Self> {
        let mut pool = Pool { network, upkeep, seed, device, online: Vec::new(), made: 0 };
        for place in 0..upkeep.networks {
            let age = upkeep.most_steps / upkeep.networks.max(1) * place;
            let fresh = pool.fresh(age)?;
            pool.online.push(fresh);
        }
        Ok(pool)
    }

    fn fresh(&mut self, age: u64) -> Result<Online> {
        let mut parcel = Parcel::default();
        let weights = self.network.draw(stream(self.seed, "network", self.made).generator(), &mut parcel);
        self.drawn(&weights, &parcel.send(self.device), age)
    }

    fn drawn(&mut self, weights: &[Place], sent: &Sent, age: u64) -> Result<Online> {
        let parameters = self.network.drawn(weights, sent, self.device)?;
        self.made += 1;
        Ok(Online { parameters, moments: Moments::default(), age })
    }

    /// Which network a step sees the set through.
    pub fn choose(&self, step: u64) -> usize {
        stream(self.seed, "pool", step).integer(0, self.online.len() as i64) as usize
    }

    /// The parameters of a network.
    pub fn parameters(&self, place: usize) -> &Parameters {
        &self.online[place].parameters
    }

    /// Draws what happens to a network after `count` images were seen through it in a step, into a parcel.
    pub fn draw(&self, place: usize, count: i64, step: u64, parcel: &mut Parcel) -> Next {
        if self.online[place].age > self.upkeep.most_steps {
            return Next::Fresh(self.network.draw(stream(self.seed, "network", self.made).generator(), parcel));
        }
        if count <= self.upkeep.batch {
            return Next::LearnsFromAll;
        }
        let all: Vec<i64> = (0..count).collect();
        Next::Learns(parcel.add(&stream(self.seed, "online", step).choose(&all, self.upkeep.batch as usize)))
    }

    /// After the set was seen through a network: one step of it on images \[M,C,H,W\] and targets \[M,K\], or a fresh
    /// one in its place, as it was drawn into the parcel that is sent.
    pub fn train(&mut self, place: usize, images: &Tensor, targets: &Tensor, next: &Next, sent: &Sent) -> Result<()> {
        let (images, targets) = match next {
            Next::Fresh(weights) => {
                self.online[place] = self.drawn(weights, sent, 0)?;
                return Ok(());
            }
            Next::Learns(drawn) => {
                let drawn = sent.get(*drawn);
                (images.f_index_select(0, &drawn)?, targets.f_index_select(0, &drawn)?)
            }
            Next::LearnsFromAll => (images.shallow_clone(), targets.shallow_clone()),
        };
        let Online { parameters, moments, age } = &mut self.online[place];
        let objective = Objective::SquaredError { targets: true };
        let batch = Batch::new(images, targets);
        let now = objective.gradient(None, self.network, parameters, &batch, self.upkeep.chunk)?;
        let trainable = Optimiser::Adam.step(self.upkeep.rate, &parameters.trainable, &now.gradients, moments)?;
        *parameters = Parameters { trainable, buffers: now.buffers };
        *age += 1;
        Ok(())
    }

    /// Adds the networks to a checkpoint.
    pub fn store(&self, checkpoint: &mut Checkpoint) {
        for (place, online) in self.online.iter().enumerate() {
            for (name, tensor) in self.network.state_dict(&online.parameters) {
                checkpoint.put(format!("{POOL}{place}.parameter.{name}"), &tensor);
            }
            let moments = online.moments.first.iter().zip(&online.moments.second);
            for (index, (first, second)) in moments.enumerate() {
                checkpoint.put(format!("{POOL}{place}.first.{index}"), first);
                checkpoint.put(format!("{POOL}{place}.second.{index}"), second);
            }
        }
        let ages = self.online.iter().map(|online| (online.age, online.moments.steps)).collect();
        checkpoint.note(POOL, About { made: self.made, ages });
    }

    /// The pool that [`store`](Self::store) put away.
    pub fn restore(
        network: &'a Network,
        upkeep: Upkeep,
        seed: u64,
        device: Device,
        checkpoint: &Checkpoint,
    ) -> Result<Self> {
        let About { made, ages } = checkpoint.noted(POOL)?;
        let mut online = Vec::new();
        for (place, (age, steps)) in ages.into_iter().enumerate() {
            let own = checkpoint.below(&format!("{POOL}{place}."));
            let parameters = own
                .iter()
                .filter_map(|(name, tensor)| Some((name.strip_prefix("parameter.")?.into(), tensor.shallow_clone())));
            let parameters = network.load(&parameters.collect()).context("the checkpoint's networks")?;
            let moment = |which: &str| {
                let found = |index| own.get(&format!("{which}.{index}")).map(Tensor::shallow_clone);
                (0..parameters.trainable.len()).map_while(found).collect()
            };
            let moments = Moments { first: moment("first"), second: moment("second"), steps };
            online.push(Online { parameters, moments, age });
        }
        Ok(Pool { network, upkeep, seed, device, online, made })
    }
}
