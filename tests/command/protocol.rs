//! Workers that do not keep to the protocol: the true cause is named, nothing hangs, and memory is bounded.

use crate::project::{Done, Project};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A project whose worker misbehaves in this way.
fn fake(mode: &str) -> Project {
    let mut project = Project::counting();
    let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/fake_worker.py");
    project.env("DDPIPE_WORKER", &worker.display().to_string()).env("DDPIPE_FAKE", mode);
    project
}

/// How the first node fails with such a worker, which names no lack of memory.
#[track_caller]
fn failure(mode: &str, code: i32) -> Value {
    let done = fake(mode).go("pipelines/two.toml", &[]);
    done.code(code);
    let failure = done.outcome("a")["failure"].clone();
    assert!(!failure.to_string().contains("memory"), "{failure}");
    assert_eq!(done.events().last().unwrap()["event"], "exit");
    failure
}

#[track_caller]
fn names(mode: &str, cause: &str, words: &[&str]) {
    let failure = failure(mode, 1);
    assert_eq!(failure["cause"], cause, "{failure}");
    for word in words {
        assert!(failure["message"].as_str().unwrap().contains(word), "{mode}: no {word:?} in {failure}");
    }
    if cause == "protocol" {
        assert!(failure["hint"].as_str().unwrap().contains("DDPIPE_WORKER"), "{failure}");
    }
}

#[test]
fn a_worker_of_another_version_is_named_with_both_versions() {
    names("other version", "protocol", &["version 1 of the protocol, this ddpipe version 3", "fake_worker.py"]);
    names("other hello", "protocol", &["version 4 of the protocol, this ddpipe version 3"]);
    names("no hello", "protocol", &["did not begin with hello"]);
}

#[test]
fn what_is_no_message_is_shown() {
    names("unknown message", "protocol", &["sings", "which is no message"]);
    names("oversized frame", "protocol", &["209715200 bytes is above the limit of 64 MiB"]);
}

#[test]
fn a_connection_that_ends_too_early_is_told_from_a_death() {
    names("cut frame", "protocol", &["closed its socket in the middle of a message and did not end"]);
    names("closes", "protocol", &["closed its socket and did not end"]);
    let failure = fake("cut and dies").go("pipelines/two.toml", &[]).outcome("a")["failure"].clone();
    assert_eq!(failure["cause"], "worker_died");
    assert!(failure["message"].as_str().unwrap().contains("signal 9 (SIGKILL), in the middle of a message"));
}

#[test]
fn a_worker_that_cannot_start_says_why() {
    let failure = failure("dies at once", 1);
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("ended with code 1") && message.contains("it said: no such device"), "{message}");
    assert!(failure["hint"].as_str().unwrap().contains("ddpipe doctor"));
}

#[test]
fn words_in_the_wrong_order_are_named() {
    names("done twice", "protocol", &["a said twice that it is done"]);
    names("stored before done", "protocol", &["outputs are stored before it was done"]);
}

#[test]
fn outputs_that_were_never_written_are_the_caches_error() {
    let failure = failure("lying digests", 3);
    assert_eq!(failure["cause"], "cache");
    assert!(failure["message"].as_str().unwrap().contains("is not in the cache"), "{failure}");
}

#[test]
fn a_silent_worker_is_mentioned_and_stopped_at_its_time() {
    let mut project = fake("silent");
    project.env("DDPIPE_SILENCE_SECONDS", "0.1").env("DDPIPE_GRACE_SECONDS", "0.1");
    let done = project.run(&["run", "pipelines/two.toml", "--allow-commands", "--timeout", "0.5"]);
    done.code(1).says("a: no word of it for").says("a took longer than 0.5 s (--timeout)").says("was killed");
    project.edit("pipelines/two.toml", "to = 3 }", "to = 3 }\ntimeout = \"0.3s\"");
    let done = project.go("pipelines/two.toml", &[]);
    assert_eq!(done.code(1).outcome("a")["failure"]["cause"], "timeout");
}

#[test]
fn a_program_that_asks_for_it_is_tried_again() {
    let project = fake("fails with 75 once");
    project.edit("pipelines/two.toml", "to = 3 }", "to = 3 }\nretries = 5");
    let done = project.go("pipelines/two.toml", &["--junit", "junit.xml"]);
    done.code(1);
    let junit = project.read("junit.xml");
    assert!(junit.contains("2 attempts\nattempt 1 failed: ") && junit.contains("<rerunFailure"), "{junit}");
    let retried: Vec<Value> = done.events().into_iter().filter(|event| event["event"] == "retried").collect();
    assert_eq!(retried.len(), 1);
    assert_eq!((&retried[0]["failed"], &retried[0]["times"]), (&1.into(), &5.into()));
    assert!(done.outcome("a")["failure"]["message"].as_str().unwrap().ends_with("status 7"));
    assert!(journal(&project).contains("\"event\":\"retried\""));
}

