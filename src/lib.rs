//! The engine of ddpipe: reads a manifest, works out what has to run, and has it run. Each module is named after its
//! product, in the order in which work flows. Never links torch: it must start in milliseconds.

pub mod address;
pub mod catalog;
pub mod cli;
pub mod diagnostic;
pub mod download;
pub mod event;
pub mod executor;
pub mod exit;
pub mod expect;
pub mod graph;
pub mod key;
pub mod load;
pub mod manifest;
mod note;
pub mod pipeline;
pub mod plan;
pub mod progress;
pub mod reason;
mod records;
pub mod resolve;
pub mod results;
pub mod schedule;
pub mod schema;
pub mod selector;
pub mod size;
pub mod slots;
pub mod sources;

pub use load::load;
pub use manifest::Overrides;
