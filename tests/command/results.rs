//! What lies in `results/` after runs that went well, failed, or were called differently.

use crate::project::Project;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

const STAGE: &str = r#"name = "own.write"
help = "Writes words"
version = 1
command = ["python3", "write.py"]
[outputs]
words = { type = "files", extension = "txt", help = "the words" }
[params]
text = { type = "string", default = "one", help = "the words" }
"#;

const PROGRAM: &str = r#"import json, sys
text = json.load(open("params.json"))["params"]["text"]
if text == "fail":
    sys.exit(7)
open("outputs/words.bin", "w").write(text)
"#;

const MANIFEST: &str = r#"[pipeline]
name = "words"
kinds = ["../kinds"]

[stages.first]
kind = "own.write"
params = { text = "one" }

[stages.second]
kind = "own.write"
params = { text = "two" }

[profiles.loud.stages.first.params]
text = "ONE"
"#;

fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/write/stage.toml", STAGE).file("kinds/own/write/write.py", PROGRAM);
    project.file("pipelines/words.toml", MANIFEST);
    project
}

fn account(project: &Project) -> Value {
    serde_json::from_str(&project.read("results/words/run.json")).unwrap()
}

/// The one file of a node.
fn file(project: &Project, folder: &str, node: &str) -> Option<String> {
    let entries = std::fs::read_dir(project.path(folder)).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.into_iter().find(|name| name.starts_with(&format!("{node}.")))
}

