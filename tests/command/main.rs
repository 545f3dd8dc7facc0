//! The command driven from outside, with real workers: exit codes, words, files, signals, and what is left after them.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "s3")]
#[path = "../../cache/tests/common/buckets.rs"]
mod bucket_server;
#[path = "../common/dice.rs"]
mod dice;
#[path = "../common/processes.rs"]
mod processes;
#[path = "../common/project.rs"]
mod project;
#[path = "../common/server.rs"]
mod server;
#[path = "../common/slow.rs"]
mod slow;
#[path = "../common/slurm.rs"]
mod slurm_cluster;
#[path = "../common/terminal.rs"]
mod terminal;

mod absent;
mod baselines;
mod basics;
#[cfg(feature = "s3")]
mod buckets;
mod cache;
mod check;
mod ci_page;
mod commands;
mod compare;
mod diff;
mod download;
mod export;
mod field;
mod folders;
mod hostile;
mod init;
mod kept;
mod kills;
mod kinds;
mod ledger;
mod logs;
mod mnist;
mod offered;
mod page;
mod partial;
mod pilots;
mod presets;
mod programs;
mod protocol;
mod python;
mod races;
mod ranking;
mod record_keeping;
mod remote;
mod report;
mod reports;
mod results;
mod runs;
mod screen;
mod sent;
mod sharing;
mod shells;
mod show;
mod signals;
mod slurm;
mod slurm_long;
mod sources;
mod table;
mod verify;
mod watch;
mod where_from;
mod why;
mod words;
