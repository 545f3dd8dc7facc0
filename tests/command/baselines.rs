//! Metrics that a project keeps, and later ones beside them.

use crate::project::Project;
use serde_json::Value;

const STAGE: &str = r#"name = "own.score"
help = "Scores"
version = 1
seeded = true
command = ["python3", "score.py"]
[outputs]
scores = { type = "metrics", help = "the scores" }
[params]
base = { type = "float", default = 0.8, help = "the mean" }
spread = { type = "float", default = 0.01, help = "what a seed adds" }
method = { type = "string", default = "dm", help = "an axis" }
seconds = { type = "float", default = 10.0, help = "what it says it took" }
[metrics]
accuracy = { help = "a", unit = "share", better = "higher" }
loss = { help = "l", better = "lower" }
images = { help = "neither is better" }
train_seconds = { help = "s", unit = "seconds", better = "lower", measured = true }
"#;

const PROGRAM: &str = r#"import json
told = json.load(open("params.json"))
params, seed = told["params"], told["seed"]
score = round(params["base"] + params["spread"] * seed, 6)
json.dump({"score": score}, open("outputs/scores.json", "w"))
metrics = {"accuracy": score, "loss": round(1 - score, 6), "images": 60, "train_seconds": params["seconds"]}
json.dump({"metrics": metrics}, open("outputs/metrics.json", "w"))
"#;

const MANIFEST: &str = r#"[pipeline]
name = "scores"
kinds = ["../kinds"]

[stages.evaluate]
kind = "own.score"
matrix = { method = ["dm", "psg"], seed = [0, 1, 2] }
params = { base = 0.8, spread = 0.01, seconds = 10.0 }
"#;

const FILE: &str = "baselines/scores.toml";

fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/score/stage.toml", STAGE).file("kinds/own/score/score.py", PROGRAM);
    project.file("pipelines/scores.toml", MANIFEST);
    project
}

fn record(project: &Project, more: &[&str]) {
    project.go("pipelines/scores.toml", &[]).ok();
    project.run(&[&["baseline", "record", "pipelines/scores.toml"], more].concat()).ok();
}

fn baseline_events(events: Vec<Value>) -> Vec<Value> {
    events.into_iter().filter(|event| event["event"] == "baseline").collect()
}

#[test]
fn a_baseline_is_recorded_for_git_and_a_worse_result_is_exit_code_4() {
    let project = project();
    project.run(&["baseline", "record", "pipelines/scores.toml"]).code(2).says("not on record");
    project.go("pipelines/scores.toml", &["--baseline"]).code(2).says("ddpipe baseline record").ran(&[]);
    project.go("pipelines/scores.toml", &[]).ok();
    let recorded = project.run(&["baseline", "record", "pipelines/scores.toml"]);
    recorded.ok().says("main: 4 metrics").says("own.score: images");
    let text = project.read(FILE);
    assert!(text.contains("node = \"evaluate[method=dm]\"\nmetric = \"accuracy\"\nmean = 0.81\n"), "{text}");
    assert!(
        text.contains("values = [0.8, 0.81, 0.82]") && text.contains("n = 3") && !text.contains("seconds"),
        "{text}"
    );
    // Again: not a letter changes.
    project.run(&["baseline", "record", "pipelines/scores.toml"]).ok().says("as it is");
    assert_eq!(project.read(FILE), text);
    let same = project.go("pipelines/scores.toml", &["--baseline"]);
    let rows = baseline_events(same.ok().events());
    assert!(rows.len() == 4 && rows.iter().all(|row| row["verdict"] == "same"), "{rows:?}");
    project.edit("pipelines/scores.toml", "base = 0.8", "base = 0.7");
    let worse = project.go(
        "pipelines/scores.toml",
        &["--baseline=main", "--junit", "junit.xml", "--summary", "summary.md", "--check"],
    );
    worse.code(4);
    let rows = baseline_events(worse.events());
    assert!(rows.iter().all(|row| row["verdict"] == "worse" && row["p"].as_f64().unwrap() < 0.05), "{rows:?}");
    assert!(project.read("junit.xml").contains("type=\"baseline\""));
    let summary = project.read("summary.md");
    assert!(summary.contains("**A result is worse than its baseline.**"), "{summary}");
    assert!(summary.contains("| **worse** | `evaluate[method=dm].accuracy` | 0.8100 ± 0.0100 (n 3) |"), "{summary}");
    let compared = project.run(&["baseline", "compare", "pipelines/scores.toml"]);
    compared.code(4).says("4 worse").says("WORSE: evaluate[method=psg].loss: 0.1900 ± 0.0100 (n 3) -> 0.2900");
    let lines = project.run(&["baseline", "compare", "pipelines/scores.toml", "--json", "--select", "*[method=dm]"]);
    lines.code(4);
    assert_eq!(lines.out.lines().filter(|line| serde_json::from_str::<Value>(line).unwrap()["n"].is_null()).count(), 2);
    project.edit("pipelines/scores.toml", "base = 0.7", "base = 0.9");
    project.go("pipelines/scores.toml", &["--baseline"]).ok();
    project.run(&["baseline", "compare", "pipelines/scores.toml"]).ok().says("4 better");
}

