//! The program `ddpipe-worker` driven from outside, over its socket, as the engine does it.

#![allow(clippy::unwrap_used)]

mod fixture;
mod memory;
mod served;
