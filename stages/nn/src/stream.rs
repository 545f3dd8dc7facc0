//! Random numbers as a function of their purpose: `stream(seed, "augment", step)`. No draw depends on the clock, on a
//! generator's history or on the device, so a stage that continues after a crash draws what it would have drawn.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::Tensor;

/// A source of random numbers for one purpose at one step.
pub struct Stream(ChaCha8Rng);

/// The stream of this seed, purpose and step. Different purposes or steps give independent streams.
pub fn stream(seed: u64, purpose: &str, step: u64) -> Stream {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&step.to_le_bytes());
    hasher.update(purpose.as_bytes());
    Stream(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
}

impl Stream {
    /// One number in \[0,1).
    pub fn uniform(&mut self) -> f32 {
        self.0.random()
    }

    /// One whole number in \[low, high).
    pub fn integer(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..high.max(low + 1))
    }

    /// A float32 tensor on the CPU, uniform in \[low, high).
    pub fn uniform_tensor(&mut self, shape: &[i64], low: f64, high: f64) -> Tensor {
        let values: Vec<f32> =
            (0..count(shape)).map(|_| (low + (high - low) * self.0.random::<f64>()) as f32).collect();
        Tensor::from_slice(&values).reshape(shape)
    }

    /// A float32 tensor on the CPU, standard normal.
    pub fn normal_tensor(&mut self, shape: &[i64]) -> Tensor {
        Tensor::from_slice(&self.normal(count(shape))).reshape(shape)
    }

    /// So many standard normal numbers.
    pub fn normal(&mut self, count: i64) -> Vec<f32> {
        (0..count).map(|_| StandardNormal.sample(&mut self.0)).collect()
    }

    /// 0 to n-1 in random order.
    pub fn permutation(&mut self, n: i64) -> Vec<i64> {
        let mut positions: Vec<i64> = (0..n).collect();
        positions.shuffle(&mut self.0);
        positions
    }

    /// `amount` of these, drawn without replacement (all of them, shuffled, when there are fewer).
    pub fn choose(&mut self, from: &[i64], amount: usize) -> Vec<i64> {
        let amount = amount.min(from.len());
        rand::seq::index::sample(&mut self.0, from.len(), amount).into_iter().map(|index| from[index]).collect()
    }

    /// The generator itself, for crates that want one.
    pub fn generator(&mut self) -> &mut impl Rng {
        &mut self.0
    }
}

fn count(shape: &[i64]) -> i64 {
    shape.iter().product()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_purpose_and_step() {
        let draw = |seed, purpose, step| stream(seed, purpose, step).permutation(50);
        assert_eq!(draw(0, "a", 0), draw(0, "a", 0));
        for other in [draw(1, "a", 0), draw(0, "b", 0), draw(0, "a", 1)] {
            assert_ne!(draw(0, "a", 0), other);
        }
        // Fixed for ever: stored results depend on it.
        assert_eq!(stream(7, "pinned", 3).permutation(8), PINNED);
    }

    const PINNED: [i64; 8] = [5, 7, 4, 1, 3, 2, 6, 0];
}
