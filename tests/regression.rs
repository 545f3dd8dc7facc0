//! One test for each bug that was found in use or by testing, with its story in a line.

#![allow(clippy::unwrap_used)]

#[path = "common/engine.rs"]
mod lab;
#[path = "common/project.rs"]
mod project;
#[path = "common/server.rs"]
mod server;

use crate::lab::Lab;
use crate::project::{Project, TWO};
use crate::server::{has_the_file, serve};
use ddpipe::event::{Event, Status};
use ddpipe::executor::Step;
use ddpipe::schedule::Interrupts;
use ddpipe_interface::protocol::Cause;
use nix::sys::signal::Signal;
use std::time::{Duration, SystemTime};

const CHAIN: &str = r#"
[stages.a]
kind = "make.data"
[stages.b]
kind = "use.step"
inputs = { data = "a" }
"#;

const TWO_READERS: &str = r#"
[stages.a]
kind = "make.data"
[stages.b]
kind = "use.step"
inputs = { data = "a" }
[stages.c]
kind = "use.step"
inputs = { data = "a" }
params = { x = 1 }
"#;

/// A kind had got a second output without a new version: readers of it waited for the old record for ever.
#[test]
fn a_record_without_an_output_that_the_kind_has_by_now_is_made_again() {
    let mut lab = Lab::new(CHAIN);
    lab.run();
    lab.redeclare("make.data", "[outputs]", "[outputs]\nextra = { type = \"dataset\", help = \"new\" }");
    lab.manifest(&CHAIN.replace("{ data = \"a\" }", "{ data = \"a.data\", more = \"a.extra\" }"));
    let ran = lab.run();
    ran.ran(&["a", "b"]).is_complete();
    assert_eq!(ran.reasons("a"), ["its output extra is no longer in the cache"]);
    lab.run().ran(&[]);
}

/// The second reader to report a damaged input failed, because the first had had it removed already.
#[test]
fn two_stages_that_find_the_same_damage_have_it_made_again_once() {
    let lab = Lab::new(TWO_READERS);
    lab.attempt().select("a").go();
    lab.damage("a");
    let attempt = lab.on("b", Step::Fail(Cause::DamagedInput)).on("c", Step::Fail(Cause::DamagedInput));
    let ran = attempt.slots(&["cpu", "cpu"]).keep_going().with_surprises().go();
    ran.is_complete();
    assert_eq!(ran.order().iter().filter(|node| **node == "a").count(), 1, "{:?}", ran.journal);
}

/// A node that was ready when its input turned out to be damaged was started on bytes that were gone.
#[test]
fn what_waits_for_a_slot_waits_for_bytes_that_are_made_again_too() {
    let lab = Lab::new(TWO_READERS);
    lab.attempt().select("a").go();
    lab.damage("a");
    // One slot: `c` is ready with the old bytes when `b` finds them damaged.
    let ran = lab.on("b", Step::Fail(Cause::DamagedInput)).with_surprises().go();
    ran.ran(&["b", "a", "b", "c"]).is_complete();
}

/// Of two nodes that were skipped because of a third, the one said of the other that it had failed.
#[test]
fn a_skipped_node_is_not_said_to_have_failed() {
    let manifest = r#"
    [stages.bad]
    kind = "make.data"
    params = { size = 1 }
    [stages.good]
    kind = "make.data"
    params = { size = 2 }
    [stages.after_good]
    kind = "use.step"
    inputs = { data = "good" }
    "#;
    let lab = Lab::new(manifest);
    let ran = lab.on("bad", Step::Fail(Cause::Error)).seconds(|node| if node == "bad" { 9.0 } else { 1.0 }).go();
    ran.ran(&["bad"]);
    assert!(ran.failure("after_good").message.contains("another node failed"), "{:?}", ran.failure("after_good"));
}

/// A worker that Ctrl-C had ended too, a moment before the engine looked, counted as crashed.
#[test]
fn a_worker_that_ctrl_c_ends_is_interrupted_not_failed() {
    let lab = Lab::new(CHAIN);
    let interrupts = Interrupts::default();
    let on_a = |event: &Event| {
        if matches!(event, Event::Started { node, .. } if node == "a") {
            interrupts.raise();
        }
    };
    let ran = lab.on("a", Step::Die).interrupts(&interrupts).watch(on_a).go();
    assert_eq!(ran.status("a"), Status::Interrupted);
    lab.run().is_complete();
}

/// A stage that was stopped by a signal to its worker alone ended the run with exit code 0.
#[test]
fn a_worker_that_is_told_to_stop_is_not_a_success() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "to = 40, pause = 0.05");
    let mut running = project.start_run("pipelines/two.toml", &[]);
    assert!(running.until("\"node\":\"b\",\"step\":2"));
    let worker = running.workers()[0];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGTERM).unwrap();
    let stopped = running.wait();
    assert_ne!(stopped.status.code(), Some(0), "{}\n{}", stopped.out, stopped.err);
    project.go("pipelines/two.toml", &[]).ok().ran(&["b"]);
}

