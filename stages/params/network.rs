//! The parameters by which stages let a network be chosen, as they stand in a `stage.toml`: part of a kind's `Params`, by
//! `#[serde(flatten)]`. What they mean is in `spec.rs`.

use anyhow::{Context as _, bail};
use ddpipe_nn::network::{Activation, Architecture, Norm, Overrides, Pooling, takes_norm};
use ddpipe_nn::network::{Network, NetworkError, NetworkSpec};
use serde::{Deserialize, Serialize};

/// Which network. `N` is the norm: left out where the architecture's own is meant, or, in a kind that declares a default,
/// always there.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct NetworkParams<N = Option<Norm>> {
    pub arch: String,
    pub width: Option<i64>,
    pub depth: Option<i64>,
    pub norm: N,
    pub activation: Option<Activation>,
    pub pooling: Option<Pooling>,
}

impl NetworkParams {
    /// The network for images of this shape (channels, rows, columns).
    pub fn network(&self, shape: [i64; 3], classes: i64) -> Result<Network, NetworkError> {
        Network::new(&self.spec(shape, classes)?)
    }

    /// What it is to be, for kinds that change something about it.
    pub fn spec(&self, [channels, height, width]: [i64; 3], classes: i64) -> Result<NetworkSpec, NetworkError> {
        let NetworkParams { width: filters, depth, norm, activation, pooling, .. } = *self;
        let overrides = Overrides { width: filters, depth, norm, activation, pooling };
        NetworkSpec::named(&self.arch, &overrides, channels, [height, width], classes)
    }
}

impl NetworkParams {
    /// The network; with `doubling` every block of a ConvNet is twice as wide as the one before.
    pub fn laid(&self, doubling: bool, shape: [i64; 3], classes: i64) -> anyhow::Result<Network> {
        let spec = self.spec(shape, classes)?;
        let spec = if doubling { self.doubled(spec)? } else { spec };
        Ok(Network::new(&spec)?)
    }

    /// The same network with blocks of which each is twice as wide as the one before.
    pub fn doubled(&self, spec: NetworkSpec) -> anyhow::Result<NetworkSpec> {
        let Architecture::ConvNet { width, depth, activation, norm, pooling } = spec.architecture else {
            bail!("doubling = true is for convnets; {} has its own widths, so leave it false", self.arch);
        };
        let wider =
            |block: i64| u32::try_from(block).ok().and_then(|block| width.checked_mul(2i64.checked_pow(block)?));
        let channels = (0..depth).map(wider).collect::<Option<Vec<_>>>();
        let channels = channels.with_context(|| format!("a width of {width} doubled {depth} times is too large"))?;
        let architecture = Architecture::Cnn { channels, kernel: 3, activation, norm, pooling };
        Ok(NetworkSpec { architecture, ..spec })
    }
}

impl NetworkParams<Norm> {
    /// The same without the norm, where it is this default and the architecture has none to choose: a default always
    /// arrives, and nobody may have asked for it.
    pub fn unless_default(self, default: Norm) -> NetworkParams {
        let norm = (takes_norm(&self.arch) || self.norm != default).then_some(self.norm);
        let NetworkParams { arch, width, depth, activation, pooling, .. } = self;
        NetworkParams { arch, width, depth, norm, activation, pooling }
    }
}