const RUN: &[&str] = &["run", "pipelines/words.toml", "--allow-commands", "--keep-going"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RUN.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn every_file_is_accounted_for_and_others_may_read_it() {
    let project = project();
    project.run(RUN).ok();
    let account = account(&project);
    assert_eq!(account["complete"], true);
    assert_eq!(account["manifest"], "pipelines/words.toml");
    let name = file(&project, "results/words", "first").unwrap();
    let of_file = &account["files"][&name];
    assert_eq!((&of_file["node"], &of_file["run"]), (&"first".into(), &account["run"]));
    assert_eq!(of_file["digest"], ddpipe_cache::Digest::of(b"one").hex());
    // The mode that any new file gets.
    project.file("plain", "");
    let mode = |path: &str| std::fs::metadata(project.path(path)).unwrap().permissions().mode() & 0o777;
    for path in [format!("results/words/{name}"), "results/words/run.json".into()] {
        assert_eq!(mode(&path), mode("plain"), "{path}");
    }
}

#[test]
fn after_a_failed_run_old_files_do_not_look_new() {
    let project = project();
    project.run(RUN).ok();
    let first_run = account(&project)["run"].clone();
    project.edit("pipelines/words.toml", "\"one\"", "\"fail\"");
    project.run(RUN).code(1).says("files of earlier runs").says("outdated/first");
    let account_now = account(&project);
    assert_eq!(account_now["complete"], false);
    assert!(account_now["lacking"]["first"].as_str().unwrap().contains("status 7"));
    assert_eq!(file(&project, "results/words", "first"), None);
    let old = file(&project, "results/words/outdated", "first").unwrap();
    assert_eq!(account_now["files"][format!("outdated/{old}")]["run"], first_run);
    assert!(file(&project, "results/words", "second").is_some());
    project.edit("pipelines/words.toml", "\"fail\"", "\"one\"");
    project.run(RUN).ok();
    assert_eq!(account(&project)["complete"], true);
    assert!(file(&project, "results/words", "first").is_some() && !project.path("results/words/outdated").exists());
}

#[test]
fn a_part_of_a_pipeline_leaves_the_rest_marked_as_earlier() {
    let project = project();
    project.run(RUN).ok();
    let first_run = account(&project)["run"].clone();
    project.run(&with(&["--select", "first", "--force", "first"])).ok().says("not renewed by this one");
    let account = account(&project);
    assert_eq!((&account["complete"], &account["lacking"]["second"]), (&false.into(), &"not selected".into()));
    let second = file(&project, "results/words", "second").unwrap();
    assert_eq!(account["files"][&second]["run"], first_run);
}

#[test]
fn files_that_no_node_makes_any_more_go_and_a_persons_own_stay() {
    let project = project();
    project.run(RUN).ok();
    let second = file(&project, "results/words", "second").unwrap();
    project.file("results/words/notes.txt", "mine");
    project.edit("pipelines/words.toml", "stages.second", "stages.third");
    project.run(RUN).ok();
    assert!(!project.path(&format!("results/words/{second}")).exists());
    assert_eq!(project.read("results/words/notes.txt"), "mine");
    // What somebody changed is theirs.
    let third = file(&project, "results/words", "third").unwrap();
    project.file(&format!("results/words/{third}"), "changed");
    project.edit("pipelines/words.toml", "stages.third", "stages.fourth");
    project.run(RUN).ok();
    assert_eq!(project.read(&format!("results/words/{third}")), "changed");
}

#[test]
fn another_profile_in_the_same_folder_is_told() {
    let project = project();
    project.run(RUN).ok().is_silent_about("written over them");
    let loud = project.run(&with(&["--profile", "loud"]));
    loud.ok().says("had the results of pipelines/words.toml; this run of pipelines/words.toml --profile loud");
    assert_eq!(account(&project)["profile"][0], "loud");
    project.run(&with(&["--profile", "loud"])).ok().is_silent_about("written over them");
    // A run that leaves no file replaces none, and the next one finds its own.
    let set = ["--profile", "loud", "--select", "first", "--set", "stages.second.params.text=three"];
    let none = project.run(&with(&set));
    none.ok().is_silent_about("written over them");
    project.run(&with(&["--profile", "loud"])).ok().is_silent_about("written over them");
}

#[test]
fn links_of_the_summary_lead_from_its_folder() {
    let project = project();
    for (summary, way) in
        [("s.md", "](results/words/"), ("./s.md", "](results/words/"), ("rep/s.md", "](../results/words/")]
    {
        project.run(&with(&["--summary", summary])).ok();
        assert!(project.read(summary).contains(way), "{summary}: {}", project.read(summary));
    }
}

#[test]
fn a_run_with_everything_on_record_needs_no_folder_for_temporary_files() {
    let mut project = project();
    project.run(RUN).ok();
    std::fs::remove_dir_all(project.path("results")).unwrap();
    project.env("TMPDIR", "/nowhere/at/all");
    project.run(RUN).ok().says("all 2 nodes are on record");
    assert!(file(&project, "results/words", "first").is_some());
}

#[test]
fn a_file_leads_back_to_its_run_and_is_not_written_again_while_it_says_the_same() {
    let project = project();
    project.file("kinds/own/write/stage.toml", STAGE.replace("\"txt\"", "\"md\""));
    project.run(RUN).ok();
    let first = account(&project);
    let text = project.read("results/words/first.md");
    let of_file = &first["files"]["first.md"];
    assert!(text.starts_with("one\n<!-- made by ddpipe"), "{text}");
    let (run, key) = (first["run"].as_str().unwrap(), of_file["key"].as_str().unwrap());
    assert!(text.contains(&format!("pipeline words, node first, run {run}")) && text.contains(key), "{text}");
    assert_eq!(of_file["output_digest"], ddpipe_cache::Digest::of(b"one").hex());
    assert_eq!(of_file["digest"], ddpipe_cache::Digest::of(text.as_bytes()).hex());
    // Another run with the same outcome.
    project.run(RUN).ok();
    assert_eq!(project.read("results/words/first.md"), text);
    let second = account(&project);
    let of_file = &second["files"]["first.md"];
    assert_ne!(second["run"], first["run"]);
    assert_eq!((&of_file["run"], &of_file["written_by"]), (&second["run"], &first["run"]));
    // What somebody changed is written anew, by the run that does so.
    project.file("results/words/first.md", "changed");
    project.run(RUN).ok().says("was changed since ddpipe wrote it").says("outdated/first.md");
    assert_eq!(project.read("results/words/outdated/first.md"), "changed");
    assert!(project.read("results/words/first.md").starts_with("one\n<!-- "));
    let third = account(&project);
    assert_eq!(third["files"]["first.md"]["written_by"], third["run"]);
    // A second one does not take the place of the first.
    project.file("results/words/first.md", "again");
    project.run(RUN).ok();
    assert_eq!(project.read("results/words/outdated/first.md"), "changed");
    assert_eq!(project.read("results/words/outdated/first-2.md"), "again");
    project.run(RUN).ok().is_silent_about("was changed");
}

#[test]
fn a_folder_that_cannot_be_written_is_known_before_anything_runs() {
    let project = project();
    project.file("results", "a file");
    let done = project.run(RUN);
    done.code(3).says("could not write to").says("--results DIR or DDPIPE_RESULTS puts results elsewhere");
    done.is_silent_about("first: runs");
    project.run(&with(&["--results", "elsewhere"])).ok();
    assert!(project.path("elsewhere/words/run.json").exists());
    // What is on record is shown in any case.
    project.run(RUN).code(3).says("all 2 nodes are on record").says("could not");
}
