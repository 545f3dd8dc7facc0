//! `ddpipe report`, `run --report` and `runs compare --html`: runs of every outcome, tables whose cells open their proof, and what Chromium and axe-core say where they are there.

use crate::page::Page;
use crate::project::Project;
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;

const EXPECT: &str = "\n[[expect]]\nmetric = \"a.sum\"\nat_least = 2\n\n[[expect]]\nmetric = \"b.sum\"\nat_most = -1\n";

/// A kind whose table sorts what it is given by labels, as `report.table` does.
const TABLE_STAGE: &str = r#"name = "own.table"
help = "A table"
version = 1
command = ["python3", "table.py"]
[inputs]
results = { type = ["metrics"], help = "what was counted", many = true, cells = { by = ["rows", "columns"] } }
[outputs]
table = { type = "table", help = "the table" }
picture = { type = "image", help = "a picture" }
[params]
rows = { type = "strings", default = ["size"], help = "rows", names = { label_of = "results" } }
columns = { type = "strings", default = ["seed"], help = "columns", names = { label_of = "results" } }
caption = { type = "string", default = "Sums", help = "a caption" }
"#;

const TABLE_PROGRAM: &str = r#"import base64, json
told = json.load(open("params.json"))
params = told["params"]
rows, columns = ["3", "5"], ["0", "1"]
cells = [[{"mean": 3.0, "std": None, "n": 1}, {"mean": 4.0, "std": None, "n": 1}], [{"mean": 10.0, "std": None, "n": 1}, None]]
json.dump({"caption": params["caption"], "note": "sums", "value": "sum", "rows": rows, "columns": columns, "cells": cells},
          open("outputs/table.json", "w"))
png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
open("outputs/picture.png", "wb").write(base64.b64decode(png))
json.dump({"metrics": {}}, open("outputs/metrics.json", "w"))
"#;

const TABLE: &str = r#"[pipeline]
name = "grid"
about = "Sums of two sizes"
kinds = ["../kinds"]

[stages.count]
kind = "own.count"
matrix = { size = [3, 5], seed = [0, 1] }
params = { to = "${size}" }

[stages.sums]
kind = "own.table"
inputs = { results = { gather = "count" } }
"#;

fn with_table() -> Project {
    let project = Project::counting();
    project.file("kinds/own/table/stage.toml", TABLE_STAGE).file("kinds/own/table/table.py", TABLE_PROGRAM);
    project.file("pipelines/grid.toml", TABLE);
    project
}

/// The report that a command makes.
#[track_caller]
fn report(project: &Project, args: &[&str]) -> Page {
    project.run(&[&["report"], args, &["-o", "out/report.html"]].concat()).ok().says("out/report.html");
    Page::of(project.read("out/report.html"))
}

fn run_of(project: &Project) -> String {
    let mut runs: Vec<String> = std::fs::read_dir(project.path(".ddpipe/runs"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    runs.sort();
    runs.pop().unwrap()
}

#[test]
fn it_says_what_came_of_a_run_and_how_to_make_it_again() {
    let project = Project::counting();
    project.file("pipelines/two.toml", format!("{}{EXPECT}", project.read("pipelines/two.toml")));
    project.go("pipelines/two.toml", &["--set", "stages.a.params.to=5"]).ok();
    let page = report(&project, &["pipelines/two.toml"]);
    page.says("The run is complete: 1 expectation missed, 2 nodes ran in").says("2 ran");
    page.says("ddpipe run pipelines/two.toml --set stages.a.params.to=5");
    page.says(&run_of(&project)).says("missed").says("wanted").says("at most -1").says("to = 5 (default 3)");
    assert!(page.at("n0").contains("never ran") && page.at("n1").contains("reads before a"), "{}", page.at("n1"));
    // A later run that only looks has all from the records, and the logs of the one that worked.
    project.go("pipelines/two.toml", &["--set", "stages.a.params.to=5"]).ok();
    let again = report(&project, &["pipelines/two.toml"]);
    again.says("2 on record").says("0 nodes ran");
    // Another manifest's run is not taken for it.
    project.file("pipelines/other.toml", project.read("pipelines/two.toml").replace("\"two\"", "\"other\""));
    report(&project, &["pipelines/other.toml"]).says("nodes are on record");
    let run = run_of(&project);
    project.run(&["report", "pipelines/other.toml", "--run", &run]).code(2).says("is not one of pipelines/other.toml");
    report(&project, &["--run", &run]).says("2 on record");
    report(&project, &["pipelines/two.toml", "--now"]).says("0 of 2 nodes are on record").is_silent_about("run 20");
}

#[test]
fn a_failed_run_is_told_with_its_log_and_the_way_out() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"fail\"");
    project.go("pipelines/two.toml", &["--report", "run.html"]).code(1);
    let page = report(&project, &["pipelines/two.toml"]);
    page.says("The run failed: 1 node failed").says("✕ failed: a").says("the last words").says("1 nodes could not run");
    // The page that the run itself left is the same, but for the time at its end.
    let own = Page::of(project.read("run.html"));
    let whole = |page: &Page| page.text().split("Made by ddpipe").next().unwrap().to_string();
    assert_eq!(whole(&own), whole(&page));
}

