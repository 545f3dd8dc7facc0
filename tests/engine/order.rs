//! Which ready node comes first, on which slot, and what `--select` and `--force` leave of a pipeline.

use crate::lab::Lab;
use ddpipe::estimate::for_order;
use ddpipe::event::Status;
use ddpipe::pipeline::NodeId;
use indexmap::IndexMap;

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
fn a_node_of_which_nothing_is_known_counts_as_the_middle_one() {
    // By pipeline order: short, long, longer, longest. What is unknown is neither taken for nothing nor for all.
    let expected = |seconds: [Option<f64>; 4]| {
        let node = |(index, seconds)| (NodeId(index as u32), seconds);
        seconds.into_iter().enumerate().map(node).collect::<IndexMap<_, _>>()
    };
    for (known, order) in [
        ([None, Some(2.0), Some(2.0), Some(1.0)], ["long", "longer", "short", "longest"]),
        ([None, Some(0.1), Some(0.1), Some(90.0)], ["long", "longer", "longest", "short"]),
        ([Some(5.0), Some(1.0), None, Some(9.0)], ["long", "longer", "longest", "short"]),
        ([Some(30.0), Some(1.0), None, Some(9.0)], ["short", "long", "longer", "longest"]),
        ([None, None, None, None], ["long", "longer", "short", "longest"]),
    ] {
        let (lab, expected) = (Lab::new(FORK), expected(known));
        let pipeline = lab.load();
        let by_address = |node: &str| {
            let id = pipeline.nodes.iter().find(|known| known.address() == node).unwrap().id;
            for_order(&expected)(id)
        };
        lab.attempt().seconds(by_address).go().ran(&order);
    }
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
fn what_has_to_wait_for_a_gpu_of_its_own_gets_it_in_the_end() {
    let manifest = r#"
    [stages.a]
    kind = "make.data"
    matrix = { size = [1, 2, 3, 4, 5, 6] }
    params = { size = "${size}" }
    "#;
    // The third is large, of the sixth nothing is known.
    let memory = [1, 1, 1 << 40, 1, 1].map(Some).into_iter().chain([None]).collect::<Vec<_>>();
    let ran = Lab::new(manifest).attempt().slots(&["cuda:0"; 4]).memory(&memory).go();
    ran.is_complete();
    assert_eq!(ran.journal.len(), 6);
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
