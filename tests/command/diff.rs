//! `ddpipe diff`: what settings change of what a manifest does, before anything runs.

use crate::project::Project;
use serde_json::Value;

/// [`Project::counting`] with a third stage that reads nothing of the others.
fn three() -> Project {
    let project = Project::counting();
    project.file(
        "pipelines/two.toml",
        project.read("pipelines/two.toml") + "\n[stages.c]\nkind = \"own.count\"\nparams = { to = 2 }\n",
    );
    project
}

fn runs(project: &Project) -> usize {
    std::fs::read_dir(project.path(".ddpipe/runs")).map_or(0, Iterator::count)
}

#[test]
fn it_says_which_nodes_change_and_because_of_what() {
    let project = three();
    project.go("pipelines/two.toml", &[]).ok();
    let before = runs(&project);
    let diff = project.run(&["diff", "pipelines/two.toml", "--set", "stages.a.params.to=7"]);
    diff.ok()
        .says("to: 3 (default) -> 7")
        .says("reads a")
        .says("not known yet")
        .says("2 nodes changed: 1 would run, 1 wait");
    diff.says("1 node stays as written").is_silent_about("c ");
    let json = project.run(&["diff", "pipelines/two.toml", "--set", "stages.a.params.to=7", "--json"]);
    let json: Value = serde_json::from_str(&json.ok().out).unwrap();
    let [a, b] = [0, 1].map(|at: usize| json["changes"][at].clone());
    assert_eq!((&a["node"], &a["as_written"], &a["with_settings"]), (&"a".into(), &"fresh".into(), &"run".into()));
    assert_ne!(a["key_as_written"], a["key"]);
    assert_eq!(a["params"], serde_json::json!([{ "what": "to", "a": "3", "b": "7" }]));
    assert_eq!((&b["with_settings"], &b["key"], &b["because"][0]), (&"waits".into(), &Value::Null, &"reads a".into()));
    assert_eq!(json["unchanged"], 1);
    assert_eq!(runs(&project), before, "nothing was run");

    // What is on record with the settings is known to the end.
    project.go("pipelines/two.toml", &["--set", "stages.a.params.to=7"]).ok();
    let diff = project.run(&["diff", "pipelines/two.toml", "--set", "stages.a.params.to=7"]);
    diff.ok()
        .says("2 on record with these settings")
        .says("input before changed (a.counted)")
        .is_silent_about("would run");
    // Setting what is there anyhow changes nothing.
    let same = project.run(&["diff", "pipelines/two.toml", "--set", "stages.a.params.to=3"]);
    same.ok().says("nothing changes; 3 nodes stay as written");
}

#[test]
fn nodes_are_chosen_and_come_and_go() {
    let project = three();
    let set = ["--set", "stages.b.params.to=9"];
    let only = project.run(&[&["diff", "pipelines/two.toml", "c"], &set[..]].concat());
    only.ok().says("nothing changes");
    // Nothing is on record: what waits anyway and is touched by the setting is told all the same.
    project
        .run(&[&["diff", "pipelines/two.toml", "b"], &set[..]].concat())
        .ok()
        .says("to: 4 -> 9")
        .says("1 node changed");
    project.run(&["diff", "pipelines/two.toml", "d", "--set", "stages.b.params.to=9"]).code(2).says("no node matches");
    project.edit("pipelines/two.toml", "[stages.c]", "[stages.c]\nmatrix = { seed = [1, 2] }");
    let axis = project.run(&["diff", "pipelines/two.toml", "--set", "stages.c.matrix.seed=[2, 3]"]);
    axis.ok()
        .says("c[seed=3]")
        .says("with these settings only")
        .says("gone")
        .says("c[seed=1]")
        .is_silent_about("c[seed=2]");
    let new = project.run(&["diff", "pipelines/two.toml", "c[seed=3]", "--set", "stages.c.matrix.seed=[2, 3]"]);
    new.ok().says("c[seed=3]");
}

#[test]
fn profiles_hold_for_both_sides_and_the_exit_code_is_asked_for() {
    let project = three();
    let profile = "\n[profiles.far.stages.a.params]\nto = 30\n";
    project.file("pipelines/two.toml", project.read("pipelines/two.toml") + profile);
    let set = ["--profile", "far", "--set", "stages.a.params.to=31"];
    let diff = project.run(&[&["diff", "pipelines/two.toml", "--exit-code"], &set[..]].concat());
    diff.code(1).says("to: 30 -> 31");
    let same = ["diff", "pipelines/two.toml", "--exit-code", "--set", "stages.a.params.to=3"];
    project.run(&same).ok();
    project
        .run(&["diff", "pipelines/two.toml", "--profile", "far"])
        .code(2)
        .says("there is nothing to compare")
        .says("@NAME");
    project.run(&["diff", "pipelines/two.toml", "--set", "stages.d.params.to=1"]).code(2);
}
