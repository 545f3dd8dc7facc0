//! The random draws that privacy rests on: which images are in a sample, and the noise. Whoever can repeat them can take
//! the noise away, so they may be keyed by a secret file, and no two runs that differ in anything share them: two
//! results under the same noise would give away more than both cost.

use anyhow::{Result, ensure};
use ddpipe_nn::stream::stream;
use rand::Rng;

/// Fewer bytes than this can be guessed.
const LEAST: usize = 16;

/// Draws of one run, by step.
#[derive(Clone)]
pub struct Draws {
    seed: u64,
    key: String,
}

impl Draws {
    /// Draws from a seed and, where there is one, a secret; `run` is everything else that makes the run what it is.
    pub fn new(seed: u64, secret: Option<&[u8]>, run: &str) -> Result<Self> {
        let length = secret.map_or(LEAST, <[u8]>::len);
        ensure!(
            length >= LEAST,
            "the file `secret` has {length} bytes, which can be guessed; take at least {LEAST} random ones: \
             head -c 32 /dev/urandom > FILE"
        );
        // The digest of the secret stands in records; this key cannot be had from it.
        let key = blake3::derive_key("ddpipe 2026 distill.psg samples and noise", secret.unwrap_or_default());
        Ok(Draws { seed, key: blake3::keyed_hash(&key, run.as_bytes()).to_hex().to_string() })
    }

    /// The positions of a Poisson sample: each of `count` images is in it with probability `rate`, whatever the others.
    pub fn sample(&self, step: u64, count: i64, rate: f64) -> Vec<i64> {
        let mut stream = stream(self.seed, &format!("sample {}", self.key), step);
        let generator = stream.generator();
        (0..count).filter(|_| generator.random::<f64>() < rate).collect()
    }

    /// So many standard normal numbers.
    pub fn noise(&self, step: u64, count: i64) -> Vec<f32> {
        stream(self.seed, &format!("noise {}", self.key), step).normal(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn draws_repeat_and_differ_by_seed_secret_run_and_step() {
        let secret: &[u8] = b"0123456789abcdef";
        let draw = |seed, secret, run, step| {
            let draws = Draws::new(seed, secret, run).unwrap();
            (draws.sample(step, 200, 0.5), draws.noise(step, 5))
        };
        let first = draw(1, None, "run", 2);
        assert_eq!(first, draw(1, None, "run", 2));
        let others = [draw(2, None, "run", 2), draw(1, Some(secret), "run", 2), draw(1, None, "other", 2)];
        for other in others.iter().chain([&draw(1, None, "run", 3)]) {
            assert!(first.0 != other.0 && first.1 != other.1);
        }
    }

    #[test]
    fn samples_are_poisson_samples() {
        let draws = Draws::new(0, None, "").unwrap();
        let sizes: Vec<f64> = (0..400).map(|step| draws.sample(step, 1000, 0.1).len() as f64).collect();
        let mean = sizes.iter().sum::<f64>() / 400.0;
        let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / 399.0;
        assert!((mean - 100.0).abs() < 2.5 && (variance / 90.0 - 1.0).abs() < 0.35, "{mean}, {variance}");
        assert_eq!(draws.sample(0, 20, 1.0), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_short_secret_is_refused() {
        let error = Draws::new(0, Some(b"secret"), "").err().unwrap().to_string();
        assert!(error.contains("6 bytes") && error.contains("/dev/urandom"), "{error}");
    }
}
