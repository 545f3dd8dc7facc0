//! How long a few steps of each kind take on one thread and on several: `cargo bench --bench steps`. Each stage of
//! `benches/steps.toml` below the line "timed" runs alone, in turn on each number of threads, `REPEAT` times; the shortest
//! counts. Names after `--` choose stages, `--threads 1,2,4` the numbers of threads.
//!
//! The programs are those of the bench profile. Nothing else should run on the machine.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// How often a stage runs on each number of threads.
const REPEAT: usize = 3;

fn main() {
    // cargo passes `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut threads, mut chosen) = (vec![1, cores()], Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => threads = numbers(&arguments.next().unwrap_or_default()),
            _ => chosen.push(argument),
        }
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/steps.toml");
    let text = std::fs::read_to_string(&manifest).expect("benches/steps.toml");
    let (before, timed) = text.split_once("# ---- timed").expect("a line that begins the timed stages");
    let (before, mut timed) = (stages(before), stages(timed));
    timed.retain(|name| chosen.is_empty() || chosen.contains(name));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs = folder.path().join("inputs");
    for name in &before {
        run(&manifest, &inputs, None, name, cores());
    }
    let on: Vec<String> = threads.iter().map(|threads| format!("{threads:>5} thr")).collect();
    println!("{:<12}{}   ratio   (seconds, the shortest of {REPEAT})", "stage", on.join(" "));
    for name in &timed {
        let mut shortest = vec![f64::INFINITY; threads.len()];
        for repetition in 0..REPEAT {
            for (shortest, &threads) in shortest.iter_mut().zip(&threads) {
                let cache = folder.path().join(format!("{name}-{threads}-{repetition}"));
                *shortest = shortest.min(run(&manifest, &cache, Some(&inputs), name, threads));
                std::fs::remove_dir_all(&cache).expect("a cache that can be removed");
            }
        }
        let took: Vec<String> = shortest.iter().map(|seconds| format!("{seconds:>9.2}")).collect();
        let ratio = shortest.first().zip(shortest.last()).map_or(0.0, |(first, last)| first / last);
        println!("{name:<12}{}   {ratio:>5.2}", took.join(" "));
    }
}

/// Runs one stage, and what it needs unless that is in `inputs`, and returns the seconds that the stage took.
fn run(manifest: &Path, cache: &Path, inputs: Option<&Path>, stage: &str, threads: usize) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ddpipe"));
    command.arg("run").arg(manifest).args(["--select", stage, "--jobs", "1", "--json", "--cache"]).arg(cache);
    command.args(["--threads", &threads.to_string(), "--results"]).arg(cache.join("results"));
    inputs.map(|inputs| command.arg("--cache-from").arg(inputs));
    let output = command.output().expect("ddpipe");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stage}: {said}{}", String::from_utf8_lossy(&output.stderr));
    let events = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done = events.filter(|event| event["event"] == "finished" && event["node"] == stage);
    done.filter_map(|event| event["seconds"].as_f64()).next_back().unwrap_or(0.0)
}

/// The names of the stages that a part of a manifest declares.
fn stages(part: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("[stages.")?.strip_suffix(']')?.to_string());
    part.lines().filter_map(name).filter(|name| !name.contains('.')).collect()
}

fn numbers(list: &str) -> Vec<usize> {
    list.split(',').map(|number| number.parse().expect("numbers of threads: 1,2,4")).collect()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}
