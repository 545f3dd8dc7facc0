//! `ddpipe logs`: what stages said, while they run and afterwards.

use crate::project::Project;
use nix::sys::signal::Signal;

/// Says lines, then waits for a file where one is named, then ends well or not.
const TALK: &str = r#"name = "own.talk"
help = "Talks"
version = 1
command = ["python3", "talk.py"]
[outputs]
said = { type = "metrics", help = "nothing" }
[params]
lines = { type = "integer", default = 3, help = "how many" }
until = { type = "string", default = "", help = "the file to wait for" }
fail = { type = "boolean", default = false, help = "whether it fails" }
"#;

const TALK_PROGRAM: &str = r#"import json, os, sys, time
params = json.load(open("params.json"))["params"]
for line in range(params["lines"]):
    print(f"word {line}", flush=True)
while params["until"] and not os.path.exists(params["until"]):
    time.sleep(0.01)
print("\x1b[31mlast word", flush=True)
if params["fail"]:
    sys.exit(7)
json.dump({}, open("outputs/said.json", "w"))
"#;

fn project(stages: &str) -> Project {
    let project = Project::new();
    project.file("kinds/own/talk/stage.toml", TALK).file("kinds/own/talk/talk.py", TALK_PROGRAM);
    project.file("pipelines/talk.toml", format!("[pipeline]\nname = \"talk\"\nkinds = [\"../kinds\"]\n{stages}"));
    project
}

const ONE: &str = "[stages.one]\nkind = \"own.talk\"\n";

#[test]
fn what_a_stage_said_is_there_whether_it_failed_or_not() {
    let project = project(&format!("{ONE}params = {{ fail = true }}\n[stages.two]\nkind = \"own.talk\"\n"));
    std::fs::create_dir(project.path("empty")).unwrap();
    project.run(&["logs", "one", "--cache", "empty"]).code(1).says("no run has run one");
    project.go("pipelines/talk.toml", &["--keep-going"]).code(1);
    // With the manifest and without.
    for args in [&["logs", "pipelines/talk.toml", "one"][..], &["logs", "one"]] {
        let logs = project.run(args);
        logs.ok().says("word 0").says("word 2").says("(failed)").says("never ran");
        assert!(logs.out.contains("\\u{1b}[31mlast word"), "{}", logs.out);
    }
    project.run(&["logs", "two"]).ok().says("word 1").says("(done in").is_silent_about("failed");
    project.run(&["logs", "t*"]).ok().says("two, run").is_silent_about("one, run");

    // It is on record, and its words are those of the run that made it.
    let first = std::fs::read_dir(project.path(".ddpipe/runs")).unwrap().flatten();
    let first = first.map(|run| run.file_name().into_string().unwrap()).find(|name| name.contains('-')).unwrap();
    project.edit("pipelines/talk.toml", "fail = true", "lines = 1");
    project.go("pipelines/talk.toml", &[]).ok().ran(&["one"]);
    project.run(&["logs", "two"]).ok().says(&first).says("word 2");
    project.run(&["logs", "one"]).ok().says("word 0").is_silent_about("word 1").is_silent_about(&first);
    project.run(&["logs", "one", "--run", &first]).ok().says("word 2").says("(failed)");
    project.run(&["logs", "one", "--run", "20"]).code(2).says("may be any of the runs");
    project.run(&["logs", "one", "--run", "1999"]).code(2).says("there is no run");
    project.run(&["logs", "three", "--run", &first]).code(1).says("has told nothing of three");
}

#[test]
fn a_running_stage_is_followed_to_its_end() {
    let project = project("");
    let gate = project.path("gate");
    // More lines than the journal takes down at once.
    let stage = format!("{ONE}params = {{ lines = 450, until = {:?} }}\n", gate.display().to_string());
    project.file("pipelines/talk.toml", format!("{}{stage}", project.read("pipelines/talk.toml")));
    let mut run = project.start_run("pipelines/talk.toml", &[]);
    assert!(run.until("word 449"));
    let so_far = project.run(&["logs", "one"]);
    so_far.ok().says("word 0").says("word 449").says("(is running)").is_silent_about("last word");
    let mut follows = project.start(&["logs", "one", "--follow"]);
    assert!(follows.until("word 449"));
    project.file("gate", "");
    let told = follows.wait();
    told.ok().says("last word").says("(done in");
    assert_eq!(told.out.matches("word 449\n").count(), 1, "{}", told.out);
    run.wait().ok();
    let kept = project.run(&["logs", "one"]);
    kept.ok().says("word 199").says("lines were not kept").says("word 449");
    let folder = project.path(".ddpipe/runs").read_dir().unwrap().flatten().find(|run| run.path().is_dir()).unwrap();
    assert!(!folder.path().join("live.jsonl").exists());
    // Nothing goes on any more: what is there is printed.
    project.run(&["logs", "one", "--follow"]).ok().says("word 449");
}

#[test]
fn the_words_of_a_run_that_was_killed_are_there() {
    let project = project("");
    let stage = format!("{ONE}params = {{ lines = 250, until = \"/nowhere/to/be/found\" }}\n");
    project.file("pipelines/talk.toml", format!("{}{stage}", project.read("pipelines/talk.toml")));
    let mut run = project.start_run("pipelines/talk.toml", &[]);
    assert!(run.until("word 249"));
    run.signal_group(Signal::SIGKILL);
    run.wait();
    project.run(&["logs", "one"]).ok().says("word 249").says("did not end");
    project.run(&["logs", "pipelines/talk.toml"]).code(2).says("name a node behind the manifest");
}

#[test]
fn verbose_runs_show_what_stages_say() {
    let project = project(ONE);
    let run = ["run", "pipelines/talk.toml", "--allow-commands", "--force", "one"];
    project.run(&run).ok().is_silent_about("word 1");
    project.run(&[&run[..], &["--verbose"]].concat()).ok().says("one: word 1").says("one: \\u{1b}[31mlast word");
}
