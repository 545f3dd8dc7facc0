//! Files from outside that are not there: of optional sources, whose nodes are left out, and of others, whose digests on
//! record stand in.

use crate::project::{Done, Project};

/// Two sets, one of them optional, and a stage that gathers what was made of both.
const TWO_SETS: &str = r#"[pipeline]
name = "sets"
kinds = ["../kinds"]

[sources.free]
path = "free"
files."one.bin" = {}

[sources.asked]
path = "asked"
obtain = "write to the authors"
optional = true
files."two.bin" = {}

[stages.a]
kind = "own.count"
inputs = { file = "source:free/one.bin" }

[stages.b]
kind = "own.count"
inputs = { file = "source:asked/two.bin" }

[stages.after]
kind = "own.count"
inputs = { before = "b" }

[stages.all]
kind = "own.gather"
inputs = { many = { gather = ["a", "b"] } }

[[expect]]
metric = "a.sum"
at_least = 1
[[expect]]
metric = "after.sum"
at_least = 1
"#;

fn two_sets() -> Project {
    let project = Project::counting();
    project.with_gather();
    project.file("pipelines/sets.toml", TWO_SETS).file("free/one.bin", "abc");
    project
}

fn count_of(done: &Done) -> f64 {
    done.outcome("all")["metrics"]["count"].as_f64().unwrap()
}

#[test]
fn what_needs_an_absent_optional_source_is_left_out_and_the_rest_runs() {
    let project = two_sets();
    let plan = project.run(&["plan", "pipelines/sets.toml"]);
    plan.ok().says("without b").says("without after").says("left out: asked/two.bin is not there");
    plan.says("the optional source asked is not here").says("2 nodes that need it are left out");
    plan.says("to get it: write to the authors").says("1 to run now, up to 1 more after it, 2 left out, 0 on record");
    plan.says("time unknown for 2 nodes");
    let ran = project.go("pipelines/sets.toml", &["--check"]);
    ran.ok().ran(&["a", "all"]);
    assert_eq!(ran.out.matches("to get it: write to the authors").count(), 1, "{}", ran.out);
    assert_eq!(ran.outcome("b")["status"], "left_out");
    assert_eq!(ran.outcome("after")["status"], "left_out");
    let ended = ran.events().into_iter().find(|event| event["event"] == "ended").unwrap();
    assert_eq!(ended["counts"]["left_out"], 2);
    // A table is made of what is there, and that is said.
    assert_eq!(count_of(&ran), 1.0);
    ran.says("all: made without 1 of 2 results (b), which are left out");
    let cache = ddpipe_cache::Cache::open(&project.path(".ddpipe")).unwrap();
    let note = cache.newest_record("sets", "all").unwrap().unwrap().provenance.note.clone();
    assert!(note.iter().any(|line| line.contains("without 1 of 2 inputs")), "{note:?}");
    project.go("pipelines/sets.toml", &[]).ok().ran(&[]);
    project.run(&["why", "pipelines/sets.toml", "after"]).ok().says("is left out: asked/two.bin is not there");

    // As soon as the file is there, all of it is one.
    project.file("asked/two.bin", "xyz");
    let whole = project.go("pipelines/sets.toml", &["--check"]);
    whole.ok();
    assert_eq!(count_of(&whole), 2.0);
    whole.is_silent_about("left out");
}

#[test]
fn expectations_of_what_is_left_out_are_not_checked_and_that_is_said() {
    let project = two_sets();
    let ran = project.run(&["run", "pipelines/sets.toml", "--check", "--allow-commands"]);
    ran.ok().says("expect a.sum").says("expect after.sum: not checked, left out: asked/two.bin is not there");
    ran.says("2 left out in").is_silent_about("MISSED").is_silent_about("after: left out");
    // The file of the table is there, and the account says what is not.
    assert!(project.read("results/sets/all.json").ends_with("\"results\":1}"));
    assert!(project.read("results/sets/run.json").contains("left out: asked/two.bin is not there"));
}

#[test]
fn asking_for_nothing_but_what_is_left_out_is_an_error() {
    let project = two_sets();
    let refused = project.go("pipelines/sets.toml", &["--select", "after"]);
    refused.code(2).ran(&[]).says("nothing is left to run").says("write to the authors");
    project.go("pipelines/sets.toml", &["--select", "after", "--select", "a"]).ok().ran(&["a"]);
}

#[test]
fn other_sources_stop_everything_unless_told_to_keep_going() {
    let project = two_sets();
    project.edit("pipelines/sets.toml", "optional = true\n", "");
    let refused = project.go("pipelines/sets.toml", &[]);
    refused.code(2).ran(&[]).says("asked/two.bin is not there").says("b needs it").says("write to the authors");
    let ran = project.go("pipelines/sets.toml", &["--keep-going"]);
    ran.code(1).ran(&["a"]).says("write to the authors");
    assert_eq!(ran.outcome("b")["status"], "failed");
    assert_eq!(ran.outcome("after")["status"], "skipped");
    assert_eq!(ran.outcome("all")["status"], "skipped");
}

