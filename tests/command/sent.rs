//! Pilots whose nodes share no folder with the command that starts them: what they need goes through the remote, and so does what
//! they tell. Each pilot is a node of its own here, with folders that no other one uses.

use crate::pilots::{counted, noted, sweep};
use crate::project::Project;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A kind that reads a source file and a folder.
const READ_STAGE: &str = r#"name = "own.read"
help = "Counts the bytes of a file and of a folder"
version = 1
command = ["./read.sh"]
[inputs]
file = { type = ["files"], help = "a file" }
folder = { type = ["folder"], help = "a folder" }
[outputs]
counted = { type = "metrics", help = "bytes" }
[params]
note = { type = "string", help = "where it notes what it sees" }
"#;

const READ_PROGRAM: &str = r#"#!/bin/sh
python3 - <<'END'
import json, os
params = json.load(open("params.json"))["params"]
files = [os.path.join(at, name) for at, _, names in os.walk("inputs/folder/") for name in names]
[file] = ["inputs/" + name for name in os.listdir("inputs") if name.startswith("file")]
total = os.path.getsize(file) + sum(os.path.getsize(file) for file in files)
open(params["note"], "a").write(os.path.realpath(file) + "\n")
json.dump({"sum": total}, open("outputs/counted.json", "w"))
json.dump({"metrics": {"sum": float(total)}}, open("outputs/metrics.json", "w"))
END
"#;

/// A batch system without any file system: each job is a process with a node of its own.
fn settings(nodes: &str, remote: &str) -> String {
    format!(
        r#"[cache]
remote = "file://{remote}"
[machines.far]
queue = "commands"
local = "{nodes}/$NODE/ddpipe"
setup = ["NODE=$$", "export NODE", "mkdir -p {nodes}/$NODE && cd {nodes}/$NODE"]
submit = ["sh", "-c", "setsid sh {{script}} > {nodes}/{{number}}.log 2>&1 & echo $!"]
id = "whole"
status = ["sh", "-c", "if kill -0 {{id}} 2>/dev/null; then echo {{id}} runs; else echo {{id}} over; fi"]
states = {{ running = ["runs"], ended = ["over"] }}
cancel = ["kill", "{{id}}"]
[machines.far.pilots]
cpu = {{ device = "cpu", cpus = 1, memory = "300MiB", time = "10min" }}
"#
    )
}

struct Far {
    project: Project,
    folder: TempDir,
}

