//! The engine of ddpipe: reads a manifest, works out what has to run, and has it run. Each module is named after its
//! product, in the order in which work flows. Never links torch: it must start in milliseconds.

pub mod catalog;
pub mod diagnostic;
pub mod load;
pub mod manifest;
pub mod pipeline;
pub mod resolve;
pub mod selector;

pub use load::{Options, load};
