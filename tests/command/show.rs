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

#[test]
fn ranges_of_values_and_counts_of_labels_are_shown() {
    let project = ran();
    let show = |more: &[&str]| project.run(&[&["show", "pipelines/sweep.toml", "decoded"], more].concat());
    let shown = show(&["--output", "dataset"]);
    shown.ok().says("U8 [40, 1, 8, 8]  0 to ").says(", mean ").says("0 to 9, 10 different, 4 of each");
    let json: serde_json::Value = serde_json::from_str(&show(&["--json"]).ok().out).unwrap();
    let values = &json[0]["outputs"]["dataset"]["values"];
    assert_eq!((&values["images"]["min"], &values["images"]["not_finite"]), (&0.0.into(), &0.into()));
    assert_eq!(values["labels"]["counts"]["9"], 4);
}

const PICTURE: &str = r#"
[stages.start]
kind = "init.synthetic"
inputs = { real = "decoded" }
params = { ipc = 1 }
[stages.picture]
kind = "report.grid"
inputs = { images = "start" }
"#;

#[test]
fn pictures_are_drawn_where_colours_are_shown() {
    let mut project = Project::counting();
    project.file("pipelines/sweep.toml", format!("{SWEEP}{PICTURE}")).go("pipelines/sweep.toml", &[]).ok();
    project.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    let show = ["show", "pipelines/sweep.toml", "picture"];
    let drawn = crate::terminal::Terminal::start(&project, &show, (60, 24)).wait();
    assert_eq!(drawn.code, Some(0));
    let rows = drawn.rows.iter().filter(|row| row.contains('▀')).count();
    assert!((2..=20).contains(&rows) && drawn.rows.iter().all(|row| row.chars().count() < 60 || !row.contains('▀')));
    let with = |project: &Project, more: &[&str]| project.run(&[&show, more].concat());
    with(&project, &[]).ok().is_silent_about("▀");
    with(&project, &["--picture"]).ok().says("▀").says("38;5;");
    with(&project, &["--picture=never"]).ok().is_silent_about("▀");
    with(&project, &["--picture", "--json"]).ok().is_silent_about("▀");
    project.env("COLORTERM", "truecolor");
    with(&project, &["--picture"]).ok().says("38;2;");
    project.env("NO_COLOR", "1");
    with(&project, &["--picture"]).ok().is_silent_about("▀");
    let plain = crate::terminal::Terminal::start(&project, &show, (60, 24)).wait();
    assert!(!plain.bytes.contains('▀'), "{:?}", plain.bytes);
}

#[test]
fn outputs_are_opened_by_the_desktop() {
    let mut project = Project::new();
    let digits =
        "[pipeline]\nname = \"digits\"\n[stages.set]\nkind = \"sample.digits\"\nparams = { train = 20, test = 10 }\n";
    project.file("digits.toml", digits).go("digits.toml", &[]).ok();
    project.file("bin/xdg-open", "#!/bin/sh\necho \"$1\" > opened\n").file("temp/there", "");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.path("bin/xdg-open"), mode).unwrap();
    let (bin, temp) = (project.path("bin").display().to_string(), project.path("temp").display().to_string());
    project.env("PATH", &bin).env("TMPDIR", &temp);
    let show = ["show", "digits.toml", "set", "--output", "test_labels", "--open"];
    let opened = project.run(&show);
    opened.ok().says("set.test_labels");
    assert_eq!(project.read("opened"), opened.out);
    let made = std::fs::read(opened.out.trim()).unwrap();
    project.run(&["show", "digits.toml", "set", "--output", "test_labels", "--out", "labels"]).ok();
    assert_eq!(made, std::fs::read(project.path("labels")).unwrap());
    project.env("PATH", "/nowhere");
    project.run(&show).code(3).says("xdg-open").says("--out FILE");
}
