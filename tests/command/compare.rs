//! `ddpipe runs compare` with manifests: two of them, with profiles, as git revisions have them, and beside runs.

use crate::project::{Done, Project};
use serde_json::Value;

/// A kind that rates: two scores around a number, their mean as its result, and a picture.
const RATE_STAGE: &str = r#"name = "own.rate"
help = "Rates"
version = 1
seeded = true
command = ["python3", "rate.py"]
[outputs]
rated = { type = "metrics", help = "the scores" }
picture = { type = "image", help = "a picture" }
[params]
level = { type = "float", default = 0.5, help = "the middle" }
students = { type = "integer", default = 1, help = "how many scores" }
[metrics.quality]
help = "How good it is."
better = "higher"
"#;

const RATE_PROGRAM: &str = r#"import json
told = json.load(open("params.json"))
params = told["params"]
values = [params["level"] + 0.01 * step + 0.001 * told["seed"] for step in range(params["students"])]
mean = sum(values) / len(values)
json.dump({"qualities": values}, open("outputs/rated.json", "w"))
open("outputs/picture.svg", "w").write(f"<svg xmlns='http://www.w3.org/2000/svg'><text>{mean}</text></svg>")
json.dump({"metrics": {"quality": mean}}, open("outputs/metrics.json", "w"))
"#;

const RATED: &str = r#"[pipeline]
name = "rated"
kinds = ["../kinds"]

[vars]
level = 0.5

[stages.seeds]
kind = "own.rate"
matrix = { seed = [0, 1, 2] }
params = { level = "${level}" }

[stages.students]
kind = "own.rate"
params = { level = "${level}", students = 4 }

[stages.single]
kind = "own.rate"
params = { level = "${level}" }

[profiles.high.vars]
level = 0.75

[[expect]]
metric = "single.quality"
at_least = 0.6
"#;

fn rating() -> Project {
    let project = Project::counting();
    project.file("kinds/own/rate/stage.toml", RATE_STAGE);
    project.file("kinds/own/rate/rate.py", RATE_PROGRAM);
    project.file("pipelines/rated.toml", RATED);
    project
}

/// A repository of the project, whose files are committed by the function that comes with it.
fn commit(project: &Project, message: &str) -> String {
    let repository = git2::Repository::init(project.path(".")).unwrap();
    let mut index = repository.index().unwrap();
    index.add_all(["pipelines", "kinds"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let person = git2::Signature::now("A", "a@example.org").unwrap();
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &person, &person, message, &tree, &parents).unwrap().to_string()
}

fn compared(project: &Project, a: &str, b: &str) -> Done {
    project.run(&["runs", "compare", a, b])
}

fn json(project: &Project, a: &str, b: &str) -> Value {
    serde_json::from_str(&project.run(&["runs", "compare", a, b, "--json"]).ok().out).unwrap()
}

/// The entry of a list whose field has this value.
fn entry<'a>(list: &'a Value, field: &str, value: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|entry| entry[field] == value);
    found.unwrap_or_else(|| panic!("no {value} in {list:#}"))
}

#[test]
fn a_profile_is_compared_with_the_manifest_by_what_is_on_record() {
    let project = rating();
    let (plain, high) = ("pipelines/rated.toml", "pipelines/rated.toml@high");
    // Nothing is on record, and nothing is computed.
    let none = compared(&project, plain, high);
    none.ok().says("0 of 5 nodes on record").says("single.level").says("level").says("not on record: never ran");
    none.says("students: level: 0.5 (default) -> 0.75").is_silent_about("95% interval");
    assert!(
        !project.path(".ddpipe/runs").exists() || std::fs::read_dir(project.path(".ddpipe/runs")).unwrap().count() == 0
    );

    project.go(plain, &[]).ok();
    let one = compared(&project, plain, high);
    one.ok().says("a: pipelines/rated.toml, 5 of 5 nodes on record").says("0 of 5").says("on record");
    project.go(plain, &["--profile", "high"]).ok();
    let both = compared(&project, plain, high);
    both.ok().says("95% interval").says("(n 3)").says("(n 4)").says("cannot say: one value on a side");
    both.says("at least 0.6; 0.5: MISSED").says("at least 0.6; 0.75: met").is_silent_about("without a result");
    both.says("single.picture\n    a: .ddpipe/blobs-v1/");

    let json = json(&project, plain, high);
    assert_eq!(json["a"], plain);
    assert_eq!(json["variables"][0], serde_json::json!({ "what": "level", "a": "0.5", "b": "0.75" }));
    assert_eq!(json["results"].as_array().unwrap().len(), 5);
    assert_eq!(json["manifest"], serde_json::json!([]));
    let seeds = entry(&json["groups"], "node", "seeds");
    assert_eq!((&seeds["of"], &seeds["a"]["n"]), (&"nodes".into(), &3.into()));
    let [low, high] = [0, 1].map(|at: usize| seeds["interval"][at].as_f64().unwrap());
    assert!(low < 0.25 && 0.25 < high && high - low < 0.01, "{seeds}");
    let students = entry(&json["groups"], "node", "students");
    assert_eq!((&students["of"], &students["b"]["n"]), (&"qualities".into(), &4.into()));
    assert!(students["interval"].is_array());
    let single = entry(&json["groups"], "node", "single");
    assert!(single["interval"].is_null() && single["without"].as_str().unwrap().starts_with("cannot say"), "{single}");
}

