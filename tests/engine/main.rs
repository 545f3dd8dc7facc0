//! The engine from load to record, without processes and without torch: an executor follows each test's script. What the
//! command does with it is in `tests/command`.

#![allow(clippy::unwrap_used)]

#[path = "../common/dice.rs"]
mod dice;
#[path = "../common/engine.rs"]
mod lab;

mod cache_errors;
mod cost;
mod expectations;
mod failures;
mod gather;
mod interrupts;
mod limits;
mod losses;
mod on_demand;
mod order;
mod random;
mod report;
mod reuse;
mod sharing;
mod together;
