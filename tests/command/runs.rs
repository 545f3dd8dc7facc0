//! `ddpipe runs`: what a run leaves of itself, how runs are listed, looked at, compared, kept and removed.

use crate::project::Project;
use nix::sys::signal::Signal;
use serde_json::Value;

/// The one run of a list whose field has this value.
fn listed(project: &Project) -> Vec<Value> {
    let list = project.run(&["runs", "--json", "--limit", "0"]);
    serde_json::from_str(&list.ok().out).unwrap()
}

fn outcome(project: &Project, run: &Value) -> Value {
    let run = run["run"].as_str().unwrap();
    serde_json::from_str(&project.read(&format!(".ddpipe/runs/{run}/outcome.json"))).unwrap()
}

#[test]
fn a_run_leaves_its_outcome_also_when_it_fails_or_does_not_begin() {
    let project = Project::counting();
    let expect = "\n[[expect]]\nmetric = \"b.sum\"\nat_least = 1e6\n";
    project.file("pipelines/two.toml", project.read("pipelines/two.toml") + expect);
    project.go("pipelines/two.toml", &["--check"]).code(4);
    let first = outcome(&project, &listed(&project)[0]);
    assert_eq!((&first["exit"], &first["counts"]["ran"]), (&4.into(), &2.into()));
    assert_eq!(first["nodes"]["b"]["status"], "ran");
    assert_eq!(first["nodes"]["b"]["reasons"][0], "never ran");
    assert!(first["nodes"]["b"]["key"].as_str().unwrap().len() == 64);
    assert!(first["nodes"]["b"]["metrics"]["sum"].as_f64().unwrap() > 0.0);
    let expected = &first["expectations"][0];
    assert_eq!((&expected["met"], &expected["wanted"]), (&false.into(), &"at least 1000000".into()));

    project.go("pipelines/two.toml", &["--set", "stages.b.params.fault=fail"]).code(1);
    let second = outcome(&project, &listed(&project)[0]);
    assert_eq!((&second["exit"], &second["nodes"]["b"]["status"]), (&1.into(), &"failed".into()));
    let failure = &second["nodes"]["b"]["failure"];
    assert!(failure["log"].to_string().contains("the last words"), "{failure}");
    let show = project.run(&["runs", "show", "last"]);
    show.ok().says("FAILED b").says("the last words").says("with a failed stage (exit code 1)").says("1 on record: a");

    let source = "\n[sources.raw]\npath = \"raw\"\n[sources.raw.files.\"missing.bin\"]\n";
    project.file("pipelines/two.toml", project.read("pipelines/two.toml") + source);
    project.edit("pipelines/two.toml", "params = { to = 3 }", "inputs = { file = \"source:raw/missing.bin\" }");
    project.go("pipelines/two.toml", &[]).code(2);
    let third = outcome(&project, &listed(&project)[0]);
    assert_eq!(third["exit"], 2);
    assert!(third["faults"][0].as_str().unwrap().contains("missing.bin"), "{third}");
    project.run(&["runs"]).ok().says("did not begin");
    project.run(&["runs", "show", "last"]).ok().says("missing.bin").says("exit code 2");
}

#[test]
fn a_run_at_work_is_told_from_one_that_died() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "to = 400, pause = 0.05");
    let mut run = project.start_run("pipelines/two.toml", &[]);
    assert!(run.until("\"node\":\"b\""));
    let mut said = project.run(&["runs"]).ok().out.clone();
    for _ in 0..100 {
        if said.contains("1 of 2 done") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        said = project.run(&["runs"]).ok().out.clone();
    }
    assert!(said.contains("running for ") && said.contains(" on ") && said.contains("1 of 2 done"), "{said}");
    assert_eq!(listed(&project)[0]["state"], "running");
    project.run(&["runs", "rm", "last", "--force"]).code(2).says("is at work");
    run.signal_group(Signal::SIGKILL);
    run.wait();
    project.run(&["runs"]).ok().says("did not end, 1 of 2 done").is_silent_about("running");
    project.run(&["runs", "show", "last"]).ok().says("did not end");
    project.run(&["runs", "rm", "last"]).ok().says("removed ");
    project.run(&["runs"]).ok().says("no runs");
}

#[test]
fn an_interrupted_run_has_an_outcome_too() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "to = 400, pause = 0.05");
    let mut run = project.start_run("pipelines/two.toml", &[]);
    assert!(run.until("\"node\":\"b\""));
    run.signal(Signal::SIGTERM);
    run.wait();
    let outcome = outcome(&project, &listed(&project)[0]);
    assert_eq!(outcome["nodes"]["b"]["status"], "interrupted");
    project.run(&["runs", "show", "last"]).ok().says("interrupted b");
}

#[test]
fn the_list_shows_what_differs_and_folds_what_repeats() {
    let project = Project::counting();
    for to in ["3", "5", "7"] {
        project.go("pipelines/two.toml", &["--set", &format!("stages.b.params.to={to}")]).ok();
    }
    for _ in 0..2 {
        project.go("pipelines/two.toml", &["--set", "stages.b.params.to=5"]).ok().ran(&[]);
    }
    let list = project.run(&["runs"]);
    list.ok().says("b.to").says("and 2 times more, nothing to do").is_silent_about("{").is_silent_about("did not end");
    let lines: Vec<&str> = list.out.lines().collect();
    assert_eq!(lines.len(), 5, "a head, three runs and one line for what repeats:\n{}", list.out);
    assert!(lines[1].ends_with('7') && lines[2].ends_with('5') && lines[4].ends_with('3'), "{}", list.out);
    let json = listed(&project);
    assert_eq!(json[1]["differing"]["b.to"], "5");
    assert_eq!(json[1]["repeated_by"].as_array().unwrap().len(), 2);
    assert_eq!(json[1]["set"][0], "stages.b.params.to=5");
    project.run(&["runs", "--limit", "1"]).ok().says("and 2 older");
    project.run(&["runs", "other"]).ok().says("no runs of other");
    project.file(
        "pipelines/one.toml",
        "[pipeline]\nname = \"one\"\nkinds = [\"../kinds\"]\n[stages.c]\nkind = \"own.count\"\n",
    );
    project.go("pipelines/one.toml", &[]).ok();
    let one = project.run(&["runs", "one"]);
    assert_eq!(one.ok().out.lines().count(), 2, "{}", one.out);
}

