//! Two commands on one cache at the same time.

use crate::project::Project;

const GATE_STAGE: &str = r#"name = "own.gate"
help = "Waits for a file"
version = 1
command = ["python3", "gate.py"]
[outputs]
counted = { type = "metrics", help = "nothing" }
[params]
gate = { type = "string", help = "the file" }
"#;

const GATE_PROGRAM: &str = r#"import json, os, time
gate = json.load(open("params.json"))["params"]["gate"]
while not os.path.exists(gate):
    time.sleep(0.01)
json.dump({}, open("outputs/counted.json", "w"))
"#;

#[test]
fn two_runs_at_once_run_every_node_once_and_the_second_says_for_whom_it_waits() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 3", "to = 20, pause = 0.05");
    let mut first = project.start_run("pipelines/two.toml", &[]);
    assert!(first.until("\"started\""));
    let second = project.start_run("pipelines/two.toml", &[]);
    let pid = first.pid().to_string();
    let (first, second) = (first.wait(), second.wait());
    first.ok();
    second.ok();
    let mut started: Vec<String> = Vec::new();
    for event in first.events().iter().chain(&second.events()).filter(|event| event["event"] == "started") {
        started.push(event["node"].as_str().unwrap().to_string());
    }
    started.sort();
    assert_eq!(started, ["a", "b"]);
    let waits = second.events().into_iter().find(|event| event["event"] == "waiting").expect("the second waits");
    assert_eq!(waits["node"], "a");
    assert!(waits["holder"].as_str().unwrap().contains(&format!("process {pid}")), "{waits}");
}

/// The only slot of the second command, to which the long way through `a` matters most, is not kept for `a`.
#[test]
fn a_stage_that_another_process_computes_keeps_no_slot_from_other_stages() {
    let project = Project::counting();
    project.file("kinds/own/gate/stage.toml", GATE_STAGE).file("kinds/own/gate/gate.py", GATE_PROGRAM);
    let gate = project.path("gate").display().to_string();
    let stages = format!(
        "[pipeline]\nname = \"gate\"\nkinds = [\"../kinds\"]\n\
         [stages.a]\nkind = \"own.gate\"\nparams = {{ gate = {gate:?} }}\n\
         [stages.after]\nkind = \"own.count\"\ninputs = {{ before = \"a\" }}\n\
         [stages.c]\nkind = \"own.count\"\nparams = {{ to = 5 }}\n"
    );
    project.file("pipelines/gate.toml", stages);
    let mut first = project.start_run("pipelines/gate.toml", &["--select", "a"]);
    assert!(first.until("\"started\""));
    let mut second = project.start_run("pipelines/gate.toml", &["--jobs", "1"]);
    // Only then may `a` end: were the slot kept for it, this would not be reached.
    assert!(second.until("\"node\":\"c\",\"status\":\"ran\""));
    project.file("gate", "");
    let (first, second) = (first.wait(), second.wait());
    first.ok().ran(&["a"]);
    second.ok().ran(&["c", "after"]);
    let waits = second.events().into_iter().filter(|event| event["event"] == "waiting").count();
    assert_eq!(waits, 1);
}
