//! What ddpipe takes when there is nothing to do, beside ninja on the same graph: `cargo bench --bench scale`. Sizes can
//! be named: `cargo bench --bench scale -- 250 10000`. Times depend on the machine; the columns to compare are those with
//! ninja, system calls and memory. `docs/performance.md` says how to read it.

mod fill;
mod graph;
mod measure;

use ddpipe::catalog::Catalog;
use ddpipe::{Overrides, load};
use ddpipe_cache::Cache;
use graph::Shape;
use measure::Took;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sizes that are measured unless others are named.
const SIZES: [usize; 3] = [250, 2_000, 10_000];
/// So often everything is run; the shortest time counts.
const REPETITIONS: usize = 7;

fn main() {
    let named: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if named.is_empty() { SIZES.to_vec() } else { named };
    println!("| graph | nodes | command | ms | per node, us | times ninja | system calls a node | memory, MB |");
    println!("|---|---|---|---|---|---|---|---|");
    for size in sizes {
        for shape in [Shape::Chains, Shape::Gather] {
            one(shape, size);
        }
    }
}

/// The engine's program: built beside this one, unless `DDPIPE` names another, say an older one to compare with.
fn program() -> PathBuf {
    std::env::var_os("DDPIPE").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ddpipe")), PathBuf::from)
}

fn one(shape: Shape, size: usize) {
    let parent = std::env::var_os("DDPIPE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("ddpipe-scale-").tempdir_in(parent).expect("a temporary folder");
    let manifest = folder.path().join("scale.toml");
    std::fs::write(&manifest, graph::manifest(shape, size)).expect("the manifest is written");
    let loaded = Catalog::built_in().and_then(|catalog| load(&manifest, &Overrides::default(), catalog));
    let pipeline = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    let nodes = pipeline.nodes.len();
    let cache = Cache::open(&folder.path().join(".ddpipe")).expect("a cache");
    let filled = fill::fill(&pipeline, &cache);
    eprintln!(
        "{} {nodes}: filled in {:.2} s, {:.3} ms a node",
        shape.name(),
        filled.as_secs_f64(),
        per(filled, nodes) / 1e3
    );
    let ninja = with_ninja(&pipeline, folder.path());

    let last = pipeline.nodes.last().map(|node| node.address()).unwrap_or_default();
    let commands: Vec<(&str, Vec<&str>)> = vec![
        ("run", vec!["run", "scale.toml", "--device", "cpu"]),
        ("plan", vec!["plan", "scale.toml", "--device", "cpu"]),
        ("check", vec!["check", "scale.toml"]),
        ("why", vec!["why", "scale.toml", &last, "--device", "cpu"]),
    ];
    let ddpipe = program();
    let mut best: Vec<Option<Took>> = commands.iter().map(|_| None).collect();
    let mut ninja_best: Option<Took> = None;
    // What changed in the last two seconds is looked at more closely.
    std::thread::sleep(Duration::from_millis(2500));
    for repetition in 0..=REPETITIONS {
        let runs = commands.iter().map(|(_, args)| measure::run(&ddpipe, args, folder.path())).collect::<Vec<_>>();
        // The first time writes what later ones read.
        if repetition == 0 {
            std::thread::sleep(Duration::from_millis(2500));
            measure::run(&ddpipe, &commands[0].1, folder.path());
            continue;
        }
        best.iter_mut().zip(runs).for_each(|(best, run)| keep(best, run));
        if let Some(ninja) = &ninja {
            keep(&mut ninja_best, measure::run(Path::new("ninja"), &["-C", "ninja"], ninja));
        }
    }
    let of_ninja = ninja_best.as_ref().map(|took| took.time);
    let row = |name: &str, took: &Took, calls: Option<u64>| {
        let ratio =
            of_ninja.map_or("–".to_string(), |ninja| format!("{:.1}", took.time.as_secs_f64() / ninja.as_secs_f64()));
        let calls = calls.map_or("–".to_string(), |calls| format!("{:.2}", calls as f64 / nodes as f64));
        println!(
            "| {} | {nodes} | {name} | {:.1} | {:.1} | {ratio} | {calls} | {:.0} |",
            shape.name(),
            took.time.as_secs_f64() * 1e3,
            per(took.time, nodes),
            took.memory as f64 / 1e6
        );
    };
    for ((name, args), took) in commands.iter().zip(&best) {
        let calls = measure::system_calls(&ddpipe, args, folder.path());
        took.iter().for_each(|took| row(name, took, calls));
    }
    ninja_best.iter().for_each(|took| {
        row("ninja", took, measure::system_calls(Path::new("ninja"), &["-C", "ninja"], folder.path()))
    });
}

fn keep(best: &mut Option<Took>, took: Took) {
    let memory = best.as_ref().map_or(0, |best| best.memory).max(took.memory);
    let time = best.as_ref().map_or(took.time, |best| best.time.min(took.time));
    *best = Some(Took { time, memory });
}

/// Microseconds for each node.
fn per(time: Duration, nodes: usize) -> f64 {
    time.as_secs_f64() * 1e6 / nodes as f64
}

/// The same graph for ninja, built once; none where there is no ninja.
fn with_ninja(pipeline: &ddpipe::pipeline::Pipeline, folder: &Path) -> Option<PathBuf> {
    if std::process::Command::new("ninja").arg("--version").output().is_err() {
        eprintln!("ninja is not installed: its column stays empty");
        return None;
    }
    graph::ninja(pipeline, &folder.join("ninja")).expect("the build file is written");
    measure::run(Path::new("ninja"), &["-C", "ninja"], folder);
    Some(folder.to_path_buf())
}
