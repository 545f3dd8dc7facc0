//! What runs again and what does not: parameters, seeds, versions, names, bytes.

use crate::lab::Lab;
use ddpipe::event::Status;
use ddpipe::executor::Step;

const CHAIN: &str = r#"
[stages.a]
kind = "make.data"
[stages.b]
kind = "use.step"
inputs = { data = "a" }
params = { x = 1 }
[stages.c]
kind = "use.step"
inputs = { data = "b" }
[stages.other]
kind = "make.noise"
"#;

#[test]
fn the_second_run_runs_nothing() {
    let lab = Lab::new(CHAIN);
    lab.run().ran(&["a", "b", "c", "other"]).is_complete();
    let again = lab.run();
    again.ran(&[]).is_complete();
    assert_eq!(again.summary.count(Status::Fresh), 4);
    assert!(again.planned.iter().all(|(_, word)| word == "fresh"), "{:?}", again.planned);
}

#[test]
fn a_changed_parameter_runs_its_node_and_what_depends_on_it() {
    let mut lab = Lab::new(CHAIN);
    lab.run();
    let ran = lab.set("stages.b.params.x", 2).run();
    ran.ran(&["b", "c"]);
    assert_eq!(ran.reasons("b"), ["x: 1 -> 2"]);
    assert_eq!(ran.reasons("c"), ["input data changed: b: x: 1 -> 2"]);
    assert_eq!(ran.planned[2], ("c".into(), "waits".into()));
    lab.set("stages.b.params.x", 1).run().ran(&[]).is_complete();
}

#[test]
fn what_runs_again_and_gives_the_same_bytes_changes_nothing_downstream() {
    let mut lab = Lab::new(CHAIN);
    lab.on("b", Step::Give(b"same".to_vec())).go();
    let ran = lab.set("stages.b.params.x", 2).on("b", Step::Give(b"same".to_vec())).go();
    ran.ran(&["b"]).is_complete();
    assert_eq!(ran.status("c"), Status::Fresh);
}

#[test]
fn names_comments_and_order_run_nothing() {
    let mut lab = Lab::new(CHAIN);
    lab.run();
    let renamed = r#"
    # Nothing in here means anything else.
    [stages.noise]
    kind = "make.noise"
    [stages.start]
    kind = "make.data"
    [stages.c]
    kind = "use.step"
    inputs = { data = "middle.data" }
    [stages.middle]
    kind = "use.step"
    inputs = { data = "start" }
    params = { x = 1 }
    "#;
    lab.manifest(renamed).attempt().slots(&["cpu", "cpu", "cpu"]).go().ran(&[]).is_complete();
    lab.manifest(&format!("[pipeline]\nname = \"another\"\n{renamed}")).run().ran(&[]).is_complete();
}

#[test]
fn a_parameter_that_is_written_at_its_default_changes_nothing() {
    let mut lab = Lab::new(CHAIN);
    lab.run();
    lab.set("stages.a.params.size", 10).set("stages.a.params.scale", 1).run().ran(&[]).is_complete();
    lab.redeclare("make.data", "[params]", "[params]\nnew = { type = \"boolean\", default = false, help = \"new\" }");
    lab.run().ran(&[]).is_complete();
    let ran = lab.set("stages.a.params.size", 11).run();
    assert_eq!(ran.reasons("a"), ["size: 10 (default) -> 11"]);
}

#[test]
fn the_seed_matters_to_kinds_that_draw_random_numbers_only() {
    let mut lab = Lab::new(CHAIN);
    lab.run();
    let ran = lab.manifest(&format!("[pipeline]\nname = \"lab\"\nseed = 7\n{CHAIN}")).run();
    ran.ran(&["other"]).is_complete();
    assert_eq!(ran.reasons("other"), ["seed: 0 -> 7"]);
}

#[test]
fn a_raised_version_runs_the_nodes_of_that_kind() {
    let mut lab = Lab::new(CHAIN);
    lab.on("a", Step::Give(b"same".to_vec())).go();
    lab.redeclare("make.data", "version = 1", "version = 2");
    let ran = lab.on("a", Step::Give(b"same".to_vec())).go();
    ran.ran(&["a"]).is_complete();
    assert_eq!(ran.reasons("a"), ["the kind's version: 1 -> 2"]);
}

#[test]
fn another_kind_is_a_reason() {
    let mut lab = Lab::new("[stages.a]\nkind = \"make.data\"\n");
    lab.run();
    let ran = lab.manifest("[stages.a]\nkind = \"make.noise\"\n").run();
    assert_eq!(ran.reasons("a"), ["kind: make.data -> make.noise", "seed: none -> 0"]);
}

#[test]
fn devices_are_kept_apart_for_kinds_that_ask_for_it() {
    let lab = Lab::new("[stages.a]\nkind = \"make.data\"\n[stages.b]\nkind = \"use.device\"\ninputs.data = \"a\"\n");
    lab.run();
    let ran = lab.attempt().device("cuda").slots(&["cuda:0"]).go();
    ran.ran(&["b"]);
    assert_eq!(ran.reasons("b"), ["device: cpu -> cuda"]);
    lab.run().ran(&[]);
}

#[test]
fn an_optional_input_that_comes_and_goes_is_a_change() {
    let mut lab = Lab::new(CHAIN);
    lab.run();
    let more = CHAIN.replace("{ data = \"b\" }", "{ data = \"b\", more = \"a\" }");
    let ran = lab.manifest(&more).run();
    ran.ran(&["c"]);
    assert_eq!(ran.reasons("c"), ["input more changed: a was not connected"]);
    lab.manifest(CHAIN).run().ran(&[]).is_complete();
}

#[test]
fn a_source_enters_by_its_bytes() {
    let manifest = r#"
    [sources.raw]
    path = "."
    files."one.bin" = {}
    [stages.decoded]
    kind = "make.decoded"
    inputs = { file = "source:raw/one.bin" }
    "#;
    let mut lab = Lab::new(manifest);
    lab.file("one.bin", "1").run().ran(&["decoded"]);
    lab.run().ran(&[]);
    let ran = lab.file("one.bin", "2").run();
    assert_eq!(ran.ran(&["decoded"]).reasons("decoded"), ["input file changed: the file raw/one.bin has other bytes"]);
    lab.file("one.bin", "1").run().ran(&[]);
    let ran = lab.run();
    let seen = &ran.summary.records[0].1.sources["raw/one.bin"];
    assert_eq!(seen.digest, ddpipe_cache::Digest::of(b"1"));
    assert!(!seen.verified, "no digest is pinned");
}

#[test]
fn what_is_compared_with_is_what_the_node_gave_last() {
    let mut lab = Lab::new(CHAIN);
    for x in [1, 2, 1] {
        lab.set("stages.b.params.x", x).run().is_complete();
    }
    // The command notes this after a run; the scheduler alone does not.
    let record = lab.run().summary.records.iter().find(|(node, _)| node.0 == 1).unwrap().1.key;
    lab.cache().note_latest("lab", "b", record).unwrap();
    assert_eq!(lab.set("stages.b.params.x", 3).run().reasons("b"), ["x: 1 -> 3"]);
}

#[test]
fn two_nodes_with_one_action_run_it_once() {
    let lab = Lab::new("[stages.a]\nkind = \"make.data\"\n[stages.b]\nkind = \"make.data\"\n");
    let ran = lab.attempt().slots(&["cpu", "cpu"]).with_surprises().go();
    ran.ran(&["a"]).is_complete();
    assert_eq!(ran.status("b"), Status::Fresh);
}