#[test]
fn an_optional_source_that_was_there_once_is_still_on_record() {
    let project = two_sets();
    project.file("asked/two.bin", "xyz");
    project.go("pipelines/sets.toml", &[]).ok();
    std::fs::remove_file(project.path("asked/two.bin")).unwrap();
    let again = project.go("pipelines/sets.toml", &["--check"]);
    again.ok().ran(&[]).says("asked: two.bin is not here; its digest on record is used");
    assert_eq!(count_of(&again), 2.0);
    // Another program would have to read it.
    let forced = project.go("pipelines/sets.toml", &["--force", "b"]);
    forced.ok().ran(&["all"]).says("2 nodes that need it are left out");
}

/// One pinned file and two stages.
fn raw(pin: &str) -> Project {
    let project = Project::counting();
    let text = format!(
        "[pipeline]\nname = \"raw\"\nkinds = [\"../kinds\"]\n[sources.raw]\npath = \"data\"\nobtain = \"ask the author\"\n\
         [sources.raw.files.\"one.bin\"]\n{pin}\n[stages.a]\nkind = \"own.count\"\ninputs = {{ file = \"source:raw/one.bin\" }}\n\
         [stages.b]\nkind = \"own.count\"\ninputs = {{ before = \"a\" }}\n"
    );
    project.file("pipelines/raw.toml", text).file("data/one.bin", "abc");
    project
}

#[test]
fn results_are_read_without_the_raw_data_whatever_pins_it() {
    let md5 = "md5 = \"900150983cd24fb0d6963f7d28e17f72\"";
    let sha256 = "sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"";
    let blake3 = format!("blake3 = \"{}\"", ddpipe_cache::Digest::of(b"abc").hex());
    for pin in ["", md5, sha256, &blake3] {
        let project = raw(pin);
        project.go("pipelines/raw.toml", &[]).ok().ran(&["a", "b"]);
        std::fs::remove_dir_all(project.path("data")).unwrap();
        // An index alone must not decide whether it works.
        std::fs::remove_dir_all(project.path(".ddpipe/stat-v2")).ok();
        let plan = project.run(&["plan", "pipelines/raw.toml"]);
        plan.ok()
            .says("0 to run, 2 on record")
            .says("its digest on record is used")
            .is_silent_about("has to be put there");
        project.run(&["show", "pipelines/raw.toml", "b"]).ok().says("sum = ");
        project.run(&["why", "pipelines/raw.toml", "b"]).ok().says("is on record");
        let run = project.go("pipelines/raw.toml", &[]);
        run.ok().ran(&[]);
        assert_eq!(run.out.matches("its digest on record is used").count(), 1, "{pin}: {}", run.out);
    }
}

#[test]
fn what_has_to_run_names_the_file_before_anything_runs() {
    let project = raw("");
    project.go("pipelines/raw.toml", &[]).ok();
    std::fs::remove_file(project.path("data/one.bin")).unwrap();
    // Only the second stage changes: it needs no raw data.
    project.edit("pipelines/raw.toml", "before = \"a\" }", "before = \"a\" }\nparams = { to = 5 }");
    project.go("pipelines/raw.toml", &[]).ok().ran(&["b"]);
    project.edit("pipelines/raw.toml", "one.bin\" }\n", "one.bin\" }\nparams = { to = 9 }\n");
    let refused = project.go("pipelines/raw.toml", &[]);
    refused.code(2).ran(&[]).says("raw/one.bin").says("; a needs it").says("ask the author");
    project.run(&["plan", "pipelines/raw.toml"]).ok().says("waits   a  for the source file raw/one.bin");
    project.run(&["plan", "pipelines/raw.toml"]).says("it has to be put there: ask the author");
    project.run(&["show", "pipelines/raw.toml", "a"]).code(1).says("needs the source file raw/one.bin");
}

#[test]
fn other_bytes_than_the_pinned_ones_do_not_stand_in() {
    let project = raw("");
    project.go("pipelines/raw.toml", &[]).ok();
    std::fs::remove_file(project.path("data/one.bin")).unwrap();
    project.edit("pipelines/raw.toml", "one.bin\"]\n", "one.bin\"]\nmd5 = \"00000000000000000000000000000000\"\n");
    project.go("pipelines/raw.toml", &[]).code(2).ran(&[]).says("ask the author");
    project.run(&["plan", "pipelines/raw.toml"]).ok().is_silent_about("its digest on record");
}

#[test]
fn digests_on_record_in_a_second_cache_stand_in_too() {
    let project = raw("");
    project.go("pipelines/raw.toml", &["--cache", "old"]).ok();
    std::fs::remove_file(project.path("data/one.bin")).unwrap();
    project.go("pipelines/raw.toml", &["--cache", "new"]).code(2).says("ask the author");
    project.go("pipelines/raw.toml", &["--cache", "new", "--cache-from", "old"]).ok().ran(&[]);
}
