//! A folder as a source: what changes it, what does not, and what a stage gets of it.

use crate::project::Project;
use std::os::unix::fs::symlink;

const PIPELINE: &str = r#"[pipeline]
name = "raw"
kinds = ["../kinds"]

[sources.raw]
path = "data"
obtain = "ask the author at https://example.org/"
[sources.raw.files."images/"]

[stages.a]
kind = "own.list"
inputs = { folder = "source:raw/images/" }
"#;

const STAGE: &str = r#"name = "own.list"
help = "Lists"
version = 1
command = ["python3", "list.py"]
[inputs]
folder = { type = ["folder"], help = "a folder" }
[outputs]
listed = { type = "metrics", help = "how many files and bytes" }
"#;

const PROGRAM: &str = r#"import json, os
files = [os.path.join(place, name) for place, _, names in os.walk("inputs/folder/") for name in names]
files = [file for file in files if "/." not in file]
metrics = {"files": len(files), "bytes": sum(os.path.getsize(file) for file in files)}
json.dump(metrics, open("outputs/listed.json", "w"))
json.dump({"metrics": metrics}, open("outputs/metrics.json", "w"))
"#;

fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/list/stage.toml", STAGE).file("kinds/own/list/list.py", PROGRAM);
    project.file("pipelines/raw.toml", PIPELINE);
    project.file("data/images/a/one.png", "abc").file("data/images/two.png", "defg");
    project
}

#[test]
fn a_stage_gets_the_folder_and_runs_again_when_a_file_of_it_changes() {
    let project = project();
    let first = project.go("pipelines/raw.toml", &[]);
    first.ok().ran(&["a"]);
    assert_eq!(first.outcome("a")["metrics"]["files"], 2.0);
    assert_eq!(first.outcome("a")["metrics"]["bytes"], 7.0);
    project.file("data/images/.DS_Store", "left by a system").file("data/images/.cache/x", "too");
    project.go("pipelines/raw.toml", &[]).ok().ran(&[]);
    project.file("data/images/a/one.png", "abd");
    project.run(&["plan", "pipelines/raw.toml"]).ok().says("input folder changed");
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    project.file("data/images/a/three.png", "x");
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    std::fs::rename(project.path("data/images/two.png"), project.path("data/images/2.png")).unwrap();
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    project.file("data/images/a/one.png", "abc");
    std::fs::remove_file(project.path("data/images/a/three.png")).unwrap();
    std::fs::rename(project.path("data/images/2.png"), project.path("data/images/two.png")).unwrap();
    project.go("pipelines/raw.toml", &[]).ok().ran(&[]);
}

#[test]
fn a_link_may_lead_to_the_folder_and_not_out_of_it() {
    let project = project();
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    std::fs::rename(project.path("data/images"), project.path("elsewhere")).unwrap();
    symlink("../elsewhere", project.path("data/images")).unwrap();
    project.go("pipelines/raw.toml", &[]).ok().ran(&[]);
    project.file("secret", "one");
    symlink("../secret", project.path("elsewhere/out.png")).unwrap();
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    project.file("secret", "two");
    project.go("pipelines/raw.toml", &[]).ok().ran(&[]);
}

#[test]
fn a_missing_folder_is_told_with_the_way_to_get_it() {
    let project = project();
    std::fs::remove_dir_all(project.path("data/images")).unwrap();
    let refused = project.go("pipelines/raw.toml", &[]);
    refused.code(2).says("there is no folder").says("ask the author at https://example.org/").ran(&[]);
    project.file("data/images", "a file");
    project.go("pipelines/raw.toml", &[]).code(2).says("there is no folder");
    project.edit("pipelines/raw.toml", "images/\"", "images\"").edit(
        "kinds/own/list/stage.toml",
        "folder\"]",
        "files\"]",
    );
    std::fs::remove_file(project.path("data/images")).unwrap();
    project.file("data/images/two.png", "defg");
    project.go("pipelines/raw.toml", &[]).code(2).says("is a folder, where a file is expected").says("\"images/\"");
}

#[test]
fn a_folder_is_pinned_by_its_own_digest() {
    let project = project();
    project.go("pipelines/raw.toml", &[]).ok();
    let cache = ddpipe_cache::Cache::open(&project.path(".ddpipe")).unwrap();
    let digest = cache.newest_record("raw", "a").unwrap().unwrap().sources["raw/images/"].digest;
    project.edit("pipelines/raw.toml", "images/\"]\n", &format!("images/\"]\nblake3 = \"{digest}\"\n"));
    project.go("pipelines/raw.toml", &[]).ok().ran(&[]);
    project.file("data/images/two.png", "xyz");
    project.go("pipelines/raw.toml", &[]).code(2).says("images/: its blake3 is").says("verify=false");
}
