//! Every test of the stages outside their own files, as one program: linking libtorch fifty times costs minutes.
//! `cargo test --workspace --test stages golden::dm` runs one file of it, `... kinds::` one folder.

#![allow(clippy::unwrap_used, clippy::arc_with_non_send_sync)]

#[path = "../../tests/common/dice.rs"]
mod dice;
#[path = "../../tests/common/fuzzing.rs"]
mod fuzzing;
#[path = "../../tests/common/memory.rs"]
mod memory;
#[path = "../../tests/common/mutate.rs"]
mod mutate;

mod bars;
mod host;
mod walker;

mod fuzz;
mod golden;
mod kinds;
mod launches;
mod library;

/// Knows how much memory a reader takes.
#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;

/// Before any test: one thread for each operation of libtorch, since the tests run beside each other. The number belongs to
/// the process, and numbers are rounded otherwise on another, so no test may find it changed.
#[ctor::ctor]
fn one_thread_an_operation() {
    tch::set_num_threads(1);
}