impl Far {
    /// The sweep with a stage more, which reads source files, and nodes that share nothing with it but a remote.
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ddpipe-far-").tempdir().unwrap();
        let mut project = sweep();
        for name in ["remote", "nodes"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        project.file("home/.config/ddpipe/config.toml", settings(&path("nodes"), &path("remote")));
        project.env("DDPIPE_QUEUE_SECONDS", "0.2").env("DDPIPE_HEARTBEAT_SECONDS", "0.3");
        project.file("kinds/own/read/stage.toml", READ_STAGE).file("kinds/own/read/read.sh", READ_PROGRAM);
        fs::set_permissions(project.path("kinds/own/read/read.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        project.file("data/raw/one.bin", "abc").file("data/raw/many/a/b.bin", "defg").file("data/raw/many/c.bin", "h");
        let log = project.path("read.log").display().to_string();
        let more = format!(
            "[sources.raw]\npath = \"data/raw\"\n[sources.raw.files.\"one.bin\"]\n[sources.raw.files.\"many/\"]\n\
             [stages.read]\nkind = \"own.read\"\nparams = {{ note = {log:?} }}\n\
             inputs = {{ file = \"source:raw/one.bin\", folder = \"source:raw/many/\" }}\n"
        );
        project.file("pipelines/sweep.toml", project.read("pipelines/sweep.toml") + &more);
        Far { project, folder }
    }

    fn nodes(&self) -> PathBuf {
        self.folder.path().join("nodes")
    }

    /// The processes of pilots.
    fn pilots(&self) -> Vec<i32> {
        let nodes = self.nodes().display().to_string();
        let numbers =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let called = |pid: &i32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_pilot = |pid: &i32| {
            let words = String::from_utf8_lossy(&called(pid)).into_owned();
            words.contains("--sent") && words.contains(&nodes)
        };
        numbers.filter(is_pilot).collect()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The ids of all runs, the oldest first.
    fn runs(&self) -> Vec<String> {
        let list: Value = serde_json::from_str(&self.project.run(&["runs", "--json"]).ok().out).unwrap();
        list.as_array().unwrap().iter().rev().map(|run| run["run"].as_str().unwrap().to_string()).collect()
    }

    fn assert_complete(&self) {
        self.project.go("pipelines/sweep.toml", &[]).ok().ran(&[]);
        self.project.run(&["cache", "verify"]).ok();
        assert_eq!(self.pilots(), Vec::<i32>::new());
    }
}

const ON: [&str; 4] = ["--on", "far", "--pilots", "2"];

#[test]
fn pilots_that_share_no_folder_compute_every_node_once_with_files_that_were_sent() {
    let far = Far::new();
    let project = &far.project;
    // What was computed here before there was a remote is not computed again there.
    project.go("pipelines/sweep.toml", &["--select", "first[seed=0]", "--remote", "none"]).ok();
    let doctor = project.run(&["doctor", "--on", "far"]);
    doctor.ok().says("all is well").says(&format!("{}/", far.nodes().display()));
    let run = project.go("pipelines/sweep.toml", &ON);
    run.ok();
    assert_eq!(counted(&run, "ran"), 13);
    assert!(run.events().iter().any(|event| event["event"] == "log"), "what stages say comes here: {}", run.out);
    let noted = noted(project);
    assert!(noted.len() == 6 && noted.values().all(|times| *times == 2), "{noted:?}");
    let seen = project.read("read.log");
    assert!(seen.starts_with(&far.nodes().display().to_string()) && seen.lines().count() == 1, "{seen}");
    assert_eq!(run.outcome("read")["metrics"]["sum"], 8.0);
    assert!(project.path("results/sweep/run.json").exists());
    far.assert_complete();
    let leases = fs::read_dir(far.folder.path().join("remote/leases-v1")).into_iter().flatten().flatten();
    assert_eq!(leases.filter(|lease| lease.file_name() != "tmp").count(), 0);

    // Nothing of the project's place is known there.
    let place = project.path("").display().to_string();
    let runs = far.folder.path().join("remote/runs-v1");
    let specs = fs::read_dir(&runs).unwrap().flatten().map(|run| run.path().join("spec.json"));
    let spec = fs::read_to_string(specs.filter(|spec| spec.exists()).last().unwrap()).unwrap();
    assert!(
        !spec
            .replace(&project.path("log").display().to_string(), "")
            .replace(&project.path("read.log").display().to_string(), "")
            .contains(&place),
        "{spec}"
    );

    // Runs are told as if their pilots had been here, and single pilots are no runs.
    let ids = far.runs();
    assert_eq!(ids.len(), 2, "single pilots are no runs: {ids:?}");
    let id = ids[1].clone();
    project.run(&["runs", "log", &id, "second[seed=3]"]).ok().says("at work");
    project.run(&["watch", "last"]).ok().is_silent_about("-p");
    project.run(&["report", "pipelines/sweep.toml"]).ok();
}

#[test]
fn a_lost_pilot_is_replaced_a_failure_is_told_to_all_and_a_killer_is_at_fault() {
    let far = Far::new();
    let project = &far.project;
    let log = project.path("log").display().to_string();
    let bad = |fault: &str| {
        format!(
            "\n[stages.{fault}]\nkind = \"own.task\"\nparams = {{ log = {log:?}, fault = \"{fault}\", pause = 0.6 }}\n"
        )
    };
    project.file("pipelines/sweep.toml", project.read("pipelines/sweep.toml") + &bad("kill") + &bad("fail"));
    let run = project.go("pipelines/sweep.toml", &["--on", "far", "--pilots", "2", "--keep-going"]);
    run.code(1).says("was lost").says("the pilot that had it was lost 3 times");
    assert_eq!(run.outcome("fail")["failure"]["cause"], "error", "{}", run.out);
    assert_eq!((noted(project)["0 fail"], noted(project)["0 kill"]), (1, 3), "who fails is tried by one pilot");
    assert_eq!(counted(&run, "ran"), 14);
    project.run(&["cache", "verify"]).ok();
    assert_eq!(far.pilots(), Vec::<i32>::new());
}

#[test]
fn the_run_is_left_found_again_and_stopped_from_elsewhere() {
    let far = Far::new();
    let project = &far.project;
    project.edit("pipelines/sweep.toml", "params = { log", "params = { pause = 0.7, log");
    let mut run = project.start_run("pipelines/sweep.toml", &ON);
    assert!(run.until("\"started\""), "{}", run.out());
    run.signal(Signal::SIGKILL);
    run.wait();
    assert_eq!(far.pilots().len(), 2, "they go on");
    let mut again = project.start_run("pipelines/sweep.toml", &ON);
    assert!(again.until("they are watched"));
    assert_eq!(far.pilots().len(), 2);
    kill(Pid::from_raw(far.pilots()[0]), Signal::SIGKILL).unwrap();
    assert!(again.until("was lost"));
    again.signal(Signal::SIGKILL);
    again.wait();
    project.run(&["runs", "stop", &far.runs()[0]]).ok().says("are asked to stop");
    far.until("no pilot", |far| far.pilots().is_empty());
    project.edit("pipelines/sweep.toml", "pause = 0.7, ", "");
    project.go("pipelines/sweep.toml", &ON).ok();
    far.assert_complete();
}

/// Whoever can write to the remote can write any note there.
#[test]
fn notes_of_strangers_change_no_other_run() {
    let far = Far::new();
    let project = &far.project;
    project.edit("pipelines/sweep.toml", "params = { log", "params = { pause = 0.6, log");
    project.go("pipelines/sweep.toml", &["--select", "first[seed=0]", "--remote", "none"]).ok();
    let older = far.runs()[0].clone();
    let before = project.read(&format!(".ddpipe/runs/{older}/outcome.json"));
    let mut run = project.start_run("pipelines/sweep.toml", &ON);
    assert!(run.until("\"started\""), "{}", run.out());
    let runs = far.folder.path().join("remote/runs-v1");
    let notes = fs::read_dir(&runs)
        .unwrap()
        .flatten()
        .map(|run| run.path())
        .find(|run| run.join("spec.json").exists())
        .unwrap();
    let part = notes.join("parts").join(&older);
    fs::create_dir_all(&part).unwrap();
    for name in ["outcome.json", "reached.json"] {
        fs::write(part.join(name), "{\"exit\":1}").unwrap();
    }
    fs::create_dir_all(notes.join("failed")).unwrap();
    File::create(notes.join("failed/long.json")).unwrap().set_len(1 << 36).unwrap();
    // The remote is not there for a moment.
    let away = far.folder.path().join("away");
    fs::rename(far.folder.path().join("remote"), &away).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    fs::rename(&away, far.folder.path().join("remote")).unwrap();
    run.wait().ok();
    assert_eq!(project.read(&format!(".ddpipe/runs/{older}/outcome.json")), before);
    assert!(far.runs().contains(&older));
    far.assert_complete();
}

#[test]
fn what_cannot_be_sent_is_said_before_anything_is_submitted() {
    let far = Far::new();
    let project = &far.project;
    let refused = |more: &[&str]| project.go("pipelines/sweep.toml", &[&ON[..], more].concat());
    refused(&["--remote", "none"]).code(2).says("no folder with this one").says("--remote s3://");
    project.go("pipelines/sweep.toml", &["--select", "first", "--cache", "other", "--remote", "none"]).ok();
    refused(&["--cache-from", "other"]).code(2).says("--cache-from");
    project.run(&["doctor", "--on", "far", "--remote", "none"]).code(2).says("no remote is named");
    fs::rename(project.path("data/raw/one.bin"), project.path("data/one.bin")).unwrap();
    refused(&[]).code(2).says("one.bin");
    fs::rename(project.path("data/one.bin"), project.path("data/raw/one.bin")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", project.path("data/raw/many/link")).unwrap();
    refused(&[]).code(2).says("link").says("cannot be sent");
    fs::remove_file(project.path("data/raw/many/link")).unwrap();
    fs::write(far.folder.path().join("more.toml"), "[vars]\nx = 1\n").unwrap();
    let include = format!("include = [\"{}\"]\n", far.folder.path().join("more.toml").display());
    project.file("pipelines/sweep.toml", include + &project.read("pipelines/sweep.toml"));
    refused(&[]).code(2).says("more.toml").says("move it there");
    assert!(fs::read_dir(far.nodes()).unwrap().flatten().all(|entry| !entry.path().ends_with("1.log")));
}
