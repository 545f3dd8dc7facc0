//! Two commands on one cache at the same time.

use crate::project::Project;

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
