//! What stands on record: measured quantities beside results, numerics, what a run was started with, and results that are
//! computed again.

use crate::project::{Project, assert_worker};
use ddpipe_cache::{Cache, Record};

/// Digits, two tiny networks that differ in their seed, and two tables: one of accuracies, one that names seconds too.
const TABLES: &str = r#"[pipeline]
name = "tables"

[stages.digits]
kind   = "sample.digits"
params = { train = 60, test = 20 }

[stages.train_set]
kind   = "decode.idx"
inputs = { images = "digits.train_images", labels = "digits.train_labels" }

[stages.network]
kind   = "train.classifier"
matrix = { seed = [0, 1] }
inputs = { train = "train_set" }
params = { arch = "mlp", epochs = 1 }

[stages.accuracies]
kind   = "compare.table"
inputs = { results = { gather = "network.metrics" } }
params = { rows = ["seed"], columns = [], values = ["train_accuracy"], best = ["none"] }

[stages.seconds]
kind   = "compare.table"
inputs = { results = { gather = "network.metrics" } }
params = { rows = ["seed"], columns = [], values = ["measured.train_seconds"], best = ["none"] }
"#;

fn tables() -> Project {
    assert_worker();
    let project = Project::new();
    project.file("pipelines/tables.toml", TABLES);
    project
}

fn record(project: &Project, cache: &str, node: &str) -> Record {
    let cache = Cache::open(&project.path(cache)).unwrap();
    cache.newest_record("tables", node).unwrap().unwrap()
}

#[test]
fn equal_bytes_never_make_a_table_run_again_unless_it_names_what_was_measured() {
    let project = tables();
    let run = |more: &[&str]| project.go("pipelines/tables.toml", &[&["--threads", "1"], more].concat());
    run(&[]).ok();
    run(&["--cache", "other"]).ok();
    let keys = |node: &str| [".ddpipe", "other"].map(|cache| record(&project, cache, node).key);
    let [here, there] = keys("accuracies");
    assert_eq!(here, there, "a table of accuracies has one key, in one cache or two");
    let [here, there] = keys("seconds");
    assert_ne!(here, there, "a table of seconds has the seconds in its key");
    let again = run(&["--force", "network"]);
    again.ok();
    let ran: Vec<String> = again
        .events()
        .iter()
        .filter(|event| event["event"] == "started")
        .map(|event| event["node"].as_str().unwrap().to_string())
        .collect();
    assert!(ran.contains(&"seconds".to_string()) && !ran.contains(&"accuracies".to_string()), "{ran:?}");
    let network = record(&project, ".ddpipe", "network[seed=0]");
    assert!(network.measured.contains_key("train_seconds") && !network.metrics.contains_key("train_seconds"));
    assert!(network.metrics.contains_key("train_accuracy"));
}

#[test]
fn a_record_says_what_decided_its_bits_and_strict_runs_keep_them_apart() {
    let mut project = tables();
    project.run(&["run", "pipelines/tables.toml", "--threads", "1"]).ok();
    let numerics = record(&project, ".ddpipe", "network[seed=0]").provenance.numerics.clone().unwrap();
    assert!(numerics.libtorch.starts_with("2.") && numerics.threads == 1 && numerics.device == "cpu", "{numerics:?}");
    let strict = ["run", "pipelines/tables.toml", "--threads", "1", "--numerics", "strict"];
    project.run(&["plan", "pipelines/tables.toml", "--numerics", "strict"]).ok().says("numerics: loose -> libtorch 2.");
    project.run(&strict).ok();
    project.run(&strict).ok().says("all 6 nodes are on record");
    project.env("ONEDNN_MAX_CPU_ISA", "SSE41");
    let other = project.run(&strict);
    other.ok().says("numerics: ");
    // Loose again: results of all of them are used.
    project.run(&["run", "pipelines/tables.toml", "--threads", "1"]).ok().says("on record");
}

#[test]
fn a_recorded_node_is_computed_again_beside_the_cache_and_compared() {
    let mut project = tables();
    project.run(&["run", "pipelines/tables.toml", "--threads", "1"]).ok();
    let before = project.run(&["cache", "du"]).out.clone();
    let verify = |more: &[&str]| project.run(&[&["verify", "pipelines/tables.toml", "--threads", "1"], more].concat());
    verify(&["--recompute", "--select", "network"]).ok().says("network[seed=0]: equal").says("network[seed=1]: equal");
    verify(&["--recompute", "2"]).ok().says("equal");
    assert_eq!(project.run(&["cache", "du"]).out, before, "the cache is as it was");
    // Another record of the same key: the sum of a network that was trained on other data.
    let other = verify(&["--select", "nothing"]);
    other.code(2).says("no node matches");
    project.env("ATEN_CPU_CAPABILITY", "default");
    let elsewhere =
        project.run(&["verify", "pipelines/tables.toml", "--threads", "1", "--recompute", "--select", "network"]);
    assert!(matches!(elsewhere.status.code(), Some(0 | 5)), "{elsewhere:?}");
    if elsewhere.status.code() == Some(5) {
        elsewhere.says("not comparable").says("metrics differ by at most");
    }
}

#[test]
fn a_run_can_be_started_again_as_it_was() {
    let project = Project::counting();
    project.file("pipelines/base.toml", "[vars]\nfar = 3\n");
    project.edit("pipelines/two.toml", "[pipeline]", "include = [\"base.toml\"]\n[pipeline]");
    project.edit("pipelines/two.toml", "to = 3", "to = \"${far}\"");
    let first = project.go("pipelines/two.toml", &["--set", "vars.far=5"]);
    first.ok().ran(&["a", "b"]);
    let begun = first.events().into_iter().find(|event| event["event"] == "begun").unwrap();
    let id = begun["run"].as_str().unwrap().to_string();
    // Everything changes, and one file is gone.
    std::fs::remove_file(project.path("pipelines/base.toml")).unwrap();
    project.file("pipelines/two.toml", "[pipeline]\nname = \"other\"\n[stages.c]\nkind = \"sample.digits\"\n");
    let plan = project.run(&["plan", "--from-run", &id]);
    plan.ok().says("2 on record");
    project.run(&["run", "--from-run", &id, "--allow-commands"]).ok().says("all 2 nodes are on record");
    // A record of a run that a stranger wrote: it names another folder to work in.
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().join("pipelines");
    std::fs::create_dir(&folder).unwrap();
    let start = format!(".ddpipe/runs/{id}/start.json");
    let (text, own) = (project.read(&start), project.path("pipelines/two.toml"));
    let (own, other) = (own.display().to_string(), folder.join("two.toml").display().to_string());
    project.file(&start, text.replace(&format!("{own:?}"), &format!("{other:?}")));
    project.run(&["plan", "--from-run", &id]).code(2).says("neither in this folder nor around the cache");
    assert!(elsewhere.path().read_dir().unwrap().count() == 1, "nothing is made there");
    project.file(&start, text);
    project.run(&["run", "--from-run", "1999"]).code(2).says("there is no run");
    project.run(&["run"]).code(2).says("<MANIFEST>");
    let start = project.read(&format!(".ddpipe/runs/{id}/start.json"));
    assert!(start.contains("vars.far") && start.contains("base.toml") && start.contains("\"node\": \"a\""), "{start}");
}
