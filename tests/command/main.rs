//! The command driven from outside, with real workers: exit codes, words, files, signals, and what is left after them.

#![allow(clippy::unwrap_used)]

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

mod basics;
mod cache;
mod commands;
mod download;
mod folders;
mod kills;
mod kinds;
mod mnist;
mod programs;
mod protocol;
mod races;
mod ranking;
mod record_keeping;
mod results;
mod runs;
mod sharing;
mod signals;
mod sources;
mod terminal;
mod where_from;
