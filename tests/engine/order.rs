//! Which ready node comes first, on which slot, and what `--select` and `--force` leave of a pipeline.

use crate::lab::Lab;
use ddpipe::event::Status;

const FORK: &str = r#"
[stages.short]
kind = "make.data"
params = { size = 1 }
[stages.long]
kind = "make.data"
params = { size = 2 }
[stages.longer]
kind = "use.step"
inputs = { data = "long" }
[stages.longest]
kind = "use.step"
inputs = { data = "longer" }
"#;

#[test]
fn the_longest_remaining_path_comes_first() {
    let lab = Lab::new(FORK);
    lab.run().ran(&["long", "longer", "short", "longest"]);
}

#[test]
fn recorded_times_decide_which_path_is_long() {
    let lab = Lab::new(FORK);
    let seconds = |node: &str| if node == "short" { 100.0 } else { 1.0 };
    lab.attempt().seconds(seconds).go().ran(&["short", "long", "longer", "longest"]);
}

#[test]
fn independent_nodes_spread_over_slots_and_dependants_follow_their_data() {
    let manifest = r#"
    [stages.a]
    kind = "make.data"
    params = { size = 1 }
    [stages.b]
    kind = "make.data"
    params = { size = 2 }
    [stages.after_b]
    kind = "use.step"
    inputs = { data = "b" }
    [stages.after_a]
    kind = "use.step"
    inputs = { data = "a" }
    params = { x = 1 }
    "#;
    let ran = Lab::new(manifest).attempt().slots(&["cuda:0", "cuda:1"]).go();
    let mut journal = ran.journal.clone();
    journal.sort();
    assert_eq!(journal, ["a@cuda:0", "after_a@cuda:0", "after_b@cuda:1", "b@cuda:1"]);
}

#[test]
fn select_runs_a_node_and_what_it_needs() {
    let lab = Lab::new(FORK);
    let ran = lab.attempt().select("longer").go();
    ran.ran(&["long", "longer"]).is_complete();
    assert_eq!(ran.summary.outcomes.len(), 2);
    lab.attempt().select("sho*").go().ran(&["short"]);
    lab.run().ran(&["longest"]);
}

#[test]
fn a_partial_match_selects_many() {
    let manifest = r#"
    [stages.a]
    kind = "make.noise"
    matrix = { size = [1, 2], seed = [0, 1] }
    params = { size = "${size}" }
    "#;
    let ran = Lab::new(manifest).attempt().select("a[seed=1]").go();
    ran.ran(&["a[size=1,seed=1]", "a[size=2,seed=1]"]);
}

#[test]
fn force_runs_a_node_that_is_on_record_and_nothing_else() {
    let lab = Lab::new(FORK);
    lab.run();
    let ran = lab.attempt().force("longer").go();
    ran.ran(&["longer"]).is_complete();
    assert_eq!(ran.reasons("longer"), ["forced"]);
    assert_eq!(ran.status("longest"), Status::Fresh);
}
