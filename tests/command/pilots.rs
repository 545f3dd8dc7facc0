//! Runs that pilots compute: several processes on one cache, of which any may be lost, and a command that watches them and may
//! go away and come back.

use crate::processes;
use crate::project::{Done, Project, Running};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;

const TASK_STAGE: &str = r#"name = "own.task"
help = "Notes that it runs"
version = 1
seeded = true
command = ["python3", "task.py"]
[inputs]
before = { type = ["metrics"], help = "what came before", optional = true }
[outputs]
counted = { type = "metrics", help = "a number" }
[params]
pause = { type = "float", default = 0.1, help = "seconds" }
until = { type = "integer", default = 0, help = "how many have to be at work before it goes on" }
log = { type = "string", help = "where it notes that" }
fault = { type = "string", default = "", help = "what goes wrong" }
"#;

const TASK_PROGRAM: &str = r#"import json, os, signal, sys, time
told = json.load(open("params.json"))
params = told["params"]
with open(params["log"], "a") as log:
    log.write(f"{told['seed']} {params['fault']}\n")
print("at work", flush=True)
while len(open(params["log"]).readlines()) < params["until"]:
    time.sleep(0.02)
time.sleep(params["pause"])
if params["fault"] == "fail":
    sys.exit(7)
if params["fault"] == "kill":
    worker = os.getppid()
    pilot = int(open(f"/proc/{worker}/stat").read().rsplit(") ", 1)[1].split()[1])
    os.kill(pilot, signal.SIGKILL)
    time.sleep(5)
total = told["seed"] + sum(len(open("inputs/" + name, "rb").read()) for name in os.listdir("inputs"))
json.dump({"sum": total}, open("outputs/counted.json", "w"))
json.dump({"metrics": {"sum": float(total)}}, open("outputs/metrics.json", "w"))
"#;

/// A sweep: six nodes that read nothing, six that read one each, and a table of all.
pub fn sweep() -> Project {
    let project = Project::new();
    project.file("kinds/own/task/stage.toml", TASK_STAGE).file("kinds/own/task/task.py", TASK_PROGRAM);
    project.with_gather();
    let log = project.path("log").display().to_string();
    let stage = |name: &str, more: &str| {
        format!(
            "[stages.{name}]\nkind = \"own.task\"\nmatrix = {{ seed = {{ from = 0, to = 5 }} }}\n\
             params = {{ log = {log:?} }}\n{more}"
        )
    };
    let text = format!(
        "[pipeline]\nname = \"sweep\"\nkinds = [\"../kinds\"]\n{}{}[stages.all]\nkind = \"own.gather\"\n\
         inputs = {{ many = {{ gather = \"second\" }} }}\n",
        stage("first", ""),
        stage("second", "inputs = { before = \"first\" }\n"),
    );
    project.file("pipelines/sweep.toml", text);
    project
}

const ON: [&str; 4] = ["--on", "here", "--pilots", "2"];

/// How often each line was noted by a stage.
pub fn noted(project: &Project) -> BTreeMap<String, usize> {
    let mut noted = BTreeMap::new();
    for line in fs::read_to_string(project.path("log")).unwrap_or_default().lines() {
        *noted.entry(line.to_string()).or_default() += 1;
    }
    noted
}

/// The processes of pilots of this project's cache.
fn pilots(project: &Project) -> Vec<i32> {
    let cache = project.path(".ddpipe").display().to_string();
    let mut pilots = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let called = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = called.split(|byte| *byte == 0).collect();
        if words.contains(&b"--pilot".as_slice()) && words.contains(&cache.as_bytes()) {
            pilots.push(pid);
        }
    }
    pilots
}

