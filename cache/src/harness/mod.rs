//! Harnesses that try to make the cache lose or falsify something: failing operations, power cuts, damage, races, and
//! every order of the lock file's protocol. Each has a quick form, which is a test like any other, and a long form, which
//! tries `DDPIPE_SOAK` times as much. `docs/reliability.md` has the sizes and what was found.
#![allow(clippy::unwrap_used)]

mod collecting;
mod damage;
pub(crate) mod deeds;
mod faults;
mod lock_model;
mod power;
mod power_model;
mod races;
mod scene;
mod together;
pub(crate) mod watch;

use tempfile::TempDir;

/// How many times its quick size a harness tries: 1, or what `DDPIPE_SOAK` says.
fn soak() -> usize {
    std::env::var("DDPIPE_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

/// An empty folder, in memory where the system has such a place: flushing costs nothing there.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Random numbers that are the same in every run (xorshift).
struct Chance(u64);

impl Chance {
    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
