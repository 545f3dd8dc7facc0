//! What a stage costs that computes almost nothing: engine and worker together, from the first node to the last record. Needs
//! a worker, beside the command or named by `DDPIPE_WORKER`.

use crate::measure;
use std::path::Path;

/// A set of tiny images, and so many stages that take one image of each class from it.
fn manifest(nodes: usize) -> String {
    format!(
        r#"[pipeline]
name = "trivial"

[stages.digits]
kind   = "sample.digits"
params = {{ train = 40, test = 10, size = 8 }}

[stages.train_set]
kind   = "decode.idx"
inputs = {{ images = "digits.train_images", labels = "digits.train_labels" }}

[stages.start]
kind   = "init.synthetic"
matrix = {{ seed = {{ from = 0, to = {} }} }}
inputs = {{ real = "train_set" }}
params = {{ ipc = 1 }}
"#,
        nodes.max(1) - 1
    )
}

/// Prints a table: the time of a node is that of a run of many less that of a run of few, shared among the nodes between.
pub fn measure(program: &Path, few: usize, many: usize, repetitions: usize) {
    println!("\n| jobs | nodes | ms a node | flushes a node |\n|---|---|---|---|");
    for jobs in ["1", "2"] {
        let runs: Vec<[f64; 2]> =
            (0..repetitions).map(|_| [few, many].map(|nodes| seconds(program, nodes, jobs))).collect();
        let least = |which: usize| runs.iter().map(|run| run[which]).fold(f64::INFINITY, f64::min);
        let between = (many - few) as f64;
        let flushes = [few, many].map(|nodes| flushes(program, nodes, jobs));
        let flushes = match flushes {
            [Some(few), Some(many)] => format!("{:.2}", many.saturating_sub(few) as f64 / between),
            _ => "–".into(),
        };
        println!("| {jobs} | {many} | {:.2} | {flushes} |", (least(1) - least(0)) * 1e3 / between);
    }
}

/// A new project with so many stages, and the arguments that run it.
fn project(nodes: usize) -> tempfile::TempDir {
    let parent = std::env::var_os("DDPIPE_BENCH_DIR").map_or_else(std::env::temp_dir, std::path::PathBuf::from);
    let folder = tempfile::Builder::new().prefix("ddpipe-trivial-").tempdir_in(parent).expect("a temporary folder");
    std::fs::write(folder.path().join("trivial.toml"), manifest(nodes)).expect("the manifest is written");
    folder
}

fn args(jobs: &str) -> [&str; 7] {
    ["run", "trivial.toml", "--quiet", "--device", "cpu", "--jobs", jobs]
}

fn seconds(program: &Path, nodes: usize, jobs: &str) -> f64 {
    let folder = project(nodes);
    measure::run(program, &args(jobs), folder.path()).time.as_secs_f64()
}

fn flushes(program: &Path, nodes: usize, jobs: &str) -> Option<u64> {
    let folder = project(nodes);
    measure::calls_of(&["fsync", "fdatasync"], program, &args(jobs), folder.path())
}