fn until_pilots_are_at_work(project: &Project, run: &mut Running, lines: usize) {
    while noted(project).values().sum::<usize>() < lines {
        assert!(!run.has_ended(), "{}", run.out());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

pub fn assert_complete(project: &Project) {
    project.run(&["cache", "verify"]).ok();
    project.go("pipelines/sweep.toml", &[]).ok().ran(&[]);
    assert_eq!(pilots(project), Vec::<i32>::new(), "no process is left");
    assert!(project.path("results/sweep/run.json").exists());
}

pub fn counted(done: &Done, status: &str) -> usize {
    let events = done.events();
    events.iter().filter(|event| event["event"] == "finished" && event["status"] == status).count()
}

/// As on a folder that several machines open: leases are taken beside locks.
#[test]
fn two_pilots_on_a_shared_folder_compute_every_node_once() {
    let project = sweep();
    project.go("pipelines/sweep.toml", &["--select", "first[seed=0]"]).ok();
    project.file(".ddpipe/ddpipe-cache.json", "{\"layout\": 1, \"id\": \"of a test\"}");
    project.go("pipelines/sweep.toml", &ON).ok();
    let noted = noted(&project);
    assert!(noted.len() == 6 && noted.values().all(|times| *times == 2), "{noted:?}");
    for folder in ["leases-v1", "beats-v1"] {
        let left = fs::read_dir(project.path(".ddpipe").join(folder)).unwrap().flatten();
        assert_eq!(left.filter(|entry| entry.file_name() != "tmp").count(), 0, "{folder}");
    }
    assert_complete(&project);
}

#[test]
fn two_pilots_compute_every_node_once() {
    let project = sweep();
    let run = project.go("pipelines/sweep.toml", &ON);
    run.ok();
    assert_eq!(counted(&run, "ran"), 13);
    // What pilots computed was computed by this run, and is told once.
    assert_eq!(counted(&run, "fresh"), 0);
    project.run(&["runs", "show", "last"]).ok().says("13 ran").is_silent_about("on record");
    project.run(&["watch", "last"]).ok().says("13 ran").is_silent_about("on record");
    let noted = noted(&project);
    assert_eq!(noted.len(), 6);
    assert!(noted.values().all(|times| *times == 2), "{noted:?}");
    assert_complete(&project);
    // Each of both was at work.
    let folder = fs::read_dir(project.path(".ddpipe/runs")).unwrap().flatten().map(|entry| entry.path());
    let folder = folder.filter(|path| path.join("pilots").is_dir()).last().unwrap();
    assert!(folder.join("pilots/1.run").exists() && folder.join("pilots/2.run").exists());
    let id = folder.file_name().unwrap().to_str().unwrap().to_string();
    let log = project.run(&["runs", "log", &id, "second[seed=3]"]);
    log.ok().says("at work").says(&format!("second[seed=3], run {id}, pilot in ")).is_silent_about("on record");
    project.run(&["why", "pipelines/sweep.toml", "all"]).ok().says(&format!("run {id}"));
}

#[test]
fn a_pilot_that_is_killed_is_replaced_and_costs_what_it_had_begun() {
    let project = sweep();
    let mut run = project.start_run("pipelines/sweep.toml", &ON);
    until_pilots_are_at_work(&project, &mut run, 5);
    let victim = pilots(&project)[0];
    kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
    run.wait().ok().says("was lost");
    let again: usize = noted(&project).values().sum();
    assert!((12..=13).contains(&again), "one slot's node at most is done twice: {again}");
    assert_complete(&project);
}

#[test]
fn the_same_command_watches_what_a_killed_one_has_started() {
    for (signal, said) in [(Signal::SIGKILL, "did not end"), (Signal::SIGTERM, "left to its pilots")] {
        let project = sweep();
        let mut run = project.start_run("pipelines/sweep.toml", &ON);
        until_pilots_are_at_work(&project, &mut run, 4);
        run.signal(signal);
        run.wait();
        assert_eq!(pilots(&project).len(), 2, "they go on");
        project.run(&["runs"]).ok().says(said);
        if signal == Signal::SIGKILL {
            project.run(&["watch", "last"]).code(1).says("--on here --pilots 2");
        }
        let again = project.go("pipelines/sweep.toml", &ON);
        again.ok().says("pilots of run").says("they are watched");
        assert_eq!((counted(&again, "ran"), counted(&again, "fresh")), (13, 0));
        let noted = noted(&project);
        assert!(noted.values().all(|times| *times == 2), "{noted:?}");
        assert_complete(&project);
    }
}

#[test]
fn a_node_that_fails_is_tried_once_and_stops_the_run_unless_it_is_to_go_on() {
    for keep_going in [false, true] {
        let project = sweep();
        let log = project.path("log").display().to_string();
        let more = format!("\n[stages.bad]\nkind = \"own.task\"\nparams = {{ log = {log:?}, fault = \"fail\" }}\n");
        project.file("pipelines/sweep.toml", project.read("pipelines/sweep.toml") + &more);
        let mut args = ON.to_vec();
        args.extend(keep_going.then_some("--keep-going"));
        let run = project.go("pipelines/sweep.toml", &args);
        run.code(1);
        assert_eq!(run.outcome("bad")["failure"]["cause"], "error", "{}", run.out);
        assert_eq!(noted(&project)["0 fail"], 1, "no other pilot tries it");
        if keep_going {
            assert_eq!(counted(&run, "ran"), 13);
        }
        assert_eq!(pilots(&project), Vec::<i32>::new());
    }
}

#[test]
fn after_a_failure_pilots_end_what_they_have_begun_and_all_that_failed_is_told_alike() {
    let project = sweep();
    let log = project.path("log").display().to_string();
    let stage = |name: &str, more: &str| {
        format!("[stages.{name}]\nkind = \"own.task\"\nparams = {{ log = {log:?}, {more} }}\n")
    };
    let text = [
        "[pipeline]\nname = \"sweep\"\nkinds = [\"../kinds\"]\n".to_string(),
        stage("bad", "fault = \"fail\", until = 3, pause = 1.0"),
        stage("worse", "fault = \"fail\", until = 3, pause = 2.5"),
        stage("long", "fault = \"long\", until = 3, pause = 4.0"),
        stage("later", "fault = \"later\"") + "inputs = { before = \"long\" }\n",
    ];
    project.file("pipelines/sweep.toml", text.concat());
    let run = project.go("pipelines/sweep.toml", &["--on", "here", "--pilots", "3", "--jobs", "3"]);
    run.code(1);
    assert_eq!((counted(&run, "ran"), counted(&run, "failed"), counted(&run, "skipped")), (1, 2, 1), "{}", run.out);
    assert_eq!(run.outcome("long")["status"], "ran");
    assert!(run.outcome("worse")["seconds"].as_f64().unwrap() > 1.5);
    assert_eq!(noted(&project).get("0 later"), None, "nothing more is started");
    project.run(&["watch", "last"]).code(1).says("1 ran, 2 failed, 1 not run");
    project.run(&["runs", "show", "last"]).ok().says("FAILED worse").is_silent_about("after 0.00 s");
}

#[test]
fn a_node_that_kills_its_pilot_each_time_is_at_fault_after_three() {
    let project = sweep();
    let log = project.path("log").display().to_string();
    let more = format!("\n[stages.bad]\nkind = \"own.task\"\nparams = {{ log = {log:?}, fault = \"kill\" }}\n");
    project.file("pipelines/sweep.toml", project.read("pipelines/sweep.toml") + &more);
    let run = project.go("pipelines/sweep.toml", &["--on", "here", "--pilots", "2", "--keep-going"]);
    run.code(1).says("the pilot that had it was lost 3 times");
    assert_eq!(noted(&project)["0 kill"], 3);
    assert_eq!(run.outcome("bad")["status"], "failed");
    project.run(&["cache", "verify"]).ok();
    assert!(noted(&project).iter().filter(|(what, _)| !what.contains("kill")).all(|(_, times)| *times <= 5));
}

/// Batch systems announce the end of a job's time to all of its processes, the stages' programs among them.
#[test]
fn a_signal_to_all_processes_of_a_pilot_has_it_leave_and_fails_no_stage() {
    let project = sweep();
    project.edit("pipelines/sweep.toml", "params = { log", "params = { pause = 0.5, log");
    let mut run = project.start_run("pipelines/sweep.toml", &ON);
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        until_pilots_are_at_work(&project, &mut run, if signal == Signal::SIGUSR1 { 3 } else { 7 });
        let pilot = pilots(&project)[0];
        for process in processes::below(pilot).iter().map(|process| process.pid).chain([pilot]) {
            let _ = kill(Pid::from_raw(process), signal);
        }
    }
    let done = run.wait();
    done.ok().says("since its time was up");
    assert_eq!(counted(&done, "failed"), 0);
    assert_complete(&project);
}

#[test]
fn a_pilot_that_only_waits_for_another_leaves_and_comes_back_when_that_is_lost() {
    let mut project = sweep();
    project.env("DDPIPE_IDLE_SECONDS", "0.5");
    let log = project.path("log").display().to_string();
    let long =
        format!("\n[stages.long]\nkind = \"own.task\"\nparams = {{ log = {log:?}, fault = \"long\", pause = 4.0 }}\n");
    project.file("pipelines/sweep.toml", project.read("pipelines/sweep.toml") + &long);
    let mut run = project.start_run("pipelines/sweep.toml", &ON);
    assert!(run.until("it only waited for what others are at"), "{}", run.out());
    let left = pilots(&project);
    assert_eq!(left.len(), 1);
    kill(Pid::from_raw(left[0]), Signal::SIGKILL).unwrap();
    run.wait().ok().says("was lost");
    assert_eq!(noted(&project)["0 long"], 2);
    assert_complete(&project);
}

#[test]
fn ctrl_c_stops_the_pilots_and_the_same_command_continues() {
    let project = sweep();
    let mut run = project.start_run("pipelines/sweep.toml", &ON);
    until_pilots_are_at_work(&project, &mut run, 4);
    run.signal_group(Signal::SIGINT);
    run.wait().code(130);
    assert_eq!(pilots(&project), Vec::<i32>::new());
    project.go("pipelines/sweep.toml", &ON).ok();
    assert_complete(&project);
}

#[test]
fn a_run_in_the_background_is_watched_and_stopped_from_elsewhere() {
    let project = sweep();
    project.edit("pipelines/sweep.toml", "params = { log", "params = { pause = 0.2, log");
    for more in [&[][..], &ON] {
        let args = [&["run", "pipelines/sweep.toml", "--detach", "--allow-commands"], more].concat();
        let begun = project.run(&args);
        begun.ok().says("goes on in the background");
        let id = begun.out.lines().next().unwrap().to_string();
        project.run(&["runs"]).ok().says("running");
        project.run(&["runs", "stop", &id]).ok().says("has stopped");
        project.run(&["runs", "stop", &id]).ok().says("is not at work");
        assert_eq!(pilots(&project), Vec::<i32>::new());
    }
    // One that is let run ends by itself, and writes its results.
    project.edit("pipelines/sweep.toml", "pause = 0.2", "pause = 0.01");
    let begun = project.run(&["run", "pipelines/sweep.toml", "--detach", "--allow-commands"]);
    let id = begun.ok().out.lines().next().unwrap().to_string();
    project.run(&["watch", &id]).ok();
    assert!(project.path("results/sweep/run.json").exists());
    assert!(project.path(&format!(".ddpipe/runs/{id}/output.txt")).exists());
    // What is wrong with the manifest is said at once.
    project.run(&["run", "pipelines/nothing.toml", "--detach"]).code(2).says("nothing.toml");
}