#[test]
fn what_the_values_cannot_tell_is_said_with_how_many_would_be_enough() {
    let project = project();
    record(&project, &[]);
    project.edit("pipelines/scores.toml", "base = 0.8, spread = 0.01", "base = 0.74, spread = 0.06");
    let unclear = project.run(&["run", "pipelines/scores.toml", "--allow-commands", "--baseline"]);
    unclear.ok().says("cannot say: evaluate[method=dm].accuracy").says("values on each side would be enough");
    // One value on each side: the tolerance of the file decides.
    project.edit("pipelines/scores.toml", "base = 0.74, spread = 0.06", "base = 0.8, spread = 0.01");
    project.edit("pipelines/scores.toml", "seed = [0, 1, 2]", "seed = [0]");
    record(&project, &["--name", "single"]);
    project.edit("pipelines/scores.toml", "base = 0.8", "base = 0.799");
    project.go("pipelines/scores.toml", &["--baseline=single"]).ok();
    project.edit(FILE, "[baseline.single]", "[baseline.single]\n# tight");
    let text = project.read(FILE);
    let (before, single) = text.split_at(text.find("[baseline.single]").unwrap());
    project.file(FILE, format!("{before}{}", single.replacen("tolerance = 0.01", "tolerance = 0.0001", 1)));
    project.go("pipelines/scores.toml", &["--baseline=single"]).code(4);
    project.go("pipelines/scores.toml", &["--baseline=singel"]).code(2).says("did you mean \"single\"?");
    // What a person decided stays, and the other baseline too.
    project.run(&["baseline", "record", "pipelines/scores.toml", "--name", "single"]).ok();
    let text = project.read(FILE);
    assert!(
        text.contains("tolerance = 0.0001") && text.contains("tolerance = 0.01\n") && text.contains("0.799"),
        "{text}"
    );
}

#[test]
fn nodes_that_are_not_there_are_told_and_left_out_ones_are_not_judged() {
    let project = project();
    record(&project, &[]);
    project.edit("pipelines/scores.toml", "base = 0.8", "base = 0.5");
    let part = project.go("pipelines/scores.toml", &["--baseline", "--select", "evaluate[method=dm]"]);
    part.code(4);
    assert_eq!(baseline_events(part.events()).len(), 2, "the other method is left out");
    let part = project.run(&["baseline", "compare", "pipelines/scores.toml"]);
    part.code(4).says("2 worse, 2 cannot say").says("3 of its 3 nodes have no result");
    project.edit("pipelines/scores.toml", "\"psg\"", "\"mtt\"");
    project.run(&["baseline", "compare", "pipelines/scores.toml"]).code(4).says("the pipeline has no such nodes");
    // A part is recorded beside the rest.
    project.run(&["baseline", "record", "pipelines/scores.toml", "--select", "evaluate[method=dm]"]).ok();
    let text = project.read(FILE);
    assert!(text.contains("psg") && text.contains("values = [0.5, 0.51, 0.52]"), "{text}");
}

