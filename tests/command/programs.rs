//! Programs of a project's own kinds that change, that are left behind, or that reach for what is not theirs: none of it
//! may end up on record.

use crate::project::{COUNT_PROGRAM, COUNT_STAGE, Project, TWO};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// A kind that runs `run.py` of its folder, with one output of bytes and, if `inputs` says so, inputs.
fn program(project: &Project, inputs: &str, more: &str, code: &str) {
    let stage = format!(
        "name = \"own.step\"\nhelp = \"A step\"\nversion = 1\ncommand = [\"python3\", \"run.py\"]\n{more}\n\
         [inputs]\n{inputs}\n[outputs]\nmade = {{ type = \"files\", help = \"bytes\", extension = \"txt\" }}\n[params]\n\
         word = {{ type = \"string\", default = \"one\", help = \"a word\" }}\n"
    );
    project.file("kinds/own/step/stage.toml", stage).file("kinds/own/step/run.py", code);
}

fn pipeline(project: &Project, stages: &str) {
    project.file("pipelines/own.toml", format!("[pipeline]\nname = \"own\"\nkinds = [\"../kinds\"]\n{stages}"));
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn lives(pid: i32) -> bool {
    // A zombie has ended; it waits for its parent.
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// It writes what it has when it is told to stop, as trainers do.
const SLOW: &str = r#"import os, signal, sys, time
out = os.environ["DDPIPE_DIR"] + "/outputs/made.bin"
note = open("__NOTE__", "a"); note.write(str(os.getpid()) + "\n"); note.close()
def stop(*_):
    for _ in range(300):
        open(out + ".part", "w").write("PARTIAL"); os.rename(out + ".part", out); time.sleep(0.005)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
time.sleep(1.2)
open(out, "w").write("whole")
"#;

#[test]
fn the_program_of_a_killed_run_never_writes_into_the_next_one() {
    let project = Project::new();
    let note = project.path("pids");
    program(&project, "", "", &SLOW.replace("__NOTE__", note.to_str().unwrap()));
    pipeline(&project, "[stages.a]\nkind = \"own.step\"\n");
    for attempt in 0..3 {
        let mut running = project.start_run("pipelines/own.toml", &[]);
        until("the program starts", || {
            std::fs::read_to_string(&note).is_ok_and(|text| text.lines().count() > attempt) || running.has_ended()
        });
        running.signal(Signal::SIGKILL);
        running.wait();
    }
    project.run(&["run", "pipelines/own.toml", "--allow-commands"]).ok();
    let made = project.run(&["show", "pipelines/own.toml", "a", "--output", "made", "--out", "made.txt"]);
    made.ok();
    assert_eq!(project.read("made.txt"), "whole");
    project.run(&["cache", "verify"]).ok();
    let pids: Vec<i32> = std::fs::read_to_string(&note).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    until("every program has ended", || !pids.iter().any(|pid| lives(*pid)));
}

#[test]
fn a_program_that_is_edited_while_a_run_goes_on_leaves_no_record() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 3", "to = 20, pause = 0.1");
    let mut running = project.start_run("pipelines/two.toml", &[]);
    assert!(running.until("\"progress\""));
    project.file("kinds/own/count/count.py", COUNT_PROGRAM.replace("total = told", "total = 1000 + told"));
    let done = running.wait();
    done.code(1);
    assert!(done.outcome("a")["failure"]["message"].as_str().unwrap().contains("changed since this run began"));
    project.file("kinds/own/count/count.py", COUNT_PROGRAM);
    project.run(&["plan", "pipelines/two.toml"]).ok().says("1 to run").says("0 on record");
}

#[test]
fn a_folder_that_changes_under_a_program_leaves_no_record() {
    let project = Project::new();
    program(
        &project,
        "images = { type = [\"folder\"], help = \"a folder\" }",
        "",
        "import os, time\ntime.sleep(0.8)\nnames = sorted(os.listdir(\"inputs/images\"))\n\
         open(\"outputs/made.bin\", \"w\").write(\" \".join(open(\"inputs/images/\" + n).read() for n in names))\n",
    );
    project.file("data/images/a.txt", "one").file("data/images/b.txt", "two");
    pipeline(
        &project,
        "[sources.raw]\npath = \"data\"\n[sources.raw.files]\n\"images/\" = {}\n\
         [stages.a]\nkind = \"own.step\"\ninputs = { images = \"source:raw/images/\" }\n",
    );
    let mut running = project.start_run("pipelines/own.toml", &[]);
    assert!(running.until("\"started\""));
    std::thread::sleep(Duration::from_millis(400));
    project.file("data/images/b.txt", "TWO");
    let done = running.wait();
    done.code(1);
    assert!(done.outcome("a")["failure"]["message"].as_str().unwrap().contains("changed since this run began"));
    project.run(&["run", "pipelines/own.toml", "--allow-commands"]).ok();
}

#[test]
fn a_program_that_writes_to_its_inputs_changes_nobody_elses() {
    let project = Project::new();
    program(
        &project,
        "before = { type = [\"files\"], help = \"bytes\", optional = true }",
        "",
        "import json, os\nword = json.load(open(\"params.json\"))[\"params\"][\"word\"]\n\
         names = os.listdir(\"inputs\")\ntext = open(\"inputs/\" + names[0]).read() if names else \"0123456789\"\n\
         if word == \"write\":\n    f = open(\"inputs/\" + names[0], \"r+\"); f.write(\"XXXX\"); f.close()\n\
         open(\"outputs/made.bin\", \"w\").write(text + \" \" + word)\n",
    );
    pipeline(
        &project,
        "[stages.a]\nkind = \"own.step\"\n\
         [stages.b]\nkind = \"own.step\"\ninputs = { before = \"a\" }\nparams = { word = \"write\" }\n\
         [stages.c]\nkind = \"own.step\"\ninputs = { before = \"a\" }\nparams = { word = \"read\" }\n",
    );
    project.run(&["run", "pipelines/own.toml", "--allow-commands", "--jobs", "1"]).ok();
    project.run(&["show", "pipelines/own.toml", "c", "--output", "made", "--out", "made.txt"]).ok();
    assert_eq!(project.read("made.txt"), "0123456789 one read");
    project.run(&["cache", "verify"]).ok();
}

#[test]
fn what_decides_a_program_s_result_decides_on_reuse() {
    let mut project = Project::counting();
    project.env("XDG_STATE_HOME", "/nowhere");
    project.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]);
    // A module that it could import, a default, and a variable that it may see.
    project.file("kinds/own/count/helper.py", "VALUE = 1\n");
    project.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]);
    project.file("kinds/own/count/__pycache__/helper.pyc", "compiled").file("kinds/own/count/.hidden", "x");
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.file("kinds/own/count/stage.toml", COUNT_STAGE.replace("default = \"\"", "default = \"none\""));
    project.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]);
    let seen = COUNT_STAGE.replace("[inputs]", "env = [\"MY_SETTING\"]\n[inputs]");
    project.file("kinds/own/count/stage.toml", seen);
    let shows = "import os\nprint('sees', os.environ.get('MY_SETTING'), os.environ.get('MY_TOKEN'))\n";
    project.file("kinds/own/count/count.py", format!("{shows}{COUNT_PROGRAM}"));
    project.env("MY_SETTING", "one").env("MY_TOKEN", "secret");
    let first = project.go("pipelines/two.toml", &[]);
    first.ok().ran(&["a", "b"]);
    assert!(
        first.events().iter().any(|event| event["text"] == "sees one None"),
        "it sees what is declared, and no more"
    );
    project.env("MY_TOKEN", "other");
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.env("MY_SETTING", "two");
    project.run(&["plan", "pipelines/two.toml"]).ok().says("environment variable MY_SETTING changed");
    let records = project.path(".ddpipe/records-v1");
    let found = std::process::Command::new("grep").args(["-rl", "secret"]).arg(records).output().unwrap();
    assert!(found.stdout.is_empty(), "a token is on record");
}