#[test]
fn a_run_is_shown_with_the_line_that_repeats_it() {
    let mut project = Project::counting();
    project.env("DDPIPE_VAR_FAR", "6");
    project.edit("pipelines/two.toml", "[stages.a]", "[vars]\nfar = 4\n[stages.a]");
    project.edit("pipelines/two.toml", "to = 4", "to = \"${far}\"");
    project.go("pipelines/two.toml", &["--set", "stages.a.params.to=5"]).ok();
    let show = project.run(&["runs", "show", "last"]);
    show.ok().says("2 ran").says("never ran").says("--set stages.a.params.to=5").says("DDPIPE_VAR_FAR=6");
    show.says("not in a git repository").says("b: sum ").says("ddpipe run --from-run ");
    let id = listed(&project)[0]["run"].as_str().unwrap().to_string();
    project.run(&["runs", "show", &id[..17], "--json"]).ok().says("\"outcome\"").says("\"started\"");
    project.run(&["runs", "show", "1999"]).code(2).says("there is no run \"1999\"");
    project.run(&["run", "--from-run", "last", "--allow-commands"]).ok().says("all 2 nodes are on record");
}

#[test]
fn two_runs_are_compared() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.edit("pipelines/two.toml", "to = 3", "to = 5");
    project.go("pipelines/two.toml", &[]).ok();
    let list = listed(&project);
    let [b, a] = [0, 1].map(|at: usize| list[at]["run"].as_str().unwrap().to_string());
    let compared = project.run(&["runs", "compare", &a, "last"]);
    compared.ok().says("a.to").says("-params = { to = 3 }").says("+params = { to = 5 }");
    compared.says("a: to: 3 (default) -> 5").says("b: input before changed (a.counted)").says("sum");
    let json: Value = serde_json::from_str(&project.run(&["runs", "compare", &a, &b, "--json"]).ok().out).unwrap();
    assert_eq!(json["params"][0], serde_json::json!({ "what": "a.to", "a": "3", "b": "5" }));
    assert_eq!(json["results"].as_array().unwrap().len(), 2);
    assert!(json["results"][0]["b"].as_f64() > json["results"][0]["a"].as_f64());
    project.run(&["runs", "compare", &a, &a]).ok().says("no differences");
}

#[test]
fn a_kept_run_has_a_name_of_its_own_and_gc_leaves_its_results() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    project.run(&["runs", "keep", "last", "--as", "paper-fig3"]).ok().says("is kept as paper-fig3");
    project.go("pipelines/two.toml", &["--set", "stages.a.params.to=9"]).ok();
    project.run(&["runs", "keep", "last", "--as", "paper-fig3"]).code(2).says("kept as \"paper-fig3\" already");
    for wrong in ["last", "2026", "a b", ""] {
        project.run(&["runs", "keep", "last", "--as", wrong]).code(2);
    }
    project.run(&["runs"]).ok().says("paper-fig3");
    project.run(&["cache", "gc", "--max-size", "0", "--keep-runs", "0", "--runs", "0", "--yes"]).ok();
    let left = listed(&project);
    assert_eq!((left.len(), &left[0]["name"]), (1, &"paper-fig3".into()));
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.run(&["runs", "show", "paper-fig3"]).ok().says("kept as").says("paper-fig3");
    project.run(&["plan", "--from-run", "paper-fig3"]).ok().says("2 on record");
    project.run(&["runs", "rm", "paper-fig3"]).code(2).says("is kept").says("--force");
    project.run(&["runs", "release", "paper-fig3"]).ok();
    project.run(&["cache", "gc", "--max-size", "0", "--keep-runs", "0", "--yes"]).ok();
    project.run(&["plan", "pipelines/two.toml"]).ok().says("1 to run");
    // What it reached is gone: keeping it again says so, and how to get it back.
    let list = listed(&project);
    let id = list.last().unwrap()["run"].as_str().unwrap();
    project.run(&["runs", "keep", id]).ok().says("2 of its 2 results are not in the cache").says("--from-run");
    project.run(&["runs", "rm", id, "--force"]).ok();
}

/// A run of a version that wrote no outcome.
#[test]
fn an_older_run_is_listed_by_its_journal() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    let id = listed(&project)[0]["run"].as_str().unwrap().to_string();
    std::fs::remove_file(project.path(&format!(".ddpipe/runs/{id}/outcome.json"))).unwrap();
    let run = &listed(&project)[0];
    assert_eq!((&run["state"], &run["ran"]), (&"ended".into(), &2.into()));
    project.run(&["runs", "show", &id]).ok().says("--from-run");
    // Damage of any kind is no reason to list nothing.
    project
        .file(&format!(".ddpipe/runs/{id}/outcome.json"), "{ \"counts\": 7")
        .file(&format!(".ddpipe/runs/{id}/start.json"), "[]");
    project.run(&["runs"]).ok().says(&id);
    project.run(&["runs", "show", &id]).ok().says("does not say how");
}