#[test]
fn main_metrics_are_recorded_unless_others_are_chosen_and_a_lost_cache_is_no_success() {
    let project = project();
    project.edit("kinds/own/score/stage.toml", "better = \"higher\" }", "better = \"higher\", headline = true }");
    project.go("pipelines/scores.toml", &[]).ok();
    let again = |more: &[&str]| project.run(&[&["baseline", "record", "pipelines/scores.toml"], more].concat());
    again(&[]).ok().says("main: 2 metrics").says("left out: 2 other metrics");
    assert!(!project.read(FILE).contains("loss"), "{}", project.read(FILE));
    again(&["--metric", "los"]).code(2).says("did you mean \"loss\"?");
    again(&["--metric", "loss"]).ok();
    assert!(!project.read(FILE).contains("accuracy"));
    again(&[]).ok().says("as it is");
    again(&["--all-metrics"]).ok().says("main: 4 metrics");
    project.edit("pipelines/scores.toml", "base = 0.8", "base = 0.7");
    project.go("pipelines/scores.toml", &["--baseline", "--summary", "rep/s.md"]).code(4);
    project.run(&["logs", "evaluate"]).says("evaluate[method=dm,seed=0], run").is_silent_about("did not end");
    let shown = project.run(&["runs", "show", "last"]);
    shown
        .ok()
        .says("ended     with a result worse than its baseline (exit code 4)")
        .says("WORSE: evaluate[method=dm].loss");
    project.run(&["runs"]).ok().says("baseline main: 4 WORSE");
    std::fs::remove_dir_all(project.path(".ddpipe")).unwrap();
    project.run(&["baseline", "compare", "pipelines/scores.toml"]).code(1).says("nothing could be compared");
}

#[test]
fn times_are_compared_by_their_ratio_where_they_are_asked_for() {
    let project = project();
    record(&project, &["--measured"]);
    let text = project.read(FILE);
    assert!(text.contains("metric = \"train_seconds\"\nmeasured = true") && text.contains("hardware = "), "{text}");
    project.edit("pipelines/scores.toml", "seconds = 10.0", "seconds = 40.0");
    let slower = project.run(&["run", "pipelines/scores.toml", "--allow-commands", "--baseline"]);
    slower.code(4).says("WORSE: evaluate[method=dm].train_seconds").says("4.00 times the baseline");
    project.file(FILE, text.replace("hardware = \"", "hardware = \"another, "));
    let elsewhere = project.run(&["baseline", "compare", "pipelines/scores.toml"]);
    elsewhere.ok().says("measured on other hardware");
}

#[test]
fn a_file_that_was_edited_by_hand_has_its_faults_told_with_their_places() {
    let project = project();
    record(&project, &[]);
    project.edit(FILE, "values = [0.8, 0.81, 0.82]", "values = [0.8, 0.81, 0.92]");
    let done = project.go("pipelines/scores.toml", &["--baseline", "--junit", "junit.xml"]);
    done.code(2).says("baselines/scores.toml:").says("the mean is 0.81, but that of the values is").ran(&[]);
    assert!(done.events().iter().any(|event| event["place"]["source"] == FILE), "{}", done.out);
    assert!(project.read("junit.xml").contains("but that of the values is"));
    project.run(&["baseline", "record", "pipelines/scores.toml"]).code(2).says("baselines/scores.toml:");
    project.file(FILE, "format = 1\n[baseline.main]\nrecorded = 3\n");
    project.run(&["baseline", "compare", "pipelines/scores.toml"]).code(2).says("baselines/scores.toml:3:12");
}
