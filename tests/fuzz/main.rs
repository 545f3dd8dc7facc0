//! Everything of the engine that reads bytes of a stranger, a server, a worker or a damaged disk, under fuzzing:
//! `DDPIPE_FUZZ=60 cargo test --workspace --test fuzz manifest -- --nocapture` gives one reader a minute.

#![allow(clippy::unwrap_used)]

#[path = "../common/dice.rs"]
mod dice;
#[path = "../common/fuzzing.rs"]
mod fuzzing;
#[path = "../common/memory.rs"]
mod memory;
#[path = "../common/mutate.rs"]
mod mutate;
mod readers;
mod seeds;

use fuzzing::Target;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;

/// What a reader may take: its own buffers and tables, and something for each byte.
const LITTLE: (usize, usize) = (16 << 20, 64);
/// A manifest's matrix may make many nodes of few bytes; the bounds are in docs/security.md.
const MUCH: (usize, usize) = (1 << 30, 64);

fn run(name: &'static str, read: fn(&[u8]), memory: (usize, usize)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join("tests/corpus").join(name)];
    let mut time = fuzzing::PATIENCE;
    if name == "manifest" {
        // Hostile ones go to the bounds in docs/security.md, which are seconds each, so they are for long runs.
        let long = std::env::var_os("DDPIPE_FUZZ").is_some();
        let more: &[&str] = if long { &["good", "bad", "hostile"] } else { &["good", "bad"] };
        folders.extend(more.iter().map(|folder| root.join("tests/manifests").join(folder)));
        time = Duration::from_secs(20);
    }
    fuzzing::fuzz(&Target { name, read, memory, time }, &fuzzing::seeds(&folders), &root.join("target/fuzz"));
}

macro_rules! targets {
    ($($name:ident: $read:path, $memory:expr;)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name), $read, $memory);
        })*
    };
}

targets! {
    manifest: readers::manifest, MUCH;
    selector: readers::selector, LITTLE;
    content_range: readers::content_range, LITTLE;
    declaration: readers::declaration, LITTLE;
    to_worker: readers::protocol::to_worker, LITTLE;
    from_worker: readers::protocol::from_worker, LITTLE;
    lock_file: readers::lock_file, LITTLE;
    allowed: readers::allowed, LITTLE;
    record: readers::cache::record, LITTLE;
    stat: readers::cache::stat, LITTLE;
    latest: readers::cache::latest, LITTLE;
    reached: readers::cache::reached, LITTLE;
    folder: readers::folder::folder, LITTLE;
}