/// The journal of the only run.
fn journal(project: &Project) -> String {
    let runs = fs::read_dir(project.path(".ddpipe/runs")).unwrap();
    let journal = runs.map(|entry| entry.unwrap().path().join("events.jsonl")).find(|path| path.exists()).unwrap();
    fs::read_to_string(journal).unwrap()
}

#[test]
fn of_a_flood_of_log_lines_the_journal_has_the_first_and_the_last() {
    let mut project = fake("flood");
    let done = project.env("DDPIPE_FLOOD", "20000").go("pipelines/two.toml", &[]);
    done.code(1);
    let journal = journal(&project);
    assert_eq!(journal.lines().filter(|line| line.contains("\"event\":\"log\"")).count(), 400);
    assert!(journal.contains("\"event\":\"log_left_out\",\"node\":\"a\",\"lines\":19600"));
    assert!(journal.contains("\"text\":\"0 x") && journal.contains("\"text\":\"19999 x"));
    let log = &done.outcome("a")["failure"]["log"];
    assert_eq!(log.as_array().unwrap().len(), 20);
}

/// The most memory that a process had so far, in bytes.
fn peak(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Nobody reads standard output, as with `| less`.
#[test]
fn a_reader_that_stops_holds_up_neither_the_run_nor_its_signals() {
    for (signals, code) in [(&[Signal::SIGINT, Signal::SIGINT][..], 130), (&[Signal::SIGTERM, Signal::SIGTERM], 143)] {
        let mut project = fake("flood");
        project.env("DDPIPE_FLOOD", "1000000000");
        let mut command = project.command(&["run", "pipelines/two.toml", "--json", "--allow-commands"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        let _unread = child.stdout.take().unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        assert!(child.try_wait().unwrap().is_none(), "the run goes on");
        assert!(peak(pid.as_raw()) < 200 << 20, "{} MiB", peak(pid.as_raw()) >> 20);
        for signal in signals {
            nix::sys::signal::kill(pid, *signal).unwrap();
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(ended(&mut child), Some(code));
    }
}

/// A run ends although its output is never read, and whoever reads in the end finds every outcome.
#[test]
fn a_reader_that_reads_late_finds_the_outcomes() {
    let mut project = fake("flood");
    project.env("DDPIPE_FLOOD", "20000");
    let mut command = project.command(&["run", "pipelines/two.toml", "--json", "--allow-commands"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let journal = loop {
        let runs = fs::read_dir(project.path(".ddpipe/runs")).into_iter().flatten().flatten();
        let texts = runs.filter_map(|run| fs::read_to_string(run.path().join("events.jsonl")).ok());
        match texts.last().filter(|text| text.contains("\"event\":\"ended\"")) {
            Some(text) => break text,
            None => assert!(Instant::now() < deadline, "the run does not end"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(journal.contains("tired of talking"));
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert!(text.contains("tired of talking") && text.contains("\"event\":\"ended\""));
    assert!(text.contains("lines of progress and logs were left out"));
    assert_eq!(ended(&mut child), Some(1));
}

fn ended(child: &mut std::process::Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    panic!("the command does not end");
}

#[test]
fn a_closed_terminal_stops_a_run_as_ctrl_c_does() {
    let mut project = fake("silent");
    project.env("DDPIPE_SILENCE_SECONDS", "0.05");
    let mut running = project.start_run("pipelines/two.toml", &[]);
    assert!(running.until("\"event\":\"silent\""));
    running.signal(Signal::SIGHUP);
    assert!(running.until("stopping: running stages"));
    running.signal(Signal::SIGHUP);
    let done: Done = running.wait();
    done.code(129);
    assert_eq!(done.outcome("a")["status"], "interrupted");
    assert_eq!(done.events().last().unwrap()["event"], "exit");
}

#[test]
fn a_worker_is_reached_without_a_folder_for_temporary_files_and_leaves_nothing() {
    let mut project = fake("lying digests");
    project.env("TMPDIR", "/nowhere/at/all");
    project.go("pipelines/two.toml", &["--cache", &"long/".repeat(40)]).code(3).says("is not in the cache");
    let mut project = fake("silent");
    project.env("DDPIPE_SILENCE_SECONDS", "0.05");
    let mut running = project.start_run("pipelines/two.toml", &[]);
    assert!(running.until("\"event\":\"silent\""));
    running.signal(Signal::SIGKILL);
    running.wait();
    let left = fs::read_dir(project.path(".ddpipe")).unwrap().flatten();
    let sockets: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().contains("sock")).collect();
    assert!(sockets.is_empty(), "{sockets:?}");
}
