//! Stages that fail, workers that die, and what becomes of the others.

use crate::lab::Lab;
use ddpipe::event::Status;
use ddpipe::executor::Step;
use ddpipe_interface::protocol::Cause;

/// `left` and `right` are independent; `after` needs `left`, `last` needs `after`.
const BRANCHES: &str = r#"
[stages.left]
kind = "make.data"
params = { size = 1 }
[stages.after]
kind = "use.step"
inputs = { data = "left" }
[stages.last]
kind = "use.step"
inputs = { data = "after" }
[stages.right]
kind = "make.data"
params = { size = 2 }
"#;

#[test]
fn the_first_failure_stops_what_has_not_begun() {
    let lab = Lab::new(BRANCHES);
    let ran = lab.on("left", Step::Fail(Cause::Error)).go();
    ran.ran(&["left"]);
    assert_eq!(ran.status("left"), Status::Failed);
    assert_eq!(ran.failure("left").cause, Some(Cause::Error));
    assert_eq!(ran.failure("left").message, "left was told to fail");
    assert_eq!(ran.failure("after").message, "left failed");
    assert_eq!(ran.failure("last").message, "left failed");
    assert!(ran.failure("right").message.contains("--keep-going"), "{:?}", ran.failure("right"));
    lab.run().ran(&["left", "after", "last", "right"]).is_complete();
}

#[test]
fn keep_going_finishes_independent_branches() {
    let lab = Lab::new(BRANCHES);
    let ran = lab.on("after", Step::Fail(Cause::OutOfMemory)).keep_going().go();
    assert_eq!(ran.status("right"), Status::Ran);
    assert_eq!(ran.status("last"), Status::Skipped);
    assert_eq!(ran.failure("last").message, "after failed");
    lab.run().ran(&["after", "last"]).is_complete();
}

#[test]
fn a_failed_stage_leaves_no_record() {
    let lab = Lab::new(BRANCHES);
    lab.on("left", Step::Fail(Cause::Panic)).go();
    assert!(lab.record("left").is_none());
    assert_eq!(lab.cache().records().unwrap().len(), 0);
}

#[test]
fn a_worker_that_dies_is_one_stages_failure() {
    let lab = Lab::new(BRANCHES);
    let ran = lab.on("left", Step::Die).keep_going().go();
    let failure = ran.failure("left");
    assert_eq!(failure.cause, Some(Cause::WorkerDied));
    assert_eq!(failure.message, "the worker's process is gone: it was told to");
    assert_eq!(failure.log, ["last words"]);
    assert!(failure.hint.is_some());
    assert_eq!(ran.status("right"), Status::Ran);
    lab.run().is_complete();
}

#[test]
fn outputs_that_died_with_their_worker_are_made_again_once() {
    let lab = Lab::new("[stages.left]\nkind = \"make.data\"\n");
    lab.on("left", Step::DieBeforeStored).go().ran(&["left", "left"]).is_complete();
    let lab = Lab::new("[stages.left]\nkind = \"make.data\"\n");
    let ran = lab.on("left", Step::DieBeforeStored).on("left", Step::DieBeforeStored).go();
    ran.ran(&["left", "left"]);
    assert_eq!(ran.failure("left").cause, Some(Cause::WorkerDied));
    assert!(ran.failure("left").message.contains("before the outputs were written"), "{:?}", ran.failure("left"));
    assert!(lab.record("left").is_none());
}

#[test]
fn what_was_started_on_lost_outputs_is_not_recorded() {
    // `after` starts on the outputs of `left` while they are being written, and the worker dies with both.
    let lab = Lab::new(BRANCHES);
    let ran = lab.on("left", Step::DieBeforeStored).keep_going().go();
    assert_eq!(ran.status("left"), Status::Ran);
    assert_eq!(ran.failure("after").cause, Some(Cause::WorkerDied));
    lab.run().is_complete();
    lab.run().ran(&[]);
}

#[test]
fn outputs_that_could_not_be_written_fail_their_node() {
    let lab = Lab::new(BRANCHES);
    let ran = lab.on("left", Step::Fail(Cause::Store)).keep_going().go();
    assert_eq!(ran.failure("left").cause, Some(Cause::Store));
    assert_eq!(ran.status("after"), Status::Skipped);
    assert_eq!(ran.status("right"), Status::Ran);
}

#[test]
fn a_node_that_reads_two_failures_is_skipped_once() {
    let manifest = r#"
    [stages.a]
    kind = "make.data"
    params = { size = 1 }
    [stages.b]
    kind = "make.data"
    params = { size = 2 }
    [stages.c]
    kind = "use.step"
    inputs = { data = "a", more = "b" }
    "#;
    let lab = Lab::new(manifest);
    let ran = lab.on("a", Step::Fail(Cause::Error)).on("b", Step::Fail(Cause::Error)).keep_going().go();
    assert_eq!(ran.summary.count(Status::Failed), 2);
    assert_eq!(ran.status("c"), Status::Skipped);
    assert_eq!(ran.failure("c").cause, None);
}