/// A child in a session of its own, and one whose parent is a shell: both live as long as they are let.
const LEAVES: &str = r#"import os, subprocess, sys, time
subprocess.Popen(["setsid", "sh", "-c", "echo $$ >> __NOTE__; sleep 300"])
subprocess.Popen(["bash", "-c", "(echo $BASHPID >> __NOTE__; sleep 300) & wait"])
while not (os.path.exists("__NOTE__") and len(open("__NOTE__").readlines()) >= 2): time.sleep(0.01)
if "__WAIT__" == "yes": time.sleep(300)
open("outputs/made.bin", "w").write("made")
"#;

#[test]
fn nothing_that_a_program_starts_outlives_its_stage() {
    for waits in [false, true] {
        let project = Project::new();
        let note = project.path("pids");
        let code = LEAVES.replace("__NOTE__", note.to_str().unwrap());
        program(&project, "", "", &code.replace("__WAIT__", if waits { "yes" } else { "no" }));
        pipeline(&project, "[stages.a]\nkind = \"own.step\"\n");
        let mut running = project.start_run("pipelines/own.toml", &[]);
        if waits {
            // The worker is killed, as when memory is short.
            until("the children start", || std::fs::read_to_string(&note).is_ok_and(|text| text.lines().count() >= 2));
            running.workers().into_iter().for_each(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap());
            running.wait().code(1);
        } else {
            assert!(running.until("\"ended\""));
            running.wait().ok();
        }
        let pids: Vec<i32> = project.read("pids").lines().map(|line| line.trim().parse().unwrap()).collect();
        assert_eq!(pids.len(), 2);
        until("the children have ended", || !pids.iter().any(|pid| lives(*pid)));
    }
}

