//! Chance for tests that try things at random: every draw follows from a seed, which a failing test prints and
//! `DDPIPE_SEED` gives again. Knows nothing of what is tried.

#![allow(dead_code)]

use std::time::{SystemTime, UNIX_EPOCH};

/// A source of numbers (SplitMix64).
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// By `DDPIPE_SEED`, or else by the clock.
    pub fn new() -> Self {
        let given = std::env::var("DDPIPE_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        Dice::seeded(given.unwrap_or_else(clock))
    }

    /// By this seed.
    pub fn seeded(seed: u64) -> Self {
        Dice { seed, state: seed }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 and below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.any() % bound as u64) as usize }
    }

    /// One of these, if there are any.
    pub fn among<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        things.get(self.below(things.len())).copied()
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the same draws again: DDPIPE_SEED={}", self.seed);
        }
    }
}

/// How often to try: this often, or as often as `DDPIPE_SOAK` says.
pub fn times(quick: usize) -> usize {
    std::env::var("DDPIPE_SOAK").ok().map_or(quick, |text| text.parse().expect("DDPIPE_SOAK is a number"))
}
