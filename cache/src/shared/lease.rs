//! Leases as values: their names, and how contenders for one key come to an agreement by writing and listing alone. No input
//! and no output; `cache/tests/lease_model.rs` goes through all orders.
//!
//! Who wants a key writes a lease, lists, and has the key if no other live lease on it is there. Two holders would each have
//! listed after their own writing without seeing the other: then each wrote after the other's listing, which is
//! impossible. Where listings are late, who waits for longer than that between writing and listing sees all the same what was
//! written before its own lease. That the lowest name wins at once would be wrong: a lower one may be written later.

use crate::Key;
use std::time::Duration;

/// The folder of leases in a store.
pub const FOLDER: &str = "leases-v1";

/// The name of a lease, which is all that it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// What is computed.
    pub key: Key,
    /// The number of the attempt, from 1 on.
    pub attempt: u32,
    /// Who computes it.
    pub holder: String,
}

impl Name {
    /// The name of the object.
    pub fn object(&self) -> String {
        format!("{FOLDER}/{}.{:04}.{}", self.key, self.attempt, self.holder)
    }

    /// The lease that an object's name is, if it is one.
    pub fn of_object(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(FOLDER)?.strip_prefix('/')?.splitn(3, '.');
        let (key, attempt, holder) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Name { key: key.parse().ok()?, attempt: attempt.parse().ok()?, holder: holder.to_string() })
    }
}

/// How often the lowest contender looks again.
pub const LOOKS: u32 = 5;

/// A contender whose lease is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bid {
    looks: u32,
}

/// What a contender does after a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It has the key.
    Holds,
    /// It takes its lease back: this one goes before it.
    Yields(Name),
    /// It lists again after a pause.
    LooksAgain(Duration),
}

impl Bid {
    /// One that has just written its lease.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Bid { looks: 0 }
    }

    /// Judges a listing: `others` are the live leases of others on the key.
    pub fn judge(&mut self, mine: &Name, others: &[Name]) -> Next {
        let Some(lowest) = others.iter().min() else { return Next::Holds };
        if lowest < mine || self.looks == LOOKS {
            return Next::Yields(lowest.clone());
        }
        self.looks += 1;
        Next::LooksAgain(Duration::from_millis(50 << self.looks))
    }
}

/// The number of the next attempt, after all that are listed.
pub fn next_attempt<'a>(listed: impl Iterator<Item = &'a Name>) -> u32 {
    listed.map(|name| name.attempt).max().unwrap_or(0).saturating_add(1)
}
