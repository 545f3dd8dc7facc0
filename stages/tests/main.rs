//! Every test of the stages outside their own files, as one program: linking libtorch fifty times costs minutes.
//! `cargo test --workspace --test stages golden::dm` runs one file of it, `... kinds::` one folder.

#![allow(clippy::unwrap_used, clippy::arc_with_non_send_sync)]

mod bars;
mod host;
mod walker;

mod golden;
mod kinds;
mod library;

/// Before any test: one thread for each operation of libtorch, since the tests run beside each other. The number belongs to
/// the process, and numbers are rounded otherwise on another, so no test may find it changed.
#[ctor::ctor]
fn one_thread_an_operation() {
    tch::set_num_threads(1);
}
