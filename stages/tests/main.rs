//! Every test of the stages outside their own files, as one program: linking libtorch fifty times costs minutes.
//! `cargo test -p ddpipe-stages golden::dm` runs one file of it, `... kinds::` one folder.

#![allow(clippy::unwrap_used, clippy::arc_with_non_send_sync)]

mod bars;
mod host;
mod walker;

mod golden;
mod kinds;
mod library;
