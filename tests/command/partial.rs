//! Tables of results of which some are missing.

use crate::project::{COUNT_PROGRAM, COUNT_STAGE, Project};

const MANIFEST: &str = r#"[pipeline]
name = "sweep"
kinds = ["../kinds"]

[stages.count]
kind = "own.count"
matrix = { fault = ["", "fail"], to = [3, 4] }
params = { to = "${to}", fault = "${fault}" }

[stages.table]
kind = "report.table"
inputs = { results = { gather = "count", over = ["to"] } }
params = { rows = ["fault"], value = "sum", percent = false, digits = 0, missing = "show" }
"#;

fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/count/stage.toml", COUNT_STAGE).file("kinds/own/count/count.py", COUNT_PROGRAM);
    project.file("pipelines/sweep.toml", MANIFEST);
    project
}

const RUN: &[&str] = &["run", "pipelines/sweep.toml", "--allow-commands", "--keep-going"];

#[test]
fn a_table_is_made_of_what_is_there_and_made_anew_when_the_rest_is() {
    let project = project();
    project.run(RUN).code(1).says("missing: fault=fail (2 results)");
    let table = project.read("results/sweep/table.md");
    assert!(table.contains("missing: fault=fail (2 results)"), "{table}");
    // The same again: the table is on record, the failed nodes are tried.
    let again = project.go("pipelines/sweep.toml", &["--keep-going"]);
    again.code(1);
    assert_eq!(again.outcome("table")["status"], "fresh");
    project.edit("kinds/own/count/count.py", "sys.exit(7)", "pass");
    let whole = project.go("pipelines/sweep.toml", &[]);
    assert_eq!(whole.ok().outcome("table")["status"], "ran");
    assert!(!project.read("results/sweep/table.md").contains("missing"));
}

#[test]
fn without_that_parameter_or_any_result_there_is_no_table() {
    let project = project();
    project.edit("pipelines/sweep.toml", ", missing = \"show\"", "");
    let done = project.go("pipelines/sweep.toml", &["--keep-going"]);
    assert_eq!(done.code(1).outcome("table")["status"], "skipped");
    project.edit("pipelines/sweep.toml", "digits = 0", "digits = 0, missing = \"show\"");
    project.edit("pipelines/sweep.toml", "fault = [\"\", \"fail\"]", "fault = [\"fail\"]");
    let done = project.go("pipelines/sweep.toml", &["--keep-going"]);
    assert_eq!(done.code(1).outcome("table")["status"], "skipped");
}
