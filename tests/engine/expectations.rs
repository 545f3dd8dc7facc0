//! What a manifest expects of a run's numbers.

use crate::lab::{Lab, Ran};
use ddpipe::expect::{self, Checked};

const SWEEP: &str = r#"
[stages.a]
kind = "make.data"
[stages.score]
kind = "use.score"
matrix = { seed = [0, 1] }
inputs = { data = "a" }
"#;

fn run(expectation: &str, values: [f64; 2]) -> Vec<Checked> {
    let lab = Lab::new(&format!("{SWEEP}\n[[expect]]\n{expectation}\n"));
    let run = lab.attempt().scores("score[seed=0]", "accuracy", values[0]);
    checked(run.scores("score[seed=1]", "accuracy", values[1]).go())
}

fn checked(ran: Ran) -> Vec<Checked> {
    expect::check(&ran.pipeline, &ran.summary.records)
}

fn met(checked: &[Checked]) -> Vec<bool> {
    checked.iter().map(|check| check.met).collect()
}

#[test]
fn every_matching_node_is_held_to_the_bound() {
    let checked = run("metric = \"score.accuracy\"\nat_least = 0.6", [0.5, 0.7]);
    assert_eq!(met(&checked), [false, true]);
    assert_eq!(checked[0].what, "score[seed=0].accuracy");
    assert_eq!(checked[0].value, Some(0.5));
    assert_eq!(checked[0].wanted, "at least 0.6");
    assert!(checked[0].place.contains("lab.toml:"), "{}", checked[0].place);
}

#[test]
fn bounds_hold_up_to_their_ends() {
    assert_eq!(met(&run("metric = \"score.accuracy\"\nat_least = 0.5\nat_most = 0.7", [0.5, 0.7])), [true, true]);
    assert_eq!(met(&run("metric = \"score.accuracy\"\nat_most = 0.6", [0.5, 0.7])), [true, false]);
    assert_eq!(met(&run("metric = \"score.accuracy\"\nequals = 0.6\nwithin = 0.11", [0.5, 0.75])), [true, false]);
    assert_eq!(met(&run("metric = \"score[seed=1].accuracy\"\nequals = 0.75", [0.5, 0.75])), [true]);
}

#[test]
fn the_mean_can_be_held_to_a_bound_instead() {
    let checked = run("metric = \"score.accuracy\"\nat_least = 0.6\nmean = true", [0.5, 0.75]);
    assert_eq!(met(&checked), [true]);
    assert_eq!(checked[0].value, Some(0.625));
}

#[test]
fn what_is_not_a_number_meets_nothing() {
    assert_eq!(met(&run("metric = \"score.accuracy\"\nat_most = 0.9", [f64::NAN, 0.5])), [false, true]);
}

#[test]
fn what_was_not_measured_is_missed() {
    let manifest = format!("{SWEEP}\n[[expect]]\nmetric = \"score.loss\"\nat_most = 1\nmean = true\n");
    let lab = Lab::new(&manifest);
    let checked = checked(lab.attempt().scores("score[seed=0]", "loss", 0.5).go());
    assert_eq!((met(&checked), checked[0].value), (vec![false], None));
    let lab = Lab::new(&manifest);
    let ran = lab.attempt().scores("score[seed=0]", "loss", 0.5).select("score[seed=0]").go();
    assert_eq!(met(&expect::check(&ran.pipeline, &ran.summary.records)), [false]);
}

#[test]
fn numbers_on_record_are_checked_as_well() {
    let lab = Lab::new(&format!("{SWEEP}\n[[expect]]\nmetric = \"score[seed=0].accuracy\"\nat_least = 0.4\n"));
    lab.attempt().scores("score[seed=0]", "accuracy", 0.5).go();
    assert_eq!(met(&checked(lab.run())), [true]);
}