#[test]
fn a_revision_is_read_from_git_with_its_includes_and_kinds() {
    let project = Project::counting();
    project.file("pipelines/common.toml", "[vars]\nfar = 4\n");
    project.edit("pipelines/two.toml", "[pipeline]", "include = [\"common.toml\"]\n\n[pipeline]");
    project.edit("pipelines/two.toml", "to = 4", "to = \"${far}\"");
    let first = commit(&project, "first");
    project.go("pipelines/two.toml", &[]).ok();
    project.edit("pipelines/common.toml", "far = 4", "far = 6");
    commit(&project, "second");
    // The work tree is another thing again, and stays as it is.
    project.edit("pipelines/common.toml", "far = 6", "far = 8");
    let dirty = project.read("pipelines/common.toml");

    let revisions = compared(&project, "HEAD~1:pipelines/two.toml", "HEAD:pipelines/two.toml");
    revisions.ok().says("a: HEAD~1:pipelines/two.toml, 2 of 2 nodes on record").says("1 of 2").says(&first);
    revisions.says("-far = 4").says("+far = 6").says("b.to").says("b: to: 4 -> 6").is_silent_about("far = 8");
    revisions.says("not on record: to: 4 -> 6");
    let now = compared(&project, "HEAD:pipelines/two.toml", "pipelines/two.toml");
    now.ok().says("-far = 6").says("+far = 8").says("with files that differ from it");
    assert_eq!(project.read("pipelines/common.toml"), dirty);
    // A run of that commit is the same.
    let run = compared(&project, "last", "HEAD~1:pipelines/two.toml");
    run.ok().is_silent_about("parameters").is_silent_about("other actions").says("2 results are the same");

    // The kinds are those of the revision too.
    project.edit("kinds/own/count/count.py", "total = told", "# counts\ntotal = told");
    let kinds = compared(&project, "HEAD~1:pipelines/two.toml", "pipelines/two.toml");
    kinds.ok().says("a: HEAD~1:pipelines/two.toml, 2 of 2 nodes on record").says("its program changed: count.py");
    std::fs::remove_dir_all(project.path("pipelines")).unwrap();
    compared(&project, "HEAD~1:pipelines/two.toml", "HEAD:pipelines/two.toml").ok().says("b.to");
}

#[test]
fn what_cannot_be_found_is_named() {
    let project = Project::counting();
    compared(&project, "HEAD:pipelines/two.toml", "pipelines/two.toml").code(2).says("it is in no git repository");
    commit(&project, "first");
    let wrong = |a: &str, words: &str| {
        compared(&project, a, "pipelines/two.toml").code(2).says(words);
    };
    wrong("nowhere:pipelines/two.toml", "there is no revision \"nowhere\"");
    wrong("HEAD:pipelines/three.toml", "that revision has no such file");
    wrong(":pipelines/two.toml", "expected REVISION:PATH");
    wrong("pipelines/two.toml@", "name a profile behind @");
    wrong("pipelines/two.toml@small", "there is no profile \"small\"");
    wrong("1999", "a manifest is named by its path");
    wrong("pipelines/three.toml", "could not read pipelines/three.toml");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["runs", "keep", "last", "--as", "two.toml"]).code(2).says("does not end with \".toml\"");
    // A manifest that was at fault then.
    project.edit("pipelines/two.toml", "own.count", "own.cuont");
    commit(&project, "second");
    project.edit("pipelines/two.toml", "own.cuont", "own.count");
    wrong("HEAD:pipelines/two.toml", "own.cuont");
}

#[test]
fn two_manifests_and_a_run_beside_one() {
    let project = Project::counting();
    let other = project.read("pipelines/two.toml").replace("to = 4", "to = 5") + "\n[stages.c]\nkind = \"own.count\"\n";
    project.file("pipelines/other.toml", other);
    project.go("pipelines/two.toml", &[]).ok();
    let manifests = compared(&project, "pipelines/two.toml", "pipelines/other.toml");
    manifests.ok().says("--- two.toml\n+++ other.toml").says("b.to").says("own.count").says("b: to: 4 -> 5");
    let run = compared(&project, "last", "pipelines/other.toml");
    run.ok().says("b: to: 4 -> 5").says("not on record");
    let json = json(&project, "last", "pipelines/other.toml");
    assert_eq!(json["lacking"][0]["what"], "b");
    assert!(json["lacking"][0]["a"].is_null() && json["nodes"][0]["what"] == "c", "{json:#}");
    compared(&project, "last", "pipelines/two.toml")
        .ok()
        .is_silent_about("other actions")
        .says("2 results are the same");
}

#[test]
fn a_node_that_was_forced_to_run_again_says_so() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["runs", "keep", "last", "--as", "first"]).ok();
    project.go("pipelines/two.toml", &["--force", "b"]).ok();
    compared(&project, "first", "last").ok().says("  b: forced").says("2 results are the same");
    // A failure has no result, and says so.
    project.go("pipelines/two.toml", &["--set", "stages.b.params.fault=fail"]).code(1);
    compared(&project, "first", "last").ok().says("without a result").says("it failed").says("b.fault");
}
