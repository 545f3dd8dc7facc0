//! Manifests and machines as they are in the wild, each with the right result: names and variables that are not UTF-8, values
//! of an axis with a point, paths from a home folder, long names, links into a store, partial selections.

use crate::project::Project;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

#[test]
fn variables_and_folders_that_are_not_utf_8_are_no_reason_to_stop() {
    let project = Project::counting();
    let mut command = project.command(&["check", "pipelines/two.toml"]);
    command.env("TITLE", OsStr::from_bytes(b"caf\xe9"));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let folder = project.path("home").join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir_all(folder.join("pipelines")).unwrap();
    for name in ["kinds/own/count/stage.toml", "kinds/own/count/count.py", "pipelines/two.toml"] {
        std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        std::fs::copy(project.path(name), folder.join(name)).unwrap();
    }
    let mut command = project.command(&["check", "pipelines/two.toml"]);
    let done = command.current_dir(&folder).env("PWD", &folder).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

const BY_AXIS: &str = r#"[pipeline]
name = "axis"
kinds = ["../kinds"]

[stages.count]
kind = "own.count"
matrix = { rate = [0.5, 1.0, 10.0, -0.25] }

[stages.count.params]
to = { rate = { 0.5 = 12, 10 = 25, -0.25 = 4, else = 2 } }
"#;

#[test]
fn values_of_an_axis_are_compared_as_numbers_and_have_a_point() {
    let project = Project::counting();
    // The sum of the numbers below `to`.
    let sums = |name: &str| {
        let done = project.go(name, &["--force", "count"]);
        ["0.5", "1.0", "10.0", "-0.25"]
            .map(|rate| done.ok().outcome(&format!("count[rate={rate}]"))["metrics"]["sum"].as_f64())
    };
    let expected = [12, 2, 25, 4].map(|to| Some(f64::from(to * (to - 1) / 2)));
    project.file("pipelines/axis.toml", BY_AXIS);
    assert_eq!(sums("pipelines/axis.toml"), expected);
    let quoted = BY_AXIS.replace("0.5 = 12, 10 = 25, -0.25 = 4", r#""0.5" = 12, "10.0" = 25, "-0.25" = 4"#);
    project.file("pipelines/quoted.toml", quoted);
    assert_eq!(sums("pipelines/quoted.toml"), expected);
}

#[test]
fn a_pipeline_is_not_called_as_another_folder_is() {
    let project = Project::counting();
    for name in ["../outside", "a/b", ".", "..", "", "CON ", &"x".repeat(300)] {
        project
            .file("pipelines/named.toml", project.read("pipelines/two.toml").replace("\"two\"", &format!("{name:?}")));
        project.run(&["check", "pipelines/named.toml"]).code(2);
    }
}

#[test]
fn a_long_folder_for_temporary_files_and_one_that_is_not_there_are_no_reason_to_stop() {
    let mut project = Project::counting();
    let long = format!("home/{}", "scratch-of-job-".repeat(8));
    std::fs::create_dir_all(project.path(&long)).unwrap();
    for folder in [long.as_str(), "home/none"] {
        let folder = project.path(folder).display().to_string();
        project.env("TMPDIR", &folder);
        project.go("pipelines/two.toml", &["--force", "a"]).ok();
    }
}

const RAW: &str = r#"[pipeline]
name = "raw"
kinds = ["../kinds"]

[sources.raw]
path = "~/store"
files."one.bin" = {}

[stages.a]
kind = "own.count"
inputs = { file = "source:raw/one.bin" }
"#;

#[test]
fn paths_start_from_the_home_folder_or_from_a_variable() {
    let mut project = Project::counting();
    project.file("home/store/one.bin", "abc").file("elsewhere/store/one.bin", "abc");
    project.file("pipelines/raw.toml", RAW);
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    let elsewhere = project.path("elsewhere").display().to_string();
    project.env("STORE", &elsewhere).edit("pipelines/raw.toml", "~/store", "$STORE/store");
    project.go("pipelines/raw.toml", &[]).ok().ran(&[]);
    project.edit("pipelines/raw.toml", "$STORE", "$NOT_SET");
    project.run(&["check", "pipelines/raw.toml"]).code(2).says("the environment has no variable NOT_SET");
    assert!(!project.path("~").exists());
}

#[test]
fn results_of_long_values_have_names_that_a_file_system_takes() {
    let project = Project::counting();
    let long = "Scanned in the autumn from the second series of cards, ".repeat(6);
    let manifest = format!(
        "[pipeline]\nname = \"long\"\nkinds = [\"../kinds\"]\n\n[stages.count]\nkind = \"own.count\"\nparams = {{ to = 2 }}\n\n\
         [stages.table]\nkind = \"report.table\"\nmatrix = {{ caption = [\"b\", {long:?}] }}\n\
         inputs = {{ results = {{ gather = \"count\" }} }}\nparams = {{ value = \"sum\" }}\n\n\
         [[expect]]\nmetric = \"count.sum\"\nequals = 1\n"
    );
    project.file("pipelines/long.toml", manifest);
    project.go("pipelines/long.toml", &["--check"]).ok();
    let names: Vec<_> = std::fs::read_dir(project.path("results/long")).unwrap().flatten().collect();
    assert!(
        names.iter().any(|name| name.file_name().to_string_lossy().contains("caption=\"Scanned in the autumn")),
        "{names:?}"
    );
}

#[test]
fn a_partial_selection_is_checked_for_what_was_selected() {
    let project = Project::counting();
    let expect = "\n[[expect]]\nmetric = \"a.sum\"\nequals = 3\n\n[[expect]]\nmetric = \"b.sum\"\nat_least = 1\n";
    project.file("pipelines/two.toml", format!("{}{expect}", project.read("pipelines/two.toml")));
    let some = project.go("pipelines/two.toml", &["--select", "a", "--check"]);
    some.ok().says("b.sum").says("not selected and not on record");
    project.go("pipelines/two.toml", &["--check"]).ok();
    project.go("pipelines/two.toml", &["--select", "a", "--check"]).ok();
    project.edit("pipelines/two.toml", "\"b.sum\"", "\"b.sun\"");
    // The metrics of a kind of the project's own are not declared; after the run the miss says what there is.
    project.go("pipelines/two.toml", &["--check"]).code(4).says("b.sun");
}

#[test]
fn a_changed_helper_of_a_program_runs_its_stage_again() {
    let project = Project::counting();
    project.edit("kinds/own/count/count.py", "import json", "import helper, json");
    project.file("kinds/own/count/helper.py", "FACTOR = 2\n");
    project.go("pipelines/two.toml", &["--select", "a"]).ok().ran(&["a"]);
    project.go("pipelines/two.toml", &["--select", "a"]).ok().ran(&[]);
    project.file("kinds/own/count/helper.py", "FACTOR = 3\n");
    project.go("pipelines/two.toml", &["--select", "a"]).ok().ran(&["a"]);
}

const PICTURES: &str = r#"[pipeline]
name = "links"

[sources.pics]
path = "data"
files."images/" = {}

[stages.pics]
kind   = "decode.folder"
inputs = { images = "source:pics/images/" }
params = { split = "share" }
"#;

#[test]
fn links_into_a_store_are_told_once_with_the_way_out() {
    let project = Project::new();
    project.file("pipelines/links.toml", PICTURES);
    for class in ["a", "b"] {
        for number in 0..6 {
            project.file(&format!("data/store/{class}{number}"), "bytes");
            std::fs::create_dir_all(project.path(&format!("data/images/{class}"))).unwrap();
            let link = project.path(&format!("data/images/{class}/{number}.png"));
            symlink(format!("../../store/{class}{number}"), link).unwrap();
        }
    }
    let refused = project.run(&["run", "pipelines/links.toml"]);
    refused.code(1).says("12 files, such as a/0.png, a/1.png and a/2.png: a link that leads to no file of this folder");
    refused.says("copy what they lead to into the folder");
}
