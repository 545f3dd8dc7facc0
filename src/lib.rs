//! The engine of ddpipe: reads a manifest, works out what has to run, and has it run. It never links torch: it must start
//! in milliseconds, and a stage that crashes must not end it. The programs are `ddpipe`, which is [`cli`] and nothing
//! else, and `ddpipe-worker`, which is in the crate of the stages.
//!
//! # What to read first
//!
//! Each module is named after what it makes, and work flows in this order. A reader who wants to know how ddpipe works
//! reads the first file of each group; the rest of a group is detail.
//!
//! 1. [`pipeline`]: the nodes and edges that everything after it works on. [`load()`] makes one from a file by way of
//!    [`manifest`] (the text, with the place of every value) and [`resolve`] (what it means), with [`catalog`] for the
//!    kinds of stages. [`address`] and [`selector`] are how nodes are named, [`selection`] which of them a command means, [`published`] what others report for them, [`diagnostic`] how faults are shown.
//! 2. [`key`]: what decides reuse, in one table. [`reason`] compares two such descriptions, [`upstream`] finds what is behind an input that differs. [`numerics`] is part of the
//!    keys of strict pipelines; [`commit`] is provenance, [`program`] what a
//!    project's own kinds run, and [`allowed`] what of it the user has accepted.
//! 3. [`plan`]: what has to run, and why, as a function of the pipeline, its [`graph`] and the records of a cache.
//!    [`sources`] and [`download`] find the files from outside before.
//!    [`change`] sets two plans beside each other.
//! 4. [`schedule`]: carries a plan out. [`recompute`] runs what is on record again.
//!    [`executor`] is who runs a job; [`slots`] says on which devices,
//!    [`fleet`] starts pilots, and [`peers`] is what they tell each other; [`memory`] says how much memory there is, [`estimate`] how long a node will take.
//! 5. [`event`]: what a run tells while it goes on. [`progress`] shows it on a [`terminal`] or elsewhere,
//!    [`started`] keeps what it was started with, [`comparison`] sets two of them, or manifests of a git [`revision`], side by
//!    side, [`expect`], [`mixed`], [`baseline`], [`ledger`] and [`results`] come
//!    at the end, [`run_report`] says all of it to CI systems,
//!    [`report`] to people, as one HTML file, and [`export`] to other programs; [`image_set`] reads sets of images for both.
//! 6. [`cli`]: one module for each subcommand; [`exit`] has the exit codes, [`config`] the settings of a user or a site, [`machine`] what
//!    they say of machines that pilots run on, [`trust`] whose results of a remote are believed.

pub mod address;
pub mod allowed;
pub mod baseline;
pub mod catalog;
pub mod cause;
pub mod change;
pub mod cli;
pub mod command;
pub mod commit;
pub mod comparison;
pub mod config;
pub mod diagnostic;
pub mod download;
pub mod ended;
pub mod estimate;
pub mod event;
pub mod executor;
pub mod exit;
pub mod expect;
pub mod export;
mod fields;
pub mod fleet;
pub mod graph;
pub mod history;
pub mod image_set;
pub mod key;
pub mod ledger;
pub mod limits;
pub mod lineage;
pub mod load;
pub mod machine;
pub mod manifest;
pub mod memory;
pub mod mixed;
pub mod nearest;
mod note;
mod number;
pub mod numerics;
pub mod origin;
pub mod peers;
pub mod pipeline;
pub mod place;
pub mod plan;
pub mod program;
pub mod progress;
pub mod published;
pub mod ranking;
pub mod reason;
pub mod recompute;
mod records;
pub mod report;
pub mod resolve;
pub mod results;
pub mod revision;
pub mod run_report;
pub mod schedule;
pub mod schema;
pub mod selection;
pub mod selector;
pub mod sent;
pub mod size;
pub mod slots;
pub mod sources;
pub mod standing;
pub mod started;
pub mod table;
pub mod templates;
pub mod terminal;
pub mod told;
pub mod trust;
pub mod upstream;
mod visible;
pub mod when;

pub use load::load;
pub use manifest::Overrides;
