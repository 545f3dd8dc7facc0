//! Everything of the stages that reads bytes of a stranger or of a damaged disk, under fuzzing:
//! `DDPIPE_FUZZ=60 cargo test --workspace --test stages fuzz::cifar -- --nocapture` gives one reader a minute.

mod readers;
mod seeds;

use crate::fuzzing::{self, Target};
use std::path::{Path, PathBuf};

/// What a reader may take: libtorch's and the archives' tables, and for each byte what a packed one may hold.
const MEMORY: (usize, usize) = (64 << 20, 4096);

fn run(name: &'static str, read: fn(&[u8]), golden: Option<&str>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = root.join("tests/corpus").join(name);
    let golden = golden.map(|family| root.join("golden").join(family));
    let folders: Vec<PathBuf> = [Some(corpus).filter(|corpus| corpus.is_dir()), golden].into_iter().flatten().collect();
    let mut seeds = fuzzing::seeds(&folders);
    seeds.extend(seeds::of(name));
    // Tables of expected numbers are no files of a kind, and large.
    seeds.retain(|seed| seed.len() <= 64 << 10);
    let target = Target { name, read, memory: MEMORY, time: fuzzing::PATIENCE };
    fuzzing::fuzz(&target, &seeds, &root.join("../target/fuzz"));
}

macro_rules! targets {
    ($($name:ident $(with $golden:literal)?;)*) => {
        $(#[test]
        fn $name() {
            let golden: &[&str] = &[$($golden)?];
            run(stringify!($name), readers::$name, golden.first().copied());
        })*
    };
}

targets! {
    idx with "idx";
    medmnist with "medmnist";
    npy;
    cifar;
    mhist_table with "mhist";
    mhist_archive;
    folder_archive;
    picture;
    tensor_file;
    trajectories;
    checkpoint;
}
