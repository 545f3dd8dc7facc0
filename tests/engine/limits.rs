//! Stages that take too long, stages that say nothing, and stages that are tried again.

use crate::lab::{Lab, Ran};
use ddpipe::event::{Event, Status};
use ddpipe::executor::Step;
use ddpipe::schedule::Patience;
use ddpipe_interface::protocol::Cause;
use std::time::Duration;

const TWO: &str = r#"
[stages.a]
kind = "make.data"
LIMITS
[stages.b]
kind = "use.step"
inputs = { data = "a" }
"#;

fn lab(limits: &str) -> Lab {
    Lab::new(&TWO.replace("LIMITS", limits))
}

fn quick() -> Patience {
    Patience { silence: Duration::from_millis(20), grace: Duration::from_millis(50), ..Patience::default() }
}

fn retried(ran: &Ran) -> Vec<u32> {
    let failed = |event: &Event| match event {
        Event::Retried { failed, .. } => Some(*failed),
        _ => None,
    };
    ran.events.iter().filter_map(failed).collect()
}

#[test]
fn a_stage_over_its_time_is_asked_to_stop_and_named_with_the_way_out() {
    let lab = lab("timeout = 0.05");
    let ran = lab.on("a", Step::Hang).patience(quick()).go();
    let failure = ran.failure("a");
    assert_eq!(failure.cause, Some(Cause::Timeout));
    assert!(failure.message.starts_with("a took longer than 0.05 s (timeout of [stages.a])"), "{failure:?}");
    assert!(failure.hint.as_ref().unwrap().contains("[stages.a]"), "{failure:?}");
    assert_eq!(ran.failure("b").message, "a failed");
    lab.run().is_complete();
}

#[test]
fn one_that_does_not_stop_is_killed_after_a_grace() {
    let lab = lab("");
    let patience = Patience { timeout: Some(Duration::from_millis(30)), ..quick() };
    let ran = lab.on("a", Step::Stick).patience(patience).go();
    let failure = ran.failure("a");
    assert_eq!(failure.cause, Some(Cause::Timeout));
    assert!(failure.message.contains("(--timeout); it did not stop when asked to and was killed"), "{failure:?}");
    lab.run().is_complete();
}

#[test]
fn a_stage_that_says_nothing_is_mentioned_less_and_less_often() {
    let lab = lab("timeout = 0.4");
    let ran = lab.on("a", Step::Hang).patience(quick()).go();
    let silent = ran.events.iter().filter(|event| matches!(event, Event::Silent { node, .. } if node == "a")).count();
    assert!((2..=5).contains(&silent), "{silent}");
}

#[test]
fn a_stage_is_tried_again_as_often_as_it_says_and_the_record_tells() {
    let lab = lab("retries = 2");
    let ran = lab.on("a", Step::Die).on("a", Step::Fail(Cause::OutOfMemory)).go();
    ran.ran(&["a", "a", "a", "b"]).is_complete();
    assert_eq!(retried(&ran), [1, 2]);
    let note = lab.record("a").unwrap().provenance.note.clone();
    assert_eq!(note[0], "attempt 1 failed: worker_died: the worker's process is gone: it was told to");
    assert_eq!(note[1], "attempt 2 failed: out_of_memory: a was told to fail");
    lab.run().ran(&[]);
}

#[test]
fn the_last_attempt_counts() {
    let lab = lab("retries = 1");
    let ran = lab.on("a", Step::Die).on("a", Step::Die).go();
    ran.ran(&["a", "a"]);
    assert_eq!(ran.failure("a").cause, Some(Cause::WorkerDied));
    assert_eq!(ran.status("b"), Status::Skipped);
}

#[test]
fn a_failure_of_the_stage_itself_is_not_tried_again_unless_named() {
    let seven = || Step::FailSaying(Cause::Error, "own.a: run.py exited with status 7: words".into());
    lab("retries = 3").on("a", seven()).go().ran(&["a"]);
    lab("retries = { times = 1, on = [7] }").on("a", seven()).go().ran(&["a", "a", "b"]).is_complete();
    lab("retries = { times = 1, on = [\"error\"] }").on("a", seven()).go().ran(&["a", "a", "b"]).is_complete();
    lab("retries = { times = 1, on = [8] }").on("a", seven()).go().ran(&["a"]);
}

#[test]
fn limits_do_not_enter_the_key() {
    let mut lab = lab("retries = 2\ntimeout = \"2h\"");
    lab.run().is_complete();
    lab.manifest(&TWO.replace("LIMITS", "retries = 0\ntimeout = 5"));
    lab.run().ran(&[]);
}

#[test]
fn a_worker_that_breaks_the_protocol_is_ended_and_named() {
    for (step, words) in [(Step::DoneTwice, "said twice that it is done"), (Step::StoredFirst, "before it was done")] {
        let lab = lab("");
        let ran = lab.on("a", step).with_surprises().go();
        let failure = ran.failure("a");
        assert_eq!(failure.cause, Some(Cause::Protocol), "{failure:?}");
        assert!(failure.message.contains(words) && failure.message.contains("cannot be understood"), "{failure:?}");
        assert!(failure.hint.as_ref().unwrap().contains("DDPIPE_WORKER"), "{failure:?}");
        lab.attempt().with_surprises().go().is_complete();
    }
}

/// A job that was handed to a worker which is being ended for another one failed with it.
#[test]
fn a_worker_that_is_ended_takes_nobody_else_with_it() {
    let lab = Lab::new("[stages.a]\nkind = \"make.data\"\n[stages.b]\nkind = \"make.noise\"\n");
    let ran = lab.on("a", Step::StoredFirst).keep_going().with_surprises().go();
    assert_eq!((ran.status("a"), ran.status("b")), (Status::Failed, Status::Ran));
}
