//! How much memory workers keep tensors in between stages.

use ddpipe_interface::memory;

/// The largest default budget of a worker for tensors between stages.
const LARGEST: u64 = 4 << 30;
/// The share of the memory that all workers together keep by default.
const SHARE: u64 = 8;

/// The default of `--memory-budget` for each of so many workers: 4 GiB, shared by those that are on one GPU by default, or
/// their part of an eighth of the memory where that is less.
pub fn budget(jobs: usize, on_a_gpu: usize) -> u64 {
    let largest = LARGEST / on_a_gpu.max(1) as u64;
    memory::limit().map_or(largest, |limit| (limit / SHARE / jobs.max(1) as u64).min(largest))
}
