//! `ddpipe table`: a table once more, with other rows, columns, value and format.

use crate::project::{COUNT_PROGRAM, COUNT_STAGE, Done, Project};
use serde_json::Value;

const MANIFEST: &str = r#"[pipeline]
name = "sweep"
kinds = ["../kinds"]

[stages.count]
kind = "own.count"
matrix = { to = [3, 4], seed = [0, 2] }

[stages.table]
kind = "report.table"
inputs = { results = { gather = "count", over = ["seed"] } }
params = { rows = ["to"], value = "sum", percent = false, digits = 1, caption = "What was counted" }
"#;

const FILE: &str = "pipelines/sweep.toml";

fn project() -> Project {
    let project = Project::new();
    let metrics = "[metrics.sum]\nhelp = \"the sum\"\n[metrics.double]\nhelp = \"twice the sum\"\n";
    let program = COUNT_PROGRAM.replace("\"sum\": value", "\"sum\": value, \"double\": 2 * value");
    project.file("kinds/own/count/stage.toml", format!("{COUNT_STAGE}{metrics}"));
    project.file("kinds/own/count/count.py", program);
    project.file(FILE, MANIFEST);
    project
}

/// A project whose results are on record.
fn counted() -> Project {
    let project = project();
    project.go(FILE, &[]).ok();
    project
}

fn table(project: &Project, more: &[&str]) -> Done {
    project.run(&[&["table", FILE, "table"], more].concat())
}

/// Whatever needs a worker fails from now on.
fn without_worker(project: &mut Project) {
    project.env("DDPIPE_WORKER", "/nowhere/ddpipe-worker");
}

fn runs(project: &Project) -> usize {
    let all: Value = serde_json::from_str(&project.run(&["runs", "--json", "--limit", "0"]).ok().out).unwrap();
    all.as_array().map_or_else(|| all["runs"].as_array().unwrap().len(), Vec::len)
}

#[test]
fn a_table_is_sorted_anew_once_and_leaves_the_project_as_it_was() {
    let mut project = counted();
    let (before, number) = (project.read("results/sweep/table.md"), runs(&project));
    let wanted = ["--rows", "seed", "--columns", "to", "--over", "", "--format", "csv"];
    let done = table(&project, &wanted);
    let lines: Vec<&str> = done.ok().out.lines().collect();
    // The seed and the sum of what is below `to`.
    assert_eq!(lines, ["seed,3 mean,3 std,3 n,4 mean,4 std,4 n", "0,3,,1,6,,1", "2,5,,1,8,,1"]);
    without_worker(&mut project);
    assert_eq!(table(&project, &wanted).ok().out, done.out);
    assert_eq!((project.read("results/sweep/table.md"), runs(&project)), (before, number));
    // Another one is not on record, and cannot be made now.
    table(&project, &["--param", "digits=3"]).code(1).says("table: ");
    project.run(&["plan", FILE]).ok().says("5 on record");
}

#[test]
fn without_options_it_is_the_table_of_the_manifest_in_any_form() {
    let mut project = counted();
    without_worker(&mut project);
    let text = table(&project, &[]);
    text.ok().says("What was counted").is_silent_about("|").is_silent_about("\u{1b}");
    assert!(text.out.lines().any(|line| line.starts_with("to ")), "{}", text.out);
    assert!(table(&project, &["--format", "markdown"]).ok().out.contains("| to |"));
    assert!(table(&project, &["--format", "latex"]).ok().out.contains("\\toprule"));
    let json: Value = serde_json::from_str(&table(&project, &["--format", "json"]).ok().out).unwrap();
    assert!(json.is_object(), "{json}");
    // The only table need not be named, and a file's ending says the form.
    project.run(&["table", FILE, "--out", "paper/counted.tex"]).ok().says("paper/counted.tex");
    assert!(project.read("paper/counted.tex").contains("\\toprule"));
    project.run(&["table", FILE, "--out", "counted.txt"]).ok();
    assert_eq!(project.read("counted.txt"), text.out);
    assert_eq!(table(&project, &["--out", "-"]).ok().out, text.out);
}

#[test]
fn what_is_wrong_is_found_before_anything_runs_and_named_as_it_was_typed() {
    let mut project = counted();
    without_worker(&mut project);
    let wrong = table(&project, &["--rows", "to,sed"]);
    wrong.code(2).says("--rows to,sed: ").says("no").says("did you mean \"seed\"?").is_silent_about("--set");
    // Both seeds would lie in one cell.
    table(&project, &["--rows", "to", "--over", ""]).code(2).says("differ in \"seed\"");
}

#[test]
fn results_that_are_not_on_record_are_named_with_the_way_to_them() {
    let project = project();
    let lacking = table(&project, &["--set", "stages.count.matrix.seed=[5]"]);
    lacking
        .code(1)
        .says("table: 2 of the results that it shows are not on record: count[to=3,seed=5], count[to=4,seed=5]");
    lacking.says(&format!("`ddpipe run {FILE} --set 'stages.count.matrix.seed=[5]' --select table` makes them"));
    assert!(!project.path("results").exists());
}

#[test]
fn a_table_that_may_lack_results_is_made_of_what_is_there() {
    let project = project();
    project.edit(FILE, "digits = 1", "digits = 1, missing = \"show\"");
    project.go(FILE, &["--select", "count[to=3]"]).ok();
    let part = table(&project, &["--columns", "seed", "--over", ""]);
    part.ok().says("made without what is not on record: count[to=4,seed=0], count[to=4,seed=2]").says("missing");
}

#[test]
fn the_caption_of_the_manifest_goes_with_the_value_that_it_names() {
    let project = counted();
    let other = table(&project, &["--value", "double", "--format", "markdown"]);
    other.ok().says("double").is_silent_about("What was counted");
    table(&project, &["--value", "double", "--caption", "How long", "--param", "digits=0"]).ok().says("How long");
    table(&project, &["--value", "summ"]).code(2).says("--value summ").says("did you mean \"sum\"?");
    table(&project, &["--param", "digit=3"]).code(2).says("did you mean \"digits\"?");
    table(&project, &["--param", "digits=many"]).code(2).says("--param digits many");
    table(&project, &["--param", "digits"]).code(2).says("expected NAME=VALUE");
    table(&project, &["--over", "sed"]).code(2).says("--over sed");
}

#[test]
fn a_node_that_is_no_table_is_told_with_those_that_are() {
    let project = counted();
    project.run(&["table", FILE, "count[to=3,seed=0]"]).code(2).says("makes no table").says("has one table: table");
    project.run(&["table", FILE, "tabel"]).code(2).says("did you mean \"table\"?");
    let second = project.read(FILE).replace("[stages.table]", "[stages.other]");
    let second = second.split("[stages.other]").nth(1).unwrap().to_string();
    project.file(FILE, format!("{MANIFEST}\n[stages.other]{second}"));
    project.run(&["table", FILE]).code(2).says("the tables of the manifest are table, other");
}
