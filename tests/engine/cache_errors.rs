//! A cache that fails for one node: that node fails, and the run goes on and says so.

use crate::lab::Lab;
use ddpipe::event::Status;
use ddpipe::executor::Step;
use ddpipe_interface::protocol::Cause;
use std::fs;

/// `after` needs `left`; `right` needs nothing.
const BRANCHES: &str = r#"
[stages.left]
kind = "make.data"
params = { size = 1 }
[stages.after]
kind = "use.step"
inputs = { data = "left" }
[stages.right]
kind = "make.data"
params = { size = 2 }
"#;

#[test]
fn a_commit_that_fails_is_one_nodes_failure() {
    let lab = Lab::new(BRANCHES);
    let ran = lab.on("left", Step::Lie).keep_going().go();
    let failure = ran.failure("left");
    assert_eq!(failure.cause, Some(Cause::Cache));
    assert!(failure.message.contains("output \"data\" of left cannot be recorded"), "{failure:?}");
    assert!(failure.hint.is_some());
    assert_eq!(ran.status("right"), Status::Ran);
    lab.run().is_complete();
}

#[test]
fn a_look_up_that_fails_is_one_nodes_failure() {
    let lab = Lab::new(BRANCHES);
    lab.run().is_complete();
    let key = lab.record("left").unwrap().key.hex();
    let file = lab.root().join("records-v1").join(&key[..2]).join(format!("{}.json", &key[2..]));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let ran = lab.attempt().keep_going().force("right").with_surprises().go();
    let failure = ran.failure("left");
    assert_eq!(failure.cause, Some(Cause::Cache));
    assert!(failure.message.contains(&key[2..]), "{failure:?}");
    assert_eq!(ran.failure("after").message, "left failed");
    assert_eq!(ran.status("right"), Status::Ran);
    let stopped = lab.attempt().force("right").with_surprises().go();
    assert_eq!(stopped.failure("left").cause, Some(Cause::Cache));
    fs::remove_dir(&file).unwrap();
    lab.attempt().with_surprises().go().is_complete();
}