/// After a parameter was set back, `why` compared with the record that was made last, not with what the node gave last.
#[test]
fn why_compares_with_what_the_node_gave_last_not_with_what_was_made_last() {
    let project = Project::counting();
    for to in ["3", "6"] {
        project.file("pipelines/two.toml", TWO.replace("to = 4", &format!("to = {to}")));
        project.go("pipelines/two.toml", &[]).ok();
    }
    project.file("pipelines/two.toml", TWO.replace("to = 4", "to = 3")).go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.file("pipelines/two.toml", TWO.replace("to = 4", "to = 8"));
    project.run(&["why", "pipelines/two.toml", "b"]).ok().says("to: 3 (default) -> 8");
}

/// A reader of standard error that went away (`2>&1 | head`) made the command panic.
#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let project = Project::counting();
    let ddpipe = env!("CARGO_BIN_EXE_ddpipe");
    let pipes = [
        "stages | head -1".to_string(),
        "run pipelines/two.toml --allow-commands --json | head -1".to_string(),
        "run pipelines/two.toml --allow-commands --force '*' 2>&1 | true".to_string(),
        "run pipelines/missing.toml 2>&1 | true".to_string(),
    ];
    for pipe in pipes {
        let mut command = project.command(&[]);
        let line = format!("set -o pipefail; exec 3>status; ( {ddpipe} {pipe} ); echo $? >&3");
        let mut bash = std::process::Command::new("bash");
        bash.args(["-c", &line]).current_dir(project.path("."));
        bash.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env_clear();
        let said = bash.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        let status = project.read("status");
        let wanted = if pipe.contains("missing") { "2" } else { "0" };
        assert_eq!(status.trim(), wanted, "{pipe}: {said}");
    }
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
}

/// A file named like the interpreter in a kind's folder was taken for the interpreter, although the one on the path runs.
/// It counts as what it is: a file of the folder.
#[test]
fn a_file_in_the_kind_s_folder_named_like_a_program_on_the_path_is_not_that_program() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.file("kinds/own/count/python3", "not run: a bare name is looked up on the path");
    let plan = project.run(&["plan", "pipelines/two.toml"]);
    plan.ok().says("its program changed: its folder").is_silent_about("changed: python3");
}

/// Of two pictures of one node the second replaced the first; with `--json` no results were written at all.
#[test]
fn results_lie_beside_the_pipelines() {
    let project = Project::counting();
    project.file(
        "kinds/own/poster/stage.toml",
        r#"name = "own.poster"
help = "Draws"
version = 1
command = ["python3", "poster.py"]
inputs = { of = { type = ["metrics"], help = "what to draw" } }
[outputs]
one = { type = "image", help = "a picture" }
two = { type = "image", help = "another" }
text = { type = "files", help = "words" }
"#,
    );
    let program = r#"
for name in ["one", "two"]:
    open(f"outputs/{name}.svg", "w").write(f"<svg><text>{name}</text></svg>")
open("outputs/text.bin", "w").write("words")
"#;
    project.file("kinds/own/poster/poster.py", program);
    let poster = "\n[stages.poster]\nkind = \"own.poster\"\ninputs = { of = \"b\" }\n";
    project.file("pipelines/two.toml", format!("{}{poster}", TWO));
    project.go("pipelines/two.toml", &[]).ok();
    let mut files: Vec<String> = std::fs::read_dir(project.path("results/two"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["poster-two.svg", "poster.svg", "poster.text", "run.json"]);
    // The words that lead back stand behind.
    assert!(project.read("results/two/poster.svg").starts_with("<svg><text>one</text></svg><!-- made by ddpipe"));
    assert!(project.read("results/two/poster-two.svg").starts_with("<svg><text>two</text></svg><!-- made by ddpipe"));
    std::fs::remove_dir_all(project.path("results")).unwrap();
    project.run(&["run", "pipelines/two.toml", "--allow-commands"]).ok().says("results in results/two");
    assert_eq!(project.read("results/two/poster.text"), "words");
}

/// The beginning of another file was continued where no digest was pinned, and the mixture was used.
#[test]
fn a_part_is_not_continued_where_no_digest_could_tell_a_wrong_file() {
    let server = serve(&[]);
    let project = server::project(&[&format!("{}/one.bin", server.address)], false);
    project.file("data/one.bin.part", vec![7; 1000]);
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
    assert_eq!(*server.asked.lock().unwrap(), [None]);
}

/// Two runs that downloaded the same file at once wrote into each other's part.
#[test]
fn two_runs_at_once_download_a_file_once() {
    let server = serve(&[]);
    let project = server::project(&[&format!("{}/one.bin", server.address)], true);
    let runs = [0, 1].map(|_| project.start_run("pipelines/fetched.toml", &[]));
    for run in runs {
        run.wait().ok();
    }
    has_the_file(&project);
    assert_eq!(server.asked.lock().unwrap().len(), 1);
}

/// A garbage collection beside a run removed what the run was going to use: it was pinned at the end only.
#[test]
fn a_run_at_work_keeps_its_records_from_gc() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &["--select", "a"]).ok();
    let old = SystemTime::now() - Duration::from_secs(7200);
    let mut folders = vec![project.path(".ddpipe")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                std::fs::File::open(path).unwrap().set_modified(old).unwrap();
            }
        }
    }
    project.edit("pipelines/two.toml", "to = 4", "to = 40, pause = 0.05");
    let mut running = project.start_run("pipelines/two.toml", &[]);
    assert!(running.until("\"node\":\"b\",\"step\":2"));
    project.run(&["cache", "gc", "--max-size", "0", "--keep-runs", "0", "--yes"]).ok();
    running.wait().ok().ran(&["b"]);
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
}
