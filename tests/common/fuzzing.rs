//! Fuzzing on stable Rust: a reader is given seeds, and what chance makes of them, for a while. It must not panic, take
//! longer than it may, which is two seconds for most, or memory out of proportion. `DDPIPE_FUZZ` says how many seconds for each reader. What is at
//! fault is written to a file that the failure names, and the reader is given that file's bytes to see it again. Used by
//! the tests of the engine and by those of the stages; knows no reader.

#![allow(dead_code)]

use crate::dice::Dice;
use crate::memory;
use crate::mutate::mutated;
use nix::sys::resource::{UsageWho, getrusage};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One reader and what it may take.
pub struct Target {
    /// Its name, of its seeds and of the files that it fails with.
    pub name: &'static str,
    /// Reads the bytes; whatever they are, it returns.
    pub read: fn(&[u8]),
    /// The memory that it may take for any input, in bytes, and for each byte of the input besides.
    pub memory: (usize, usize),
    /// What one input may take of the processor's time.
    pub time: Duration,
}

/// What most readers may take for one input.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// What one input may take altogether, however busy the machine is: then the process ends.
const END: Duration = Duration::from_secs(60);

/// The input at work and since when.
type Current = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Gives the reader all seeds, and then mutated ones until the time is over. `failed` is the folder for what is at fault.
pub fn fuzz(target: &Target, seeds: &[Vec<u8>], failed: &Path) {
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let text = std::env::var("DDPIPE_FUZZ").unwrap_or_else(|_| "1".into());
    let time = Duration::from_secs_f64(text.parse().expect("DDPIPE_FUZZ is a number of seconds"));
    let mut dice = Dice::new();
    // An input that ends the process leaves no other trace.
    println!("{}: seed {}", target.name, dice.seed());
    let current = Current::default();
    let over = watch(target.name, current.clone(), failed.to_path_buf());
    let begun = Instant::now();
    let mut executions = 0u64;
    for seed in seeds {
        attempt(target, seed, &current, failed, &dice);
        executions += 1;
    }
    while begun.elapsed() < time {
        let input = mutated(seeds, &mut dice);
        attempt(target, &input, &current, failed, &dice);
        executions += 1;
    }
    drop(over);
    let seconds = begun.elapsed().as_secs_f64();
    println!("soak: {}: {executions} executions in {seconds:.1} s, seed {}", target.name, dice.seed());
}

fn attempt(target: &Target, input: &[u8], current: &Current, failed: &Path, dice: &Dice) {
    *current.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), input.to_vec()));
    let before = computed();
    memory::begin();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.read)(input)));
    let (taken, computed) = (memory::peak(), computed().saturating_sub(before));
    *current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let fault = if ended.is_err() {
        "panics".to_string()
    } else if computed > target.time {
        format!("takes {} s", computed.as_secs_f32())
    } else if taken > target.memory.0 + target.memory.1 * input.len() {
        format!("takes {} MiB for {} bytes", taken >> 20, input.len())
    } else {
        return;
    };
    let file = kept(target.name, input, failed);
    panic!("{} {fault}: the input is in {}; DDPIPE_SEED={}", target.name, file.display(), dice.seed());
}

/// The time that this thread has computed.
fn computed() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Duration::ZERO };
    let time = usage.user_time() + usage.system_time();
    Duration::new(time.tv_sec().max(0) as u64, time.tv_usec().max(0) as u32 * 1000)
}

fn kept(name: &str, input: &[u8], folder: &Path) -> PathBuf {
    let file = folder.join(format!("{name}-{}", &ddpipe_cache::Digest::of(input).hex()[..16]));
    fs::create_dir_all(folder).unwrap();
    fs::write(&file, input).unwrap();
    file
}

/// Ends the process when an input never comes to an end. Until what it returns is dropped.
fn watch(name: &'static str, current: Current, failed: PathBuf) -> Arc<()> {
    let over = Arc::new(());
    let going_on = Arc::downgrade(&over);
    std::thread::spawn(move || {
        while going_on.strong_count() > 0 {
            std::thread::sleep(Duration::from_millis(200));
            let input = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some((_, input)) = input.filter(|(since, _)| since.elapsed() > END) {
                eprintln!("{name} does not end: the input is in {}", kept(name, &input, &failed).display());
                std::process::exit(101);
            }
        }
    });
    over
}

/// The files of these folders, as seeds; those of folders within are not.
pub fn seeds(folders: &[PathBuf]) -> Vec<Vec<u8>> {
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap_or_else(|_| panic!("{folder:?}")));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}
