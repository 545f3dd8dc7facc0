//! `ddpipe why` and `plan`: reasons across nodes, against the nearest record, of nodes that run, wait, failed or go on.

use crate::project::{Project, TWO};
use nix::sys::signal::Signal;

/// Three stages in a row; the first two have a parameter each.
const ROW: &str = r#"[pipeline]
name = "row"
kinds = ["../kinds"]
[stages.a]
kind = "own.count"
params = { to = 4 }
[stages.b]
kind = "own.count"
inputs = { before = "a" }
params = { to = 5 }
[stages.c]
kind = "own.count"
inputs = { before = "b" }
"#;

fn row() -> Project {
    let project = Project::counting();
    project.file("pipelines/row.toml", ROW).go("pipelines/row.toml", &[]).ok().ran(&["a", "b", "c"]);
    project
}

#[test]
fn a_waiting_node_is_explained_by_what_runs_first() {
    let project = row();
    project.edit("pipelines/row.toml", "to = 4", "to = 6");
    let why = project.run(&["why", "pipelines/row.toml", "c"]);
    why.ok().says("a: to: 4 -> 6 (since its record of 20").says("1 node runs first, and up to 1 node between");
    project
        .run(&["why", "pipelines/row.toml", "a"])
        .ok()
        .says("to: 4 -> 6")
        .says("its nearest record is")
        .says(":00 in ");
    // Options may stand between manifest and node, and a run may stand for the manifest.
    let set = ["why", "pipelines/row.toml", "--set", "stages.b.params.to=9", "--set", "stages.a.params.to=4", "c"];
    project.run(&set).ok().says("b: to: 5 -> 9");
    project.run(&["why", "pipelines/row.toml"]).code(2).says("name a node");
    project.run(&["plan", "pipelines/row.toml"]).ok().says("1 to run now, up to 2 more after it, 0 on record");
}

#[test]
fn a_changed_input_is_followed_to_the_node_that_changed() {
    let project = row();
    project.edit("pipelines/row.toml", "to = 4", "to = 6");
    project.go("pipelines/row.toml", &["--select", "b"]).ok().ran(&["a", "b"]);
    // `b` and `a` are on record, `c` is not: the cause lies two nodes before it.
    let why = project.run(&["why", "pipelines/row.toml", "c"]);
    why.ok().says("input before changed: b: input before changed: a: to: 4 -> 6");
}

#[test]
fn plan_and_run_name_the_first_change_behind_an_input() {
    let project = row();
    project.edit("pipelines/row.toml", "to = 4", "to = 6");
    // In a run `b` and `c` are decided about when `a` has its new bytes.
    let ran = project.run(&["run", "pipelines/row.toml", "--allow-commands", "--json"]);
    let reason = |node: &str| {
        let events = ran.ok().events();
        let started = events.iter().find(|event| event["event"] == "started" && event["node"] == node);
        started.unwrap()["reasons"][0].clone()
    };
    assert_eq!(reason("b")["cause"], "a: to: 4 -> 6");
    assert_eq!(reason("c")["cause"], "a: to: 4 -> 6", "the nodes between are not told");
    // So does a plan, where the nodes between are on record.
    project.edit("pipelines/row.toml", "to = 6", "to = 7, pause = 0.001");
    project.go("pipelines/row.toml", &["--select", "b"]).ok().ran(&["a", "b"]);
    let plan = project.run(&["plan", "pipelines/row.toml"]);
    plan.ok().says("run     c  input before changed: a: pause: 0.0 (default) -> 0.001, to: 6 -> 7");
    // A run says it in a line.
    let run = project.run(&["run", "pipelines/row.toml", "--allow-commands"]);
    run.ok().says("c: runs on cpu (input before changed: a: pause:");
}

#[test]
fn the_nearest_record_explains_not_the_newest() {
    let project = row();
    project.edit("pipelines/row.toml", "to = 5", "to = 5, pause = 0.001").go("pipelines/row.toml", &[]).ok();
    project.edit("pipelines/row.toml", "to = 4", "to = 6").go("pipelines/row.toml", &[]).ok();
    // Two things differ from the newest record of `b` (pause, input), one from the first.
    project.edit("pipelines/row.toml", "to = 6", "to = 4").edit(
        "pipelines/row.toml",
        "to = 5, pause = 0.001",
        "to = 7",
    );
    let why = project.run(&["why", "pipelines/row.toml", "b"]);
    why.ok().says("    to: 5 -> 7\n").is_silent_about("pause").is_silent_about("input before");
    // The default is named.
    project.edit("pipelines/row.toml", "params = { to = 7 }", "");
    project.run(&["why", "pipelines/row.toml", "b"]).ok().says("to: 5 -> 3 (default)");
    project.run(&["plan", "pipelines/row.toml"]).ok().says("run     b  to: 5 -> 3 (default)");
}

