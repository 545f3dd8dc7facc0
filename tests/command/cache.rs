//! `ddpipe cache`, `runs`, `show` and `doctor`.

use crate::project::Project;

#[test]
fn du_gc_and_verify_look_after_the_cache() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["cache", "du"]).ok().says("blobs").says("records");
    project.run(&["cache", "--cache", ".ddpipe", "verify"]).ok().says("2 blobs are whole");
    project.run(&["cache", "gc", "--max-size", "0", "--keep-runs", "0"]).ok().is_silent_about("\nremoved");
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.run(&["cache", "gc", "--max-size", "1GiB", "--yes"]).ok();
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.run(&["cache", "gc", "--max-size", "a lot"]).code(2).says("is not a size");
}

#[test]
fn a_damaged_blob_is_found_and_made_again() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    let before = project.digests("two", &["a", "b"]);
    let cache = ddpipe_cache::Cache::open(&project.path(".ddpipe")).unwrap();
    let blob = cache.blobs().path(before["a.counted"].parse().unwrap());
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, bytes).unwrap();
    // `a` is on record; that its bytes are not the right ones shows when `b` reads them.
    project.edit("pipelines/two.toml", "to = 4", "to = 5");
    project.go("pipelines/two.toml", &[]).ok().ran(&["b", "a", "b"]).says("was damaged in the cache");
    assert_eq!(project.digests("two", &["a"])["a.counted"], before["a.counted"]);
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, "{}").unwrap();
    project.run(&["cache", "verify"]).code(3).says("damaged");
    project.go("pipelines/two.toml", &[]).ok().ran(&["a"]);
    project.run(&["cache", "verify"]).ok();
}

#[test]
fn runs_are_listed_and_outputs_shown() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["runs"]).ok().says("two").says("on record").is_silent_about("{");
    project.run(&["show", "pipelines/two.toml", "b"]).ok().says("counted: metrics").says("sum = ");
    project.run(&["show", "pipelines/two.toml", "a", "--output", "counted", "--out", "a.json"]).ok();
    assert!(project.read("a.json").contains("\"sum\""), "{}", project.read("a.json"));
    project.run(&["show", "pipelines/two.toml", "a", "--output", "cuonted", "--out", "a.json"]).code(2).says("counted");
}

#[test]
fn doctor_says_what_is_there_and_what_is_missing() {
    let mut project = Project::counting();
    crate::project::assert_worker();
    project.run(&["doctor"]).ok().says("libtorch").says("all is well");
    project.env("DDPIPE_WORKER", "/nonexistent");
    project.run(&["doctor"]).code(1).says("/nonexistent").says("mend it with").says("1 thing is wrong");
}

#[test]
fn a_run_without_a_worker_fails_with_the_way_out() {
    let mut project = Project::counting();
    project.env("DDPIPE_WORKER", "/nonexistent");
    project.go("pipelines/two.toml", &[]).code(1).says("/nonexistent").says("ddpipe doctor");
    // What needs no worker works without.
    project.run(&["plan", "pipelines/two.toml"]).ok();
}

#[test]
fn a_worker_that_is_no_worker_fails_with_its_last_words() {
    let mut project = Project::counting();
    project.file("worker.sh", "#!/bin/sh\necho libtorch is gone >&2\nexit 127\n");
    std::process::Command::new("chmod").args(["+x"]).arg(project.path("worker.sh")).status().unwrap();
    let worker = project.path("worker.sh").display().to_string();
    project.env("DDPIPE_WORKER", &worker);
    project.go("pipelines/two.toml", &[]).code(1).says("libtorch is gone").says("code 127");
    project.run(&["doctor"]).code(1).says("libtorch is gone");
}

#[test]
fn gc_says_what_goes_by_node_and_parameters_and_not_by_path() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &["--set", "stages.b.params.to=9"]).ok();
    let dry = project.run(&["cache", "gc", "--max-size", "0", "--keep-runs", "0"]);
    dry.ok()
        .says("would remove 2 results")
        .says("to=9")
        .says("two")
        .is_silent_about("records-v1")
        .says("--yes removes it");
    project.run(&["cache", "gc", "--max-size", "0", "--keep-runs", "0", "-v"]).ok().says("records-v1");
    project.run(&["cache", "gc", "--max-size", "0", "--keep-runs", "0", "--yes"]).ok().says("removed 2 results");
    project.go("pipelines/two.toml", &["--set", "stages.b.params.to=9"]).ok().ran(&["a", "b"]);
}

/// Finding W6: three looks at other results must not cost those of Monday.
#[test]
fn gc_counts_runs_that_only_looked_once() {
    let project = Project::counting();
    let monday = ["--set", "stages.b.params.to=9"];
    project.go("pipelines/two.toml", &monday).ok();
    for _ in 0..4 {
        project.go("pipelines/two.toml", &[]).ok();
    }
    project.run(&["cache", "gc", "--max-size", "0", "--yes"]).ok();
    project.go("pipelines/two.toml", &monday).ok().ran(&[]);
}

#[test]
fn a_folder_that_holds_something_else_is_not_made_a_cache() {
    let project = Project::counting();
    let refused = project.go("pipelines/two.toml", &["--cache", "."]);
    refused.code(2).says("is no cache: it holds").says("--cache DIR");
    assert!(!project.path("blobs-v1").exists() && !project.path(".gitignore").exists());
    project.run(&["cache", "du", "--cache", "pipelines"]).code(2).says("it holds two.toml");
    std::fs::create_dir(project.path("empty")).unwrap();
    project.go("pipelines/two.toml", &["--cache", "empty"]).ok();
}

/// Finding 3.10: as git finds its folder.
#[test]
fn the_cache_is_found_from_the_folders_below() {
    let mut project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    let below = |args: &[&str]| {
        let out = project.command(args).current_dir(project.path("pipelines")).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    };
    for args in
        [&["runs"][..], &["cache", "du"], &["results"], &["plan", "--from-run", "last"], &["runs", "show", "last"]]
    {
        let (code, text) = below(args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
    }
    assert!(below(&["doctor"]).1.contains("used, "), "{}", below(&["doctor"]).1);
    let elsewhere = tempfile::tempdir().unwrap();
    let out = project.command(&["runs"]).current_dir(elsewhere.path()).output().unwrap();
    assert_eq!(out.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&out.stderr).contains("nor in a folder above"));
    project.env("DDPIPE_CACHE", "nowhere");
    project.run(&["runs"]).code(3).says("no cache at nowhere\n");
}
