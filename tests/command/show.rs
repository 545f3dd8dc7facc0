//! `ddpipe show`: outputs of one node and of several, for people and for programs.

use crate::project::Project;

const SWEEP: &str = r#"[pipeline]
name = "sweep"
kinds = ["../kinds"]
[stages.a]
kind = "own.count"
matrix = { to = [3, 4] }
params = { to = "${to}" }
[stages.set]
kind = "sample.digits"
params = { train = 40, test = 20, size = 8 }
[stages.decoded]
kind = "decode.idx"
inputs = { images = "set.train_images", labels = "set.train_labels" }
"#;

fn ran() -> Project {
    let project = Project::counting();
    project.file("pipelines/sweep.toml", SWEEP).go("pipelines/sweep.toml", &[]).ok();
    project
}

#[test]
fn several_nodes_are_written_into_a_folder_and_never_over_each_other() {
    let project = ran();
    let show = |more: &[&str]| project.run(&[&["show", "pipelines/sweep.toml"], more].concat());
    let refused = show(&["a", "--output", "counted", "--out", "x.json"]);
    refused.code(2).says("a[to=3], a[to=4]").says("--out DIR/");
    assert!(!project.path("x.json").exists());
    show(&["a", "--output", "counted", "--out", "made/"]).ok().says("made/a-to=3").says("made/a-to=4");
    assert_eq!(std::fs::read_dir(project.path("made")).unwrap().count(), 2);
    // The only output needs no name, and `-` is standard output.
    let piped = show(&["a[to=3]", "--out", "-"]);
    piped.ok();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&piped.out).unwrap()["sum"], 3);
    show(&["set", "--out", "x"]).code(2).says("name one with --output: train_images");
}

#[test]
fn programs_get_paths_and_numbers_in_full() {
    let project = ran();
    let show = |more: &[&str]| project.run(&[&["show", "pipelines/sweep.toml"], more].concat());
    let path = show(&["a[to=4]", "--path"]);
    path.ok();
    let made = std::fs::read_to_string(path.out.trim()).unwrap();
    assert!(made.contains("sum"), "{made}");
    let json = show(&["a", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.ok().out).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[1]["metrics"]["sum"], 6.0);
    assert_eq!(json[1]["outputs"]["counted"]["path"], path.out.trim());
}

#[test]
fn shapes_of_tensors_are_shown() {
    let project = ran();
    let shown = project.run(&["show", "pipelines/sweep.toml", "decoded", "--output", "dataset"]);
    shown.ok().says("U8 [40, 1, 8, 8]");
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let project = ran();
    let show = |more: &[&str]| project.run(&[&["show", "pipelines/sweep.toml"], more].concat());
    show(&["a[to=5]"])
        .code(2)
        .says("axis \"to\" has no value \"5\"; it has 3, 4")
        .is_silent_about("did you mean \"a\"");
    show(&["a[too=3]"]).code(2).says("has no axis \"too\"; did you mean \"to\"?");
    show(&["set[to=3]"]).code(2).says("has no axis \"to\"");
    show(&["b"]).code(2).says("no node matches");
    show(&["set", "--output", "train"]).code(2).says("its outputs are train_images");

    project.edit("pipelines/sweep.toml", "[3, 4]", "[3, 7]");
    let some = show(&["a"]);
    some.ok().says("a[to=7]: not on record").says("sum = 3");
    let none = show(&["a[to=7]"]);
    none.code(1).says("not on record").says("`ddpipe run` makes it");
    let none = show(&["a[to=7]", "--json"]);
    none.code(1).says("\"on_record\":false");
}
