//! Ctrl-C: running stages stop, nothing half done is kept, and the next run continues.

use crate::lab::Lab;
use ddpipe::event::{Event, Status};
use ddpipe::executor::Step;
use ddpipe::schedule::Interrupts;
use ddpipe_interface::protocol::Cause;

const CHAIN: &str = r#"
[stages.a]
kind = "make.data"
[stages.b]
kind = "use.step"
inputs = { data = "a" }
[stages.c]
kind = "use.step"
inputs = { data = "b" }
[stages.d]
kind = "make.noise"
"#;

#[test]
fn an_interrupted_run_keeps_what_is_done_and_the_next_one_continues() {
    let lab = Lab::new(CHAIN);
    let interrupts = Interrupts::default();
    let on_b = |event: &Event| {
        if matches!(event, Event::Started { node, .. } if node == "b") {
            interrupts.raise();
        }
    };
    let ran = lab.on("b", Step::Hang).interrupts(&interrupts).watch(on_b).go();
    assert!(ran.summary.interrupted);
    assert_eq!(ran.status("a"), Status::Ran);
    assert_eq!(ran.status("b"), Status::Interrupted);
    assert_eq!(ran.failure("b").cause, Some(Cause::Interrupted));
    assert_eq!(ran.status("c"), Status::Skipped);
    assert_eq!(ran.status("d"), Status::Skipped);
    assert!(lab.record("b").is_none());
    lab.run().ran(&["b", "c", "d"]).is_complete();
}

#[test]
fn a_second_interrupt_ends_the_run_at_once() {
    let lab = Lab::new(CHAIN);
    let interrupts = Interrupts::default();
    let gate = crate::lab::Gate::default();
    let on_a = |event: &Event| {
        if matches!(event, Event::Started { node, .. } if node == "a") {
            interrupts.raise();
            interrupts.raise();
        }
    };
    // The gate never opens: the worker says nothing any more.
    let ran = lab.attempt().gate(&gate).interrupts(&interrupts).watch(on_a).go();
    assert!(ran.summary.interrupted);
    assert_eq!(ran.status("a"), Status::Interrupted);
    assert_eq!(ran.summary.count(Status::Skipped), 3);
    assert_eq!(lab.cache().records().unwrap().len(), 0);
    lab.run().is_complete();
}

#[test]
fn an_interrupt_before_the_first_stage_runs_nothing() {
    let lab = Lab::new(CHAIN);
    let interrupts = Interrupts::default();
    interrupts.raise();
    let ran = lab.attempt().interrupts(&interrupts).go();
    ran.ran(&[]);
    assert_eq!(ran.summary.count(Status::Skipped), 4);
}

#[test]
fn a_stage_that_was_asked_to_stop_but_finished_is_kept() {
    let lab = Lab::new(CHAIN);
    let interrupts = Interrupts::default();
    let on_a = |event: &Event| {
        if matches!(event, Event::Started { node, .. } if node == "a") {
            interrupts.raise();
        }
    };
    let ran = lab.attempt().interrupts(&interrupts).watch(on_a).go();
    assert_eq!(ran.status("a"), Status::Ran);
    assert_eq!(ran.status("b"), Status::Skipped);
    lab.run().ran(&["b", "c", "d"]);
}
