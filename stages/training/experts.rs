//! The experts of a stage's input: any number of files with any number of experts of the same network. Only the
//! parameters that an iteration needs are read, so the trajectories may be larger than memory.

use crate::artifact::{Normalisation, Prepared, SyntheticSet, Trajectories};
use crate::context::Inputs;
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::network::{Network, NetworkSpec, Parameters};
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer;
use serde_json::json;
use tch::{Device, Tensor};

/// The key of how the experts' images were prepared.
const PREPARED: &str = "images";

/// All experts, in the order of the input.
pub struct Experts {
    files: Vec<Trajectories>,
    network: Network,
    /// The number of epochs that every expert has.
    pub epochs: u64,
}

/// A segment of an expert's trajectory.
#[derive(Debug)]
pub struct Segment {
    /// The epoch at which the segment starts.
    pub epoch: u64,
    /// \[P\], the parameters at its start.
    pub start_P: Tensor,
    /// \[P\], the parameters at its end.
    pub target_P: Tensor,
}

impl Experts {
    /// Opens the files of an input. An error if their experts differ in network or origin, or if a file is not valid.
    pub fn open(inputs: &Inputs, name: &str) -> Result<Self> {
        let mut files: Vec<Trajectories> = Vec::new();
        for input in inputs.many(name) {
            let file =
                Trajectories::open(inputs.content_of(input)?).with_context(|| format!("input {}", input.name))?;
            if let Some(first) = files.first() {
                ensure!(
                    ["network", "origin", PREPARED].iter().all(|key| file.about[*key] == first.about[*key]),
                    "input {name:?}: {} has experts of another network or on other images than {}; give experts of one \
                     kind",
                    input.name,
                    inputs.many(name)[0].name
                );
            }
            files.push(file);
        }
        let first = files.first().with_context(|| format!("input {name:?} is not connected"))?;
        let spec: NetworkSpec =
            serde_json::from_value(first.about["network"].clone()).context("the experts' network")?;
        let network = Network::new(&spec)?;
        ensure!(
            first.shape.parameters as i64 == network.parameter_count(),
            "the experts have {} parameters, but their network has {}",
            first.shape.parameters,
            network.parameter_count()
        );
        let epochs = files.iter().map(|file| file.shape.epochs).min().unwrap_or(0);
        Ok(Experts { files, network, epochs })
    }

    /// The description of a file of experts: their network, origin and normalisation of their images, and the settings of
    /// their training.
    pub fn about(
        network: &Network,
        origin: &str,
        normalisation: &Normalisation,
        protocol: &serde_json::Value,
    ) -> Result<serde_json::Value> {
        let prepared = Prepared::of(normalisation)?;
        Ok(json!({ "network": network.spec(), "origin": origin, PREPARED: prepared, "training": protocol }))
    }

    /// The network of all experts.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The number of experts in all files.
    pub fn count(&self) -> u64 {
        self.files.iter().map(|file| file.shape.experts).sum()
    }

    /// \[P\], the parameters of an expert (from 0) after `epoch` epochs. An error if there is no such expert or epoch.
    pub fn at(&self, expert: u64, epoch: u64, device: Device) -> Result<Tensor> {
        Ok(transfer::send(&self.on_host(expert, epoch)?, device)?)
    }

    fn on_host(&self, mut expert: u64, epoch: u64) -> Result<Tensor> {
        for file in &self.files {
            if expert < file.shape.experts {
                return file.at(expert, epoch);
            }
            expert -= file.shape.experts;
        }
        anyhow::bail!("there are only {} experts", self.count())
    }

    /// The parameters of an expert after `epoch` epochs, as parameters of the network.
    pub fn parameters(&self, expert: u64, epoch: u64, device: Device) -> Result<Parameters> {
        let flat = self.at(expert, epoch, device)?;
        Ok(Parameters { trainable: self.network.unflatten(&flat)?, buffers: Vec::new() })
    }

    /// The segment that an iteration matches. The experts take turns, in a new random order each round. The start epoch
    /// is uniform in the range `epochs`, whose end is excluded; the segment is `length` epochs long.
    pub fn segment(
        &self,
        seed: u64,
        iteration: u64,
        epochs: std::ops::Range<u64>,
        length: u64,
        device: Device,
    ) -> Result<Segment> {
        let count = self.count();
        let order = stream(seed, "experts", iteration / count).permutation(count as i64);
        let expert = order[(iteration % count) as usize] as u64;
        let epoch = stream(seed, "start", iteration).integer(epochs.start as i64, epochs.end as i64) as u64;
        let ends = [self.on_host(expert, epoch)?, self.on_host(expert, epoch + length)?];
        let ends_2P = transfer::send(&Tensor::f_stack(&ends, 0)?, device)?;
        Ok(Segment { epoch, start_P: ends_2P.f_get(0)?, target_P: ends_2P.f_get(1)? })
    }

    /// An error if the images or classes of this set are not those of the experts' network.
    pub fn fit(&self, start: &SyntheticSet) -> Result<()> {
        let (spec, size) = (self.network.spec(), start.images.size());
        let shape = [spec.channels, spec.image[0], spec.image[1]];
        ensure!(
            size[1..] == shape && start.classes == spec.classes,
            "the experts saw images of {shape:?} (channels, height, width) in {} classes, the synthetic ones are {:?} \
             in {}; train experts on the data that the set was made of",
            spec.classes,
            &size[1..],
            start.classes
        );
        let prepared = self.files.first().and_then(|file| file.about.get(PREPARED));
        let prepared: Option<Prepared> = prepared.map(|it| serde_json::from_value(it.clone())).transpose()?;
        Prepared::agree(prepared.as_ref(), "input \"experts\"", &start.normalisation, "the images of \"start\"")
    }

    /// An error if the experts have too few epochs for segments that start at 0 to `last`-1 and are `length` epochs
    /// long.
    pub fn reach(&self, last: u64, length: u64) -> Result<()> {
        ensure!(
            last > 0 && last - 1 + length <= self.epochs,
            "max_start_epoch {last} (excluded) and expert_epochs {length} need experts of {} epochs, these have {}; \
             train them longer, or lower one of the two",
            last.saturating_sub(1) + length,
            self.epochs
        );
        Ok(())
    }
}
