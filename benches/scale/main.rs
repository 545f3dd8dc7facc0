//! What ddpipe takes when there is nothing to do, beside other programs on the same graph, and what a stage costs that
//! computes almost nothing. `docs/performance.md` says how to read the tables.
//!
//! ```sh
//! cargo bench --bench scale                                   # the usual sizes, beside ninja where it is installed
//! cargo bench --bench scale -- 250 10000                      # other sizes
//! cargo bench --bench scale -- 250 snakemake=/path/to/snakemake dvc=/path/to/dvc
//! cargo bench --bench scale -- trivial                        # the second table alone
//! ```

mod beside;
mod fill;
mod graph;
mod measure;
mod trivial;

use beside::Beside;
use ddpipe::catalog::Catalog;
use ddpipe::pipeline::Pipeline;
use ddpipe::{Overrides, load};
use ddpipe_cache::Cache;
use graph::Shape;
use measure::Took;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Sizes that are measured unless others are named.
const SIZES: [usize; 4] = [250, 2_000, 10_000, 100_000];
/// So often everything is run; the shortest time counts. Other programs that take long are run less often.
const REPETITIONS: usize = 7;
const PATIENCE: Duration = Duration::from_secs(10);
/// Nodes of the runs whose difference is the cost of a trivial stage.
const TRIVIAL: (usize, usize) = (20, 420);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let mut others: Vec<(&str, &Path)> = arguments.iter().filter_map(|argument| beside::named(argument)).collect();
    if others.iter().all(|(name, _)| *name != "ninja") {
        others.insert(0, ("ninja", Path::new("ninja")));
    }
    let only_trivial = arguments.iter().any(|argument| argument == "trivial");
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    if !only_trivial {
        println!("| graph | nodes | command | ms | us a node | times ninja | system calls a node | memory, MB |");
        println!("|---|---|---|---|---|---|---|---|");
        for size in sizes {
            for shape in [Shape::Chains, Shape::Gather] {
                one(shape, size, &others);
            }
        }
    }
    let program = program();
    let worker =
        std::env::var_os("DDPIPE_WORKER").map_or_else(|| program.with_file_name("ddpipe-worker"), PathBuf::from);
    match worker.is_file() {
        true => trivial::measure(&program, TRIVIAL.0, TRIVIAL.1, 3),
        false => eprintln!("{} is not there: no stage is run", worker.display()),
    }
}

/// The engine's program: built beside this one, unless `DDPIPE` names another, say an older one to compare with.
fn program() -> PathBuf {
    std::env::var_os("DDPIPE").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_ddpipe")), PathBuf::from)
}

fn one(shape: Shape, size: usize, others: &[(&str, &Path)]) {
    let parent = std::env::var_os("DDPIPE_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::Builder::new().prefix("ddpipe-scale-").tempdir_in(parent).expect("a temporary folder");
    let manifest = folder.path().join("scale.toml");
    std::fs::write(&manifest, graph::manifest(shape, size)).expect("the manifest is written");
    let loaded = Catalog::built_in().and_then(|catalog| load(&manifest, &Overrides::default(), catalog));
    let pipeline = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
    let nodes = pipeline.nodes.len();
    filled(&pipeline, folder.path(), shape);
    let beside = others.iter().filter_map(|(name, program)| Beside::new(name, program, &pipeline, folder.path()));
    let beside: Vec<Beside> = beside.collect();

    let last = pipeline.nodes.last().map(|node| node.address()).unwrap_or_default();
    drop(pipeline);
    let commands: Vec<(&str, Vec<&str>)> = vec![
        ("run", vec!["run", "scale.toml", "--device", "cpu"]),
        ("plan", vec!["plan", "scale.toml", "--device", "cpu"]),
        ("check", vec!["check", "scale.toml"]),
        ("why", vec!["why", "scale.toml", &last, "--device", "cpu"]),
    ];
    let ddpipe = program();
    let mut best: Vec<Option<Took>> = commands.iter().map(|_| None).collect();
    let mut best_beside: Vec<Option<Took>> = beside.iter().map(|_| None).collect();
    // What changed in the last two seconds is looked at more closely, and the first time writes what later ones read.
    std::thread::sleep(Duration::from_millis(2500));
    commands.iter().for_each(|(_, args)| _ = measure::run(&ddpipe, args, folder.path()));
    std::thread::sleep(Duration::from_millis(2500));
    measure::run(&ddpipe, &commands[0].1, folder.path());
    for _ in 0..REPETITIONS {
        for ((_, args), best) in commands.iter().zip(&mut best) {
            keep(best, measure::run(&ddpipe, args, folder.path()));
        }
        for (other, best) in beside.iter().zip(&mut best_beside) {
            if best.as_ref().is_none_or(|best| best.time < PATIENCE) {
                keep(best, other.run());
            }
        }
    }
    let is_ninja = |(other, _): &(&Beside, &Option<Took>)| other.name.starts_with("ninja");
    let of_ninja = beside.iter().zip(&best_beside).find(is_ninja).and_then(|(_, took)| Some(took.as_ref()?.time));
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
    for (other, took) in beside.iter().zip(&best_beside) {
        let quick = took.as_ref().is_some_and(|took| took.time < PATIENCE);
        let calls = quick.then(|| other.system_calls()).flatten();
        took.iter().for_each(|took| row(&other.name, took, calls));
    }
}

/// Makes a cache with a record of every node.
fn filled(pipeline: &Pipeline, folder: &Path, shape: Shape) {
    let cache = Cache::open(&folder.join(".ddpipe")).expect("a cache");
    let filled = fill::fill(pipeline, &cache);
    let nodes = pipeline.nodes.len();
    let (seconds, each) = (filled.as_secs_f64(), per(filled, nodes) / 1e3);
    eprintln!("{} {nodes}: filled in {seconds:.2} s, {each:.3} ms a node", shape.name());
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
