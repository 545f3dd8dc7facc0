//! Gathered inputs: labels, numbers and folded axes decide together with the bytes.

use crate::lab::Lab;
use ddpipe::executor::Step;

const SWEEP: &str = r#"
[stages.a]
kind = "make.data"
[stages.score]
kind = "use.score"
matrix = { seed = [0, 1] }
inputs = { data = "a" }
[stages.table]
kind = "use.table"
inputs = { results = { gather = "score", over = ["seed"] } }
"#;

/// Both seeds give the same bytes, so that only labels and numbers differ.
fn run(lab: &Lab, first: f64, second: f64) -> crate::lab::Ran {
    lab.attempt().scores("score[seed=0]", "accuracy", first).scores("score[seed=1]", "accuracy", second).go()
}

#[test]
fn a_number_of_a_gathered_record_is_part_of_the_key() {
    let mut lab = Lab::new(SWEEP);
    run(&lab, 0.5, 0.75).is_complete();
    lab.run().ran(&[]);
    // Same bytes, another number: the version makes it run.
    lab.redeclare("use.score", "version = 1", "version = 2");
    let ran = run(&lab, 0.5, 0.8);
    ran.ran(&["score[seed=0]", "score[seed=1]", "table"]);
    assert_eq!(ran.reasons("table"), ["input results changed"]);
    lab.redeclare("use.score", "version = 2", "version = 3");
    run(&lab, 0.5, 0.8).ran(&["score[seed=0]", "score[seed=1]"]).is_complete();
}

#[test]
fn the_labels_of_gathered_nodes_are_part_of_the_key() {
    let give = |lab: &Lab, seeds: [u32; 2]| {
        let step = || Step::Give(b"{}".to_vec());
        lab.on(&format!("score[seed={}]", seeds[0]), step()).on(&format!("score[seed={}]", seeds[1]), step()).go()
    };
    let mut lab = Lab::new(SWEEP);
    give(&lab, [0, 1]).is_complete();
    lab.manifest(&SWEEP.replace("[0, 1]", "[0, 2]"));
    give(&lab, [0, 2]).ran(&["score[seed=2]", "table"]);
}

#[test]
fn folding_other_axes_is_a_change() {
    let mut lab = Lab::new(SWEEP);
    lab.run();
    lab.manifest(&SWEEP.replace(", over = [\"seed\"]", "")).run().ran(&["table"]).is_complete();
}

#[test]
fn renaming_a_gathered_stage_changes_no_table() {
    let mut lab = Lab::new(SWEEP);
    lab.run();
    lab.manifest(&SWEEP.replace("score", "evaluate").replace("use.evaluate", "use.score")).run().ran(&[]).is_complete();
}

#[test]
fn stages_are_named_where_several_are_gathered() {
    let two = r#"
    [stages.a]
    kind = "make.data"
    [stages.one]
    kind = "use.score"
    inputs = { data = "a" }
    [stages.two]
    kind = "use.score"
    inputs = { data = "a" }
    params = { x = 1 }
    [stages.table]
    kind = "use.table"
    inputs = { results = { gather = ["one", "two"] } }
    "#;
    let mut lab = Lab::new(two);
    lab.run().is_complete();
    // Tables show the names, so a new name is a new table.
    lab.manifest(&two.replace("two", "second")).run().ran(&["table"]).is_complete();
}
