//! Files from outside: pinned digests, copies that are accepted all the same, files that are missing.

use crate::project::Project;

const PIPELINE: &str = r#"[pipeline]
name = "raw"
kinds = ["../kinds"]

[sources.raw]
path = "data"
obtain = "ask the author"
[sources.raw.files."one.bin"]
md5 = "900150983cd24fb0d6963f7d28e17f72"

[stages.a]
kind = "own.count"
inputs = { file = "source:raw/one.bin" }
"#;

fn project() -> Project {
    let project = Project::counting();
    project.file("pipelines/raw.toml", PIPELINE).file("data/one.bin", "abc");
    project
}

#[test]
fn a_pinned_file_is_checked_and_noted_in_the_record() {
    let project = project();
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    project.run(&["why", "pipelines/raw.toml", "a"]).ok().says("read raw/one.bin").says("as pinned");
    project.go("pipelines/raw.toml", &[]).ok().ran(&[]);
}

#[test]
fn another_file_than_the_pinned_one_is_refused() {
    let project = project();
    project.file("data/one.bin", "abd");
    let refused = project.go("pipelines/raw.toml", &[]);
    refused.code(2).says("one.bin: its md5 is").says("900150983cd24fb0d6963f7d28e17f72").says("verify=false");
    refused.ran(&[]);
    project.run(&["plan", "pipelines/raw.toml"]).code(2).says("its md5 is");
}

#[test]
fn another_copy_can_be_accepted_and_the_record_says_so() {
    let project = project();
    project.file("data/one.bin", "abd");
    let accepted = project.go("pipelines/raw.toml", &["--set", "sources.raw.verify=false"]);
    accepted.ok().ran(&["a"]).says("is not the pinned file");
    let warned = |event: &serde_json::Value| event["text"].as_str().is_some_and(|text| text.contains("pinned file"));
    assert_eq!(accepted.events().iter().filter(|event| warned(event)).count(), 1);
    let cache = ddpipe_cache::Cache::open(&project.path(".ddpipe")).unwrap();
    let record = cache.newest_record("raw", "a").unwrap().unwrap();
    let seen = &record.sources["raw/one.bin"];
    assert_eq!(seen.digest, ddpipe_cache::Digest::of(b"abd"));
    assert!(!seen.verified);
}

#[test]
fn what_is_computed_again_needs_its_file_and_says_so_before_a_worker_starts() {
    let project = project();
    project.edit("pipelines/raw.toml", "[stages.a]", "[stages.b]\nkind = \"own.count\"\n[stages.a]");
    project.go("pipelines/raw.toml", &[]).ok();
    std::fs::remove_file(project.path("data/one.bin")).unwrap();
    let again = |more: &[&str]| {
        project.run(&[&["verify", "pipelines/raw.toml", "--allow-commands", "--recompute"], more].concat())
    };
    let refused = again(&["--select", "a"]);
    refused.code(2).says("raw/one.bin: ").says("data/one.bin is not there").says("ask the author").says("a needs it");
    // Without a selection the others are drawn.
    again(&["2"]).ok().says("b: equal").says("not among those that are drawn, 1 of 2").is_silent_about("a: equal");
}

#[test]
fn a_missing_file_is_told_with_the_way_to_get_it() {
    let project = project();
    std::fs::remove_file(project.path("data/one.bin")).unwrap();
    project.go("pipelines/raw.toml", &[]).code(2).says("data/one.bin is not there").says("ask the author").ran(&[]);
    project.run(&["plan", "pipelines/raw.toml"]).ok().says("raw/one.bin").says("it has to be put there");
    project.run(&["why", "pipelines/raw.toml", "a"]).ok().says("waits for the source file raw/one.bin");
}

#[test]
fn a_changed_source_runs_what_reads_it() {
    let project = project();
    project.edit("pipelines/raw.toml", "md5 = \"900150983cd24fb0d6963f7d28e17f72\"\n", "");
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
    project.file("data/one.bin", "abd");
    project.run(&["plan", "pipelines/raw.toml"]).ok().says("input file changed");
    project.go("pipelines/raw.toml", &[]).ok().ran(&["a"]);
}
