//! Runs, plans and explanations of a small project.

use crate::project::{Project, TWO};

#[test]
fn a_run_then_nothing_then_only_what_changed() {
    let project = Project::counting();
    let first = project.go("pipelines/two.toml", &[]);
    first.ok().ran(&["a", "b"]);
    assert_eq!(first.outcome("a")["metrics"]["sum"], 3.0);
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.edit("pipelines/two.toml", "to = 4", "to = 5");
    let changed = project.go("pipelines/two.toml", &[]);
    changed.ok().ran(&["b"]);
    let started = changed.events().into_iter().find(|event| event["event"] == "started").unwrap();
    assert_eq!(started["reasons"][0]["reason"], "param_changed");
    assert_eq!(started["reasons"][0]["old"], "4");
    project.edit("pipelines/two.toml", "to = 5", "to = 4").go("pipelines/two.toml", &[]).ok().ran(&[]);
}

#[test]
fn a_comment_another_name_and_other_threads_run_nothing() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.file("pipelines/two.toml", TWO.replace("stages.a", "stages.first").replace("\"a\" }", "\"first\" } # new"));
    project.go("pipelines/two.toml", &["--jobs", "2", "--threads", "1", "--keep-going"]).ok().ran(&[]);
}

#[test]
fn plan_and_why_tell_what_a_change_means() {
    let project = Project::counting();
    project
        .run(&["plan", "pipelines/two.toml"])
        .ok()
        .says("never ran")
        .says("1 to run, 1 waiting for them, 0 on record");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["plan", "pipelines/two.toml"]).ok().says("0 to run, 0 waiting for them, 2 on record");
    project.run(&["why", "pipelines/two.toml", "b"]).ok().says("is on record under key").says("param to = 4");
    project.edit("pipelines/two.toml", "to = 3", "to = 6");
    let plan = project.run(&["plan", "pipelines/two.toml"]);
    plan.ok();
    let lines: Vec<&str> = plan.out.lines().collect();
    assert!(lines[0].starts_with("run     a  to: default -> 6  (about "), "{lines:?}");
    assert!(lines[1].starts_with("waits   b  for a  (about "), "{lines:?}");
    assert_eq!(lines[2], "1 to run, 1 waiting for them, 0 on record");
    assert!(lines[3].ends_with("of computing in all, by what earlier runs took") && lines.len() == 4, "{lines:?}");
    project.run(&["why", "pipelines/two.toml", "a"]).ok().says("to: default -> 6").says("its newest record is");
    project.run(&["why", "pipelines/two.toml", "b"]).ok().says("does not run");
    let json = project.run(&["plan", "pipelines/two.toml", "--json"]);
    let nodes: serde_json::Value = serde_json::from_str(&json.ok().out).unwrap();
    assert_eq!(nodes[0]["verdict"], "run");
}

#[test]
fn a_failed_stage_is_exit_code_1_and_says_what_happened() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"fail\"");
    let failed = project.go("pipelines/two.toml", &[]);
    failed.code(1).ran(&["a"]);
    let outcome = failed.outcome("a");
    assert_eq!(outcome["status"], "failed");
    assert!(outcome["failure"]["message"].as_str().unwrap().contains("status 7"), "{outcome}");
    assert!(outcome["failure"]["log"].to_string().contains("the last words"), "{outcome}");
    assert_eq!(failed.outcome("b")["failure"]["message"], "a failed");
    project.run(&["run", "pipelines/two.toml", "--allow-commands"]).code(1).says("a: failed").says("| the last words");
}

#[test]
fn a_wrong_manifest_or_command_line_is_exit_code_2() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "own.count", "own.cuont");
    project.run(&["run", "pipelines/two.toml"]).code(2).says("pipelines/two.toml:6").says("own.count");
    project.run(&["check", "pipelines/two.toml"]).code(2).says("nothing was run");
    project.run(&["run", "pipelines/none.toml"]).code(2).says("none.toml");
    project.run(&["rnu"]).code(2);
    project.file("pipelines/two.toml", TWO);
    project.run(&["run", "pipelines/two.toml", "--select", "c"]).code(2).says("no node matches");
    project.run(&["run", "pipelines/two.toml", "--device", "tpu"]).code(2).says("expected auto, cpu");
    project.run(&["run", "pipelines/two.toml", "--set", "vars"]).code(2).says("expected PATH=VALUE");
}

#[test]
fn a_cache_that_cannot_be_used_is_exit_code_3() {
    let project = Project::counting();
    project.file("not-a-folder", "");
    let args = ["run", "pipelines/two.toml", "--allow-commands", "--cache", "not-a-folder"];
    project.run(&args).code(3).says("not-a-folder");
    project.run(&["cache", "du", "--cache", "none"]).code(3).says("there is no cache at none");
}

#[test]
fn a_missed_expectation_is_exit_code_4_with_check_only() {
    let project = Project::counting();
    let expect = |bound: &str| format!("{TWO}\n[[expect]]\nmetric = \"a.sum\"\nat_least = {bound}\n");
    project.file("pipelines/two.toml", expect("3"));
    project.run(&["run", "pipelines/two.toml", "--allow-commands", "--check"]).ok().says("expect a.sum: 3.0000");
    project.file("pipelines/two.toml", expect("3.5"));
    project.run(&["run", "pipelines/two.toml", "--allow-commands"]).ok().says("MISSED");
    let missed = project.run(&["run", "pipelines/two.toml", "--allow-commands", "--check"]);
    missed.code(4).says("wanted at least 3.5: MISSED").says("two.toml:");
    let json = project.go("pipelines/two.toml", &["--check"]);
    json.code(4).says("wanted at least 3.5: MISSED").ran(&[]);
}

#[test]
fn what_a_program_wrote_wrongly_is_named() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"nan\"");
    // Python writes NaN, which is no JSON.
    project.go("pipelines/two.toml", &[]).code(1).says("own.count: outputs/metrics.json");
}

#[test]
fn a_program_that_leaves_an_output_out_fails() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"silent\"");
    project.go("pipelines/two.toml", &[]).code(1).says("did not write outputs/counted.json");
}

#[test]
fn select_and_force_choose_what_runs() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &["--select", "a"]).ok().ran(&["a"]);
    project.go("pipelines/two.toml", &["--force", "a"]).ok().ran(&["a", "b"]);
    project.go("pipelines/two.toml", &["--force", "a"]).ok().ran(&["a"]);
}

#[test]
fn the_graph_the_stages_the_schema_and_completions_are_shown() {
    let project = Project::counting();
    project.run(&["check", "pipelines/two.toml"]).ok().says("two: ok, 2 nodes");
    project.run(&["graph", "pipelines/two.toml"]).ok().says("b (own.count) <- a");
    project.run(&["graph", "pipelines/two.toml", "--format", "mermaid"]).ok().says("flowchart LR");
    project.run(&["graph", "pipelines/two.toml", "--format", "dot"]).ok().says("digraph");
    project.run(&["stages"]).ok().says("train.classifier");
    project.run(&["stages", "train.classifier"]).ok().says("epochs");
    project.run(&["stages", "train.clasifier"]).code(2).says("train.classifier");
    project.run(&["completions", "bash"]).ok().says("ddpipe");
    for shown in [project.run(&["--help"]), project.run(&["run", "--help"]), project.run(&["--version"])] {
        shown.ok();
    }
}
