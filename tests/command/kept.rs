//! What users rely on, and what no other test here holds: copies of caches, bare environments, odd paths, and blows that a run
//! survives.

use crate::project::{COUNT_STAGE, Project, TWO};
use std::fs;
use std::process::Command;

const TWO_TOML: &str = "pipelines/two.toml";

/// Copies a folder's content into another.
fn merge(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    let status = Command::new("cp").arg("-r").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success());
}

#[test]
fn another_checkout_with_two_merged_caches_has_everything_on_record() {
    let (one, other, third) = (Project::counting(), Project::counting(), Project::counting());
    one.go(TWO_TOML, &["--jobs", "1"]).ok().ran(&["a", "b"]);
    other.edit(TWO_TOML, "to = 4", "to = 5").go(TWO_TOML, &["--jobs", "2"]).ok();
    merge(&one.path(".ddpipe"), &third.path(".ddpipe"));
    merge(&other.path(".ddpipe"), &third.path(".ddpipe"));
    third.go(TWO_TOML, &["--jobs", "2"]).ok().ran(&[]);
    third.edit(TWO_TOML, "to = 4", "to = 5").go(TWO_TOML, &[]).ok().ran(&[]);
    // A second manifest with the same stages has nothing to do either.
    third.file("pipelines/again.toml", TWO.replace("name = \"two\"", "name = \"again\""));
    third.go("pipelines/again.toml", &[]).ok().ran(&[]);
    third.run(&["cache", "verify"]).ok();
}

#[test]
fn a_run_with_nothing_to_do_starts_no_worker_and_needs_nothing_of_the_environment_but_its_programs() {
    let project = Project::counting();
    project.go(TWO_TOML, &[]).ok();
    for args in [&["run", TWO_TOML, "--allow-commands"][..], &["plan", TWO_TOML], &["show", TWO_TOML, "b"], &["runs"]] {
        let mut command = project.command(args);
        let path = std::env::var("PATH").unwrap();
        let said = command.env_clear().env("PATH", path).env("DDPIPE_WORKER", "/there/is/none").output().unwrap();
        assert!(said.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn spaces_quotes_and_other_letters_in_paths_change_nothing() {
    let project = Project::counting();
    let folder = "Übung 1/it's $(id) «ä»";
    project.file(&format!("{folder}/kinds/own/count/stage.toml"), COUNT_STAGE);
    project.file(&format!("{folder}/kinds/own/count/count.py"), project.read("kinds/own/count/count.py"));
    let manifest = format!("{folder}/pipelines/größer als.toml");
    project.file(&manifest, TWO);
    project.go(&manifest, &[]).ok().ran(&["a", "b"]);
    assert!(project.path(folder).join(".ddpipe/records-v1").is_dir());
    project.go(&manifest, &[]).ok().ran(&[]);
}

#[test]
fn a_cache_that_is_deleted_during_a_run_costs_its_results_and_nothing_else() {
    let project = Project::counting();
    project.edit(TWO_TOML, "to = 4", "to = 10, pause = 0.05");
    let mut run = project.start_run(TWO_TOML, &[]);
    assert!(run.until("\"node\":\"b\""), "{}", run.out());
    while project.path(".ddpipe").exists() && fs::remove_dir_all(project.path(".ddpipe")).is_err() {}
    let ended = run.wait();
    assert!(!ended.err.contains("panicked") && ended.status.code().is_some(), "{}", ended.err);
    project.go(TWO_TOML, &[]).ok();
    project.run(&["cache", "verify"]).ok();
    project.go(TWO_TOML, &[]).ok().ran(&[]);
}

#[test]
fn a_run_that_is_told_to_ignore_hangups_goes_on() {
    let project = Project::counting();
    project.edit(TWO_TOML, "to = 4", "to = 10, pause = 0.05");
    let script = "trap '' HUP; \"$0\" run pipelines/two.toml --allow-commands --json > out & p=$!
        until grep -q '\"node\":\"b\"' out; do sleep 0.02; done; kill -HUP $p; wait $p";
    let status = project.program("sh", &["-c", script, env!("CARGO_BIN_EXE_ddpipe")]).status().unwrap();
    assert_eq!(status.code(), Some(0), "{}", project.read("out"));
    project.go(TWO_TOML, &[]).ok().ran(&[]);
}

#[test]
fn the_signal_that_ends_a_program_is_named() {
    let project = Project::counting();
    project.edit("kinds/own/count/stage.toml", "[\"python3\", \"count.py\"]", "[\"sh\", \"count.sh\"]");
    project.file("kinds/own/count/count.sh", "echo before the end\nkill -SEGV $$\n");
    project.go(TWO_TOML, &[]).code(1).says("SIGSEGV").says("before the end");
}

#[test]
fn results_are_on_standard_output_and_progress_on_standard_error_without_escapes() {
    let project = Project::counting();
    project.file(TWO_TOML, format!("{TWO}\n[[expect]]\nmetric = \"b.sum\"\nat_least = 0\n"));
    let run = project.run(&["run", TWO_TOML, "--allow-commands"]);
    run.ok();
    assert!(run.out.contains("expect b.sum") && !run.err.contains("expect b.sum"), "{}", run.err);
    assert!(run.err.contains("b: runs on cpu") && !run.out.contains("runs on"), "{}", run.out);
    assert!(!run.out.contains('\u{1b}') && !run.err.contains('\u{1b}'));
}

#[test]
fn the_manifest_of_the_readme_is_accepted() {
    let project = Project::new();
    let page = include_str!("../../README.md");
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        project.file("pipelines/readme.toml", block);
        project.run(&["check", "pipelines/readme.toml"]).ok().says(": ok");
    }
}