const FILES: &str = r#"import os
held = []
for number in os.listdir("/proc/self/fd"):
    try:
        if os.readlink("/proc/self/fd/" + number).endswith("/lock"): held.append(int(number))
    except FileNotFoundError:
        pass
assert len(held) == 1 and held[0] >= 100, held
open("outputs/made.bin", "w").write("made")
"#;

/// A shell that gives the number 3 or 9 to a file of its own does not let go of the lock that keeps the next run waiting.
#[test]
fn a_program_has_the_lock_of_its_folder_where_scripts_do_not_close_it() {
    let project = Project::new();
    program(&project, "", "", FILES);
    pipeline(&project, "[stages.a]\nkind = \"own.step\"\n");
    project.go("pipelines/own.toml", &[]).ok();
}

#[test]
fn programs_run_as_they_were_accepted_and_not_otherwise() {
    let project = Project::counting();
    let run = || project.run(&["run", "pipelines/two.toml", "--allow-commands=accepted"]);
    run().code(2).says("own.count: new or changed since you accepted it").says("ddpipe allow");
    project.run(&["allow", "pipelines/two.toml", "--list"]).ok().says("own.count: python3 count.py").says(": new");
    project.run(&["allow", "pipelines/two.toml"]).ok().says("now accepted");
    run().ok();
    project.run(&["allow", "pipelines/two.toml", "--list"]).ok().says(": accepted");
    project.file("kinds/own/count/helper.py", "x = 1\n");
    run().code(2).says("new or changed");
    // All are allowed, and the new one is named.
    project.run(&["run", "pipelines/two.toml", "--allow-commands"]).ok().says("not accepted before: own.count");
    let told = project.run(&["run", "pipelines/two.toml", "--allow-commands", "--json"]);
    let warned =
        |event: &serde_json::Value| event["event"] == "warning" && event["text"].to_string().contains("own.count");
    assert!(told.ok().events().iter().any(warned), "programs are told too");
    assert!(project.read("pipelines/two.toml") == TWO);
}