#[test]
fn an_interrupted_run_and_one_that_goes_on_can_be_looked_at() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "to = 40, pause = 0.05");
    let mut running = project.start_run("pipelines/two.toml", &["--report", "live.html"]);
    assert!(running.until("\"node\":\"b\",\"step\":2"));
    report(&project, &["pipelines/two.toml"]).says("The run goes on: 1 node ran").says("▸ 1 at work");
    // The run's own page is there from the begin.
    Page::of(project.read("live.html"));
    running.signal_group(Signal::SIGINT);
    running.wait().code(130);
    let page = report(&project, &["pipelines/two.toml"]);
    page.says("The run was interrupted; the same command continues it").says("‖ interrupted: b");
    Page::of(project.read("live.html")).says("The run was interrupted");
}

#[test]
fn a_manifest_without_a_run_has_a_report_too() {
    let project = Project::counting();
    let page = report(&project, &["pipelines/two.toml"]);
    page.says("Nothing is on record yet: 0 of 2 nodes are on record").says("ddpipe run pipelines/two.toml");
    page.says("would run because never ran");
    project.run(&["report"]).code(2);
    project.run(&["report", "pipelines/none.toml"]).code(2);
    project.run(&["report", "pipelines/two.toml", "--run", "2020"]).code(2).says("there is no run");
}

#[test]
fn a_cell_of_a_table_opens_its_proof() {
    let project = with_table();
    project.go("pipelines/grid.toml", &[]).ok();
    let page = report(&project, &["pipelines/grid.toml"]);
    assert!(page.html.contains("<a href=\"#c0-0-1\">4</a>"), "{}", page.html);
    let proof = page.at("c0-0-1");
    assert!(proof.contains("count[size=3,seed=1]") && proof.contains("seed") && !proof.contains("size=5"), "{proof}");
    // A cell without a number has no proof, and every node its own.
    assert!(!page.html.contains("c0-1-1\""));
    page.says("Sums of two sizes").says("How each number was made").says("own.table");
    assert_eq!(page.html.matches("src=\"data:image/png;base64,").count(), 1);
    assert!(page.html.contains("role=\"group\" aria-label=\"Graph of the stages of grid\""));
}

#[test]
fn a_report_at_the_end_of_a_run_is_there_whatever_happened() {
    let project = Project::counting();
    project.run(&["run", "pipelines/two.toml", "--allow-commands", "--report", "r.html"]).ok().says("report in r.html");
    Page::of(project.read("r.html")).says("All is well: 2 nodes ran");
    project.edit("pipelines/two.toml", "to = 3", "too = 3");
    project.go("pipelines/two.toml", &["--report", "r.html"]).code(2);
    Page::of(project.read("r.html")).says("Nothing was run.").says("too");
    project.file("in_the_way", "");
    project.go("pipelines/two.toml", &["--report", "in_the_way/r.html"]).code(3);
}

#[test]
fn two_runs_are_compared_in_a_page() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    let first = run_of(&project);
    project.edit("pipelines/two.toml", "to = 3", "to = 7");
    project.go("pipelines/two.toml", &[]).ok();
    let second = run_of(&project);
    project.run(&["runs", "compare", &first, &second, "--html", "out/c.html"]).ok().says("out/c.html");
    let page = Page::of(project.read("out/c.html"));
    page.says("results differ").says("a.sum").says("a.to 3 7").says("+18").says("params = { to = 7 }");
    project.run(&["runs", "compare", &first, &first, "--html", "c.html"]).ok();
    Page::of(project.read("c.html")).says("No differences; 2 results are the same.");
}

/// What Chromium and axe-core say; where they are not there, this says so and tests nothing.
#[test]
fn a_browser_finds_nothing_wrong() {
    let checks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report");
    let chromium = std::env::var("CHROMIUM").unwrap_or("/usr/bin/chromium".into());
    let missing = if !Path::new(&chromium).exists() {
        Some(format!("there is no {chromium} (Debian's package chromium, or CHROMIUM=FILE)"))
    } else if !checks.join("node_modules/axe-core").is_dir() {
        Some("`npm ci` was not run in tests/report".to_string())
    } else {
        None
    };
    if let Some(why) = missing {
        eprintln!("skipped: reports are not opened in a browser: {why}");
        return;
    }
    let project = with_table();
    let mut files = Vec::new();
    let mut keep = |name: &str, page: Page| {
        project.file(name, page.html);
        files.push(project.path(name));
    };
    keep("none.html", report(&project, &["pipelines/grid.toml"]));
    project.go("pipelines/grid.toml", &[]).ok();
    keep("well.html", report(&project, &["pipelines/grid.toml"]));
    project.edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"fail\"");
    project.go("pipelines/two.toml", &[]).code(1);
    keep("failed.html", report(&project, &["pipelines/two.toml"]));
    project.edit("pipelines/two.toml", "fault = \"fail\"", "pause = 0.2");
    let mut running = project.start_run("pipelines/two.toml", &[]);
    assert!(running.until("\"node\":\"a\",\"step\":1"));
    running.signal_group(Signal::SIGINT);
    running.wait().code(130);
    keep("interrupted.html", report(&project, &["pipelines/two.toml"]));
    let done = Command::new("node")
        .arg(checks.join("look.mjs"))
        .arg("--brief")
        .args(&files)
        .env("CHROMIUM", chromium)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    assert_eq!(out.lines().count(), 4, "{out}");
}
