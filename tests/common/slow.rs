//! A project whose programs tell when two of them work on one thing at once, and how to see that what is on record of it
//! is whole.

#![allow(dead_code)]

use crate::processes;
use crate::project::Project;
use ddpipe_cache::{Cache, Digest};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The kind of [`PIPELINE`]'s own stages.
pub const KIND: &str = r#"name = "own.slow"
help = "Writes lines slowly"
version = 1
command = ["sh", "slow.sh"]
[inputs]
before = { type = ["files"], help = "what was written before", many = true, optional = true }
[outputs]
written = { type = "files", help = "lines" }
[params]
name = { type = "string", help = "whose lines" }
steps = { type = "integer", default = 4, help = "how many lines" }
"#;

/// Stages of the worker's own and of a program, in two branches that meet.
pub const PIPELINE: &str = r#"[pipeline]
name = "slow"
kinds = ["../kinds"]

[stages.digits]
kind = "sample.digits"
params = { train = 40, test = 20, size = 8 }

[stages.set]
kind = "decode.idx"
inputs = { images = "digits.train_images", labels = "digits.train_labels" }

[stages.a]
kind = "own.slow"
params = { name = "a" }

[stages.b]
kind = "own.slow"
params = { name = "b" }

[stages.c]
kind = "own.slow"
inputs = { before = { gather = ["a", "b"] } }
params = { name = "c" }
"#;

/// The stages of [`PIPELINE`].
pub const NODES: &[&str] = &["digits", "set", "a", "b", "c"];

/// What every node gives, by node and output: the digests.
pub type Digests = BTreeMap<String, String>;

/// A project with [`PIPELINE`].
pub fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/slow/stage.toml", KIND);
    project.file("kinds/own/slow/slow.sh", include_str!("slow.sh"));
    project.file("pipelines/slow.toml", PIPELINE);
    project.file("watch/.keep", "");
    project
}

/// Every output of every record of a cache is one of these, byte for byte.
#[track_caller]
pub fn assert_whole(cache: &Path, whole: &Digests) {
    let cache = Cache::open(cache).unwrap();
    for record in cache.records().unwrap() {
        for (name, output) in &record.outputs {
            let name = format!("{}.{name}", record.node);
            assert_eq!(whole.get(&name), Some(&output.digest.hex()), "{name} is on record with other bytes");
            // A record whose blob is gone is a miss, not a wrong result.
            if let Ok(bytes) = std::fs::read(cache.blobs().path(output.digest)) {
                assert_eq!(Digest::of(&bytes), output.digest, "the bytes of {name} are not those on record");
            }
        }
    }
}

/// No two programs were ever at work on one thing.
#[track_caller]
pub fn assert_one_at_a_time(project: &Project) {
    let faults = std::fs::read_to_string(project.path("watch/faults")).unwrap_or_default();
    assert!(faults.is_empty(), "{faults}");
}

/// Nothing works in the project's folder any more, at the latest after this time.
#[track_caller]
pub fn assert_nobody(project: &Project, patience: Duration) {
    let left = processes::left_after(patience, || processes::of_folder(&project.path("")));
    assert!(left.is_empty(), "left behind: {left:#?}");
}
