//! Inputs that run only when the stage that reads them asks: what runs, what is remembered, and what can go wrong.

use crate::lab::Lab;
use ddpipe::event::Status;
use ddpipe::executor::Step;

/// Four scores over their own data, and a search over the scores.
const SEARCH: &str = r#"
[stages.data]
kind = "make.data"
matrix = { size = [1, 2, 3, 4] }
[stages.score]
kind = "use.score"
inputs = { data = "data" }
[stages.best]
kind = "use.search"
inputs = { results = { gather = "score" } }
"#;

const TABLE: &str = "[stages.table]\nkind = \"use.table\"\ninputs = { results = { gather = \"score\" } }\n";

fn ask(positions: &[usize]) -> Step {
    Step::Ask("results".into(), positions.to_vec())
}

#[test]
fn only_what_was_asked_for_runs_and_a_second_run_has_nothing_to_do() {
    let lab = Lab::new(SEARCH);
    let ran = lab.on("best", ask(&[1])).on("best", ask(&[2])).go();
    ran.ran(&["best", "data[size=2]", "score[size=2]", "best", "data[size=3]", "score[size=3]", "best"]).is_complete();
    assert_eq!(ran.summary.outcomes.len(), 5);
    let again = lab.run();
    again.ran(&[]).is_complete();
    assert_eq!(again.summary.outcomes.len(), 5);
    let fresh: Vec<&str> = again.planned.iter().filter(|(_, word)| word == "fresh").map(|(node, _)| &**node).collect();
    assert_eq!(fresh, ["data[size=2]", "data[size=3]", "score[size=2]", "score[size=3]", "best"]);
}

#[test]
fn a_search_takes_the_same_way_whatever_else_is_on_record() {
    let lab = Lab::new(&format!("{SEARCH}{TABLE}"));
    let ran = lab.on("best", ask(&[0])).go();
    assert_eq!(ran.order().iter().filter(|node| **node == "best").count(), 2);
    assert_eq!(ran.order().iter().filter(|node| node.starts_with("score")).count(), 4);
    ran.is_complete();
    let mut lab = lab;
    lab.manifest(SEARCH);
    lab.run().ran(&[]).is_complete();
}

#[test]
fn another_choice_puts_the_question_again_and_runs_nothing_else() {
    let mut lab = Lab::new(SEARCH);
    lab.on("best", ask(&[1])).go().is_complete();
    lab.manifest(&SEARCH.replace("[1, 2, 3, 4]", "[1, 2, 5, 4]"));
    // What could be asked for is part of the question.
    let ran = lab.on("best", ask(&[1])).go();
    ran.ran(&["best", "best"]).is_complete();
}

#[test]
fn what_was_asked_for_and_fails_is_named() {
    let lab = Lab::new(SEARCH);
    let failing = Step::Fail(ddpipe_interface::protocol::Cause::Error);
    let ran = lab.on("best", ask(&[3])).on("data[size=4]", failing).with_surprises().go();
    ran.ran(&["best", "data[size=4]"]);
    assert_eq!(ran.failure("score[size=4]").message, "data[size=4] failed");
    assert_eq!(ran.failure("best").message, "data[size=4] failed");
    assert_eq!(ran.status("best"), Status::Skipped);
    lab.run().ran(&["data[size=4]", "score[size=4]", "best"]).is_complete();
}

#[test]
fn asking_twice_for_the_same_is_a_failure_of_the_stage() {
    let lab = Lab::new(SEARCH);
    let ran = lab.on("best", ask(&[1])).on("best", ask(&[1])).go();
    assert_eq!(ran.failure("best").message, "the stage asked for what it has");
    let ran = lab.on("best", ask(&[9])).go();
    assert_eq!(ran.failure("best").message, "the stage asked for what it has");
}

#[test]
fn a_forced_search_asks_again_and_a_selected_node_runs_unasked() {
    let lab = Lab::new(SEARCH);
    lab.on("best", ask(&[1])).go().is_complete();
    let ran = lab.attempt().force("best").on("best", ask(&[0])).go();
    ran.ran(&["best", "data[size=1]", "score[size=1]", "best"]).is_complete();
    lab.attempt().select("score[size=4]").go().ran(&["data[size=4]", "score[size=4]"]).is_complete();
}
