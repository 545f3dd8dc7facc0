//! A parameter whose choices set others: what a manifest gives itself stays, keys have the values alone, and the stage never
//! sees the parameter that chose them.

use crate::project::{COUNT_PROGRAM, COUNT_STAGE, Project};

const SETS: &str = r#"scale = { type = "float", default = 1.0, help = "a factor", instead_of = "to" }
[params.protocol]
type = "choice"
choices = ["short", "long"]
optional = true
help = "whose counting"
[params.protocol.sets.short]
to = { value = 2, source = "a paper" }
[params.protocol.sets.long]
to = { value = 5, source = "another paper" }
scale = { value = 2, source = "another paper" }
"#;

const MANIFEST: &str = r#"[pipeline]
name = "counts"
kinds = ["../kinds"]
[stages.a]
kind = "own.count"
params = { protocol = "long" }
"#;

fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/count/stage.toml", format!("{COUNT_STAGE}{SETS}"));
    // What the stage is told is what it writes.
    let program = COUNT_PROGRAM.replace("{\"sum\": total}", "{\"sum\": total, \"params\": params}");
    project.file("kinds/own/count/count.py", program).file("pipelines/counts.toml", MANIFEST);
    project
}

fn counted(project: &Project, node: &str) -> serde_json::Value {
    let shown = project.run(&["show", "pipelines/counts.toml", node, "--output", "counted", "--out", "-"]);
    serde_json::from_str(&shown.ok().out).unwrap()
}

#[test]
fn a_choice_sets_others_and_a_manifest_wins() {
    let project = project();
    project.go("pipelines/counts.toml", &[]).ok().ran(&["a"]);
    let told = &counted(&project, "a")["params"];
    assert_eq!((&told["to"], &told["scale"]), (&5.into(), &2.0.into()));
    assert!(told.get("protocol").is_none(), "{told}");
    let shown = project.run(&["show", "pipelines/counts.toml", "a"]);
    shown.ok().says("param to = 5 (from protocol long)").says("param scale = 2.0 (from protocol long)");
    let shown = project.run(&["show", "pipelines/counts.toml", "a", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.ok().out).unwrap();
    assert_eq!((&shown[0]["params"]["to"], &shown[0]["set_by"]["to"]), (&5.into(), &"protocol long".into()));
    project.run(&["why", "pipelines/counts.toml", "a"]).ok().says("param to = 5 (from protocol long)");
    project.run(&["stages", "own.count", "--manifest", "pipelines/counts.toml"]).says("long sets to = 5, scale = 2.0");

    // The same values by themselves are the same action.
    project.edit("pipelines/counts.toml", "protocol = \"long\"", "to = 5, scale = 2");
    project.go("pipelines/counts.toml", &[]).ok().ran(&[]);
    // What is given stays, and what stands in its place is not set.
    project.edit("pipelines/counts.toml", "to = 5, scale = 2", "protocol = \"long\", to = 3");
    project.go("pipelines/counts.toml", &[]).ok().ran(&["a"]);
    let told = &counted(&project, "a")["params"];
    assert_eq!((&told["to"], &told["scale"]), (&3.into(), &1.0.into()));
}

#[test]
fn an_axis_chooses_too() {
    let project = project();
    let axis = "matrix = { protocol = [\"short\", \"long\"], more = [0, 1] }\n\
        params = { to = { more = { 1 = 4} } }";
    project.edit("pipelines/counts.toml", "params = { protocol = \"long\" }", axis);
    project.go("pipelines/counts.toml", &[]).ok();
    let to = |node: &str| counted(&project, node)["params"]["to"].clone();
    // Where an axis gives nothing, the protocol does.
    assert_eq!(to("a[protocol=short,more=0]"), 2);
    assert_eq!(to("a[protocol=long,more=0]"), 5);
    assert_eq!(to("a[protocol=short,more=1]"), 4);
    assert_eq!(to("a[protocol=long,more=1]"), 4);
}

#[test]
fn a_choice_that_is_not_known_and_a_setting_that_cannot_be_are_refused() {
    let project = project();
    project.edit("pipelines/counts.toml", "\"long\"", "\"lang\"");
    project.run(&["check", "pipelines/counts.toml"]).code(2).says("\"lang\" is not known").says("long");
    project.edit("kinds/own/count/stage.toml", "to = { value = 2", "too = { value = 2");
    project.run(&["check", "pipelines/counts.toml"]).code(2).says("\"short\" sets \"too\": there is no such parameter");
}
