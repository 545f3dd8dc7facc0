//! How many images go through a network at a time: as many as suit the processor's caches, and no more than memory has
//! room for, which the size of the images decides.

use super::Network;
use crate::layout::Layout;
use crate::pieces::{self, Graph};
use std::sync::OnceLock;
use tch::{Device, Tensor};

/// How many images go through the network at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk(pub i64);

/// Images and multiply-adds below which a batch is not divided further for the sake of threads: calling the operations of a
/// small piece would take longer than what they compute.
const LEAST_IMAGES: i64 = 4;
const LEAST_WORK: i64 = 32_000_000;

/// What a piece may hold on a CPU, where every thread has one: with the graph that gradients need, and without.
const PIECE_WITH_GRAPH: i64 = 256 << 20;
const PIECE_WITHOUT: i64 = 64 << 20;

/// What the graphs of a second derivative may hold together on a CPU, and what images may that were read and not yet divided.
const HELD: i64 = 4 << 30;
const READ: i64 = 256 << 20;

/// The memory of a GPU that nobody has told the size of.
const SMALL_DEVICE: i64 = 8 << 30;

/// Parts of a GPU's memory that one pass may take. Other stages, what stays resident and the graph of a second derivative
/// need room too.
const SHARE_WITH_GRAPH: i64 = 8;
const SHARE_WITHOUT: i64 = 16;
const SHARE_HELD: i64 = 4;

static DEVICE_BYTES: OnceLock<i64> = OnceLock::new();

/// Says how much memory the GPU has in all; to be called before the first chunk is asked for, and a later call changes
/// nothing. All of it and not what is free: chunks decide the last bits of results, so they must be the same on every run.
pub fn device_has(bytes: u64) {
    let _ = DEVICE_BYTES.set(i64::try_from(bytes).unwrap_or(i64::MAX));
}

fn held_bytes(device: Device) -> i64 {
    let memory = *DEVICE_BYTES.get().unwrap_or(&SMALL_DEVICE);
    if device == Device::Cpu { HELD } else { memory / SHARE_HELD }
}

impl Network {
    /// How many images go through at a time, unless a stage says otherwise.
    ///
    /// On a CPU, a ConvNet of width 128 took 1.3 ms of processor time per 28x28 image without a graph in chunks of 4 or 8, 1.4
    /// in chunks of 16 and 2.4 in chunks of 128; with a graph and back through it 3.8 ms in chunks of 16, 4.3 in chunks of 32
    /// and 5.7 in chunks of 128.
    pub fn chunk(&self, device: Device, graph: Graph) -> Chunk {
        let memory = *DEVICE_BYTES.get().unwrap_or(&SMALL_DEVICE);
        let (most, room) = match (Layout::of(device), graph) {
            (Layout::Pieces, Graph::Kept) => (16, PIECE_WITH_GRAPH),
            (Layout::Pieces, Graph::Without) => (8, PIECE_WITHOUT),
            (Layout::Together, Graph::Kept) => (i64::MAX, memory / SHARE_WITH_GRAPH),
            (Layout::Together, Graph::Without) => (2048, memory / SHARE_WITHOUT),
        };
        Chunk((room / self.bytes(graph)).clamp(1, most))
    }

    /// The bytes that one image takes in a pass in single precision, about: what all layers give if they are kept for
    /// gradients, else the most that goes into and comes out of one layer.
    pub fn bytes(&self, graph: Graph) -> i64 {
        let values = match graph {
            Graph::Kept => self.values.all,
            Graph::Without => self.values.largest,
        };
        4 * values.max(1)
    }

    /// How many images' graphs may be held at once for a later way back; of more, they are made again.
    pub fn held(&self, device: Device) -> Chunk {
        Chunk((held_bytes(device) / 2 / self.bytes(Graph::Kept)).max(1))
    }

    /// How many images' graphs of a second derivative may be held at once; of more, the gradient is computed twice.
    pub fn second_order_held(&self, device: Device) -> Chunk {
        Chunk((held_bytes(device) / self.second_order_bytes()).max(1))
    }

    /// How many images are read from a data set at a time, before they are divided into chunks.
    pub fn read_at_a_time(&self) -> i64 {
        let [height, width] = self.spec().image;
        (READ / (4 * self.spec().channels * height * width)).clamp(64, 1024)
    }

    /// The bytes of one image in a gradient that is itself followed back (a second derivative), about: forwards, backwards,
    /// and what each derivative of a norm keeps. An estimate, which no device was asked about.
    pub fn second_order_bytes(&self) -> i64 {
        4 * self.bytes(Graph::Kept)
    }

    /// The sizes of the pieces in which images \[B,C,H,W\] go through the network, of at most `chunk` each. By themselves, so
    /// not where batch statistics make the images depend on each other.
    pub fn pieces(&self, x_BCHW: &Tensor, Chunk(most): Chunk) -> Vec<i64> {
        let each = (self.flops() / 2).max(1);
        let least = LEAST_IMAGES.max(LEAST_WORK / each);
        pieces::sizes(x_BCHW.device(), x_BCHW.size().first().copied().unwrap_or(0), least, most)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::network::{NetworkSpec, Overrides};

    fn convnet(name: &str, side: i64) -> Network {
        Network::new(&NetworkSpec::named(name, &Overrides::default(), 3, [side, side], 2).unwrap()).unwrap()
    }

    #[test]
    fn small_images_fill_caches_and_large_ones_memory() {
        let cpu =
            |network: &Network| (network.chunk(Device::Cpu, Graph::Kept), network.chunk(Device::Cpu, Graph::Without));
        assert_eq!(cpu(&convnet("convnet3", 32)), (Chunk(16), Chunk(8)));
        assert_eq!(cpu(&convnet("convnet7", 224)), (Chunk(2), Chunk(1)));
        let gpu = |graph| convnet("convnet7", 224).chunk(Device::Cuda(0), graph).0;
        assert!((2..20).contains(&gpu(Graph::Kept)) && (4..40).contains(&gpu(Graph::Without)));
    }
}
