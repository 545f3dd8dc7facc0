//! Kinds that a project brings along: they run a program only when that is allowed.

use crate::project::{COUNT_PROGRAM, Project};

#[test]
fn a_project_s_programs_run_only_when_that_is_allowed() {
    let project = Project::counting();
    let refused = project.run(&["run", "pipelines/two.toml"]);
    refused.code(2).says("a: its kind own.count runs a program").says("python3 count.py").says("--allow-commands");
    assert!(!project.path(".ddpipe/runs").read_dir().is_ok_and(|mut runs| runs.next().is_some()), "nothing began");
}

#[test]
fn a_changed_program_is_a_reason() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.file("kinds/own/count/count.py", format!("{COUNT_PROGRAM}\n# the same bytes come out\n"));
    project.run(&["plan", "pipelines/two.toml"]).ok().says("its program changed: count.py");
    // Both name the program, so both run.
    project.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]);
    project.file("kinds/own/count/count.py", COUNT_PROGRAM).go("pipelines/two.toml", &[]).ok().ran(&[]);
}
