//! The program `ddpipe-worker`, driven through its socket.

#![allow(clippy::unwrap_used)]

mod fixture;
mod memory;
mod served;