#[test]
fn a_node_on_record_says_why_it_ran() {
    let project = row();
    project.edit("pipelines/row.toml", "to = 5", "to = 8").go("pipelines/row.toml", &[]).ok();
    // A run that only looked is not the one that made it.
    project.go("pipelines/row.toml", &[]).ok().ran(&[]);
    project.run(&["why", "pipelines/row.toml", "b"]).ok().says("ran in run 20").says("because: to: 5 -> 8");
    let first = project.run(&["why", "pipelines/row.toml", "a"]);
    first.ok().says("because: never ran").says("param to = 4").is_silent_about("input");
    project.run(&["why", "pipelines/row.toml", "b"]).ok().says("input before = a.counted (");
}

#[test]
fn a_failed_node_says_where_and_how() {
    let project = Project::counting();
    project.file("pipelines/two.toml", TWO.replace("to = 3", "to = 3, fault = \"fail\""));
    project.go("pipelines/two.toml", &[]).code(1);
    let why = project.run(&["why", "pipelines/two.toml", "a"]);
    why.ok().says("it never ran to its end").says("failed in run 20").says("see `ddpipe logs a`");
    why.is_silent_about("with other settings");
    project.edit("pipelines/two.toml", "fault = \"fail\"", "fault = \"none\"");
    project.run(&["why", "pipelines/two.toml", "a"]).ok().says("with other settings");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["why", "pipelines/two.toml", "a"]).ok().is_silent_about("failed in run");
}

#[test]
fn a_running_node_says_where_it_runs() {
    let project = Project::counting();
    project.file("pipelines/two.toml", TWO.replace("to = 3", "to = 2000, pause = 0.05"));
    let mut run = project.start_run("pipelines/two.toml", &[]);
    assert!(run.until("\"event\":\"progress\""));
    let said = format!("is running in process {}", run.pid());
    project.run(&["plan", "pipelines/two.toml"]).ok().says(&said);
    project.run(&["why", "pipelines/two.toml", "a"]).ok().says(&said);
    project.run(&["why", "pipelines/two.toml", "b"]).ok().says(&said);
    run.signal(Signal::SIGINT);
    run.wait().code(130);
    project.run(&["plan", "pipelines/two.toml"]).ok().is_silent_about("is running");
    project.run(&["why", "pipelines/two.toml", "a"]).ok().says("was interrupted in run");
}

/// A stage of the worker's own that was interrupted continues from its checkpoint, and that is said before.
#[test]
fn an_interrupted_node_says_where_it_continues() {
    let mut project = Project::new();
    project.env("DDPIPE_CHECKPOINT_SECONDS", "0");
    let manifest = r#"[pipeline]
name = "long"
[stages.digits]
kind = "sample.digits"
params = { train = 200, test = 40, size = 8 }
[stages.set]
kind = "decode.idx"
inputs = { images = "digits.train_images", labels = "digits.train_labels" }
[stages.start]
kind = "init.synthetic"
inputs = { real = "set" }
params = { ipc = 1 }
[stages.distill]
kind = "distill.dm"
inputs = { real = "set", start = "start" }
params = { networks = 100000, width = 4, batch_real = 8, augment = "none" }
"#;
    project.file("pipelines/long.toml", manifest);
    let mut run = project.start_run("pipelines/long.toml", &[]);
    assert!(run.until("\"event\":\"progress\",\"node\":\"distill\""), "{}", run.out());
    run.signal(Signal::SIGINT);
    run.wait().code(130);
    let plan = project.run(&["plan", "pipelines/long.toml"]);
    plan.ok().says("continues after step ");
    let step = plan.out.split("continues after step ").nth(1).unwrap().lines().next().unwrap().to_string();
    project.run(&["why", "pipelines/long.toml", "distill"]).ok().says(&format!("continues after step {step}"));
    let mut again = project.start_run("pipelines/long.toml", &[]);
    assert!(again.until(&format!("\"continues\":{step}")), "{}", again.out());
    again.signal(Signal::SIGINT);
    again.wait().code(130);
}
