//! A cache that lost or damaged bytes: what made them runs again, and the run goes on.

use crate::lab::Lab;
use ddpipe::event::{Event, Status};
use ddpipe::executor::Step;
use ddpipe_interface::protocol::Cause;

const CHAIN: &str = r#"
[stages.a]
kind = "make.data"
[stages.b]
kind = "use.step"
inputs = { data = "a" }
"#;

#[test]
fn a_lost_output_runs_its_node_and_nothing_else() {
    let lab = Lab::new(CHAIN);
    lab.run();
    lab.lose("a");
    let ran = lab.run();
    ran.ran(&["a"]).is_complete();
    assert_eq!(ran.reasons("a"), ["its output data is no longer in the cache"]);
    assert_eq!(ran.status("b"), Status::Fresh);
    lab.run().ran(&[]);
}

#[test]
fn a_damaged_input_is_made_again() {
    let mut lab = Lab::new(CHAIN);
    lab.run();
    lab.damage("a");
    lab.set("stages.b.params.x", 5);
    let ran = lab.on("b", Step::Fail(Cause::DamagedInput)).with_surprises().go();
    ran.ran(&["b", "a", "b"]).is_complete();
    let warned = |event: &Event| matches!(event, Event::Warning { text } if text.contains("output of a was damaged"));
    assert!(ran.events.iter().any(warned), "{:?}", ran.events);
    assert_eq!(ran.summary.outcomes.len(), 2);
    lab.run().ran(&[]);
}

#[test]
fn damage_that_comes_back_is_a_failure() {
    let lab = Lab::new(CHAIN);
    lab.attempt().select("a").go();
    lab.damage("a");
    let attempt = lab.on("b", Step::Fail(Cause::DamagedInput)).on("b", Step::Fail(Cause::DamagedInput));
    let ran = attempt.with_surprises().go();
    ran.ran(&["b", "a", "b"]);
    assert_eq!(ran.failure("b").cause, Some(Cause::DamagedInput));
}
