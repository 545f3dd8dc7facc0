//! What CI systems are told of a run: JUnit, the summary, and the events of `--json`.

use crate::project::{Done, Project};
use nix::sys::signal::Signal;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};
use serde_json::Value;

const EXPECT: &str = "\n[[expect]]\nmetric = \"a.sum\"\nat_least = 2\n\n[[expect]]\nmetric = \"b.sum\"\nat_most = -1\n";

fn junit(project: &Project, file: &str) -> Report {
    let text = project.read(file);
    Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn case<'a>(report: &'a Report, name: &str) -> &'a TestCase {
    let mut cases = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
    cases.find(|case| case.name.as_str() == name).unwrap_or_else(|| panic!("no case {name} in {report:?}"))
}

/// Kind, type, message and text of a failure.
fn failure(case: &TestCase) -> (NonSuccessKind, String, String, String) {
    let TestCaseStatus::NonSuccess { kind, message, ty, description, .. } = &case.status else {
        panic!("{case:?} has not failed")
    };
    let text = |text: &Option<_>| text.as_ref().map_or(String::new(), |text: &quick_junit::XmlString| text.to_string());
    (*kind, text(ty), text(message), text(description))
}

fn skipped(case: &TestCase) -> String {
    let TestCaseStatus::Skipped { message, .. } = &case.status else { panic!("{case:?} was not skipped") };
    message.as_ref().map_or(String::new(), |message| message.to_string())
}

fn is_success(case: &TestCase) -> bool {
    matches!(case.status, TestCaseStatus::Success { .. })
}

fn events<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

/// The last line of every run for programs.
#[track_caller]
fn exits(done: &Done, outcome: &str) {
    let events = done.events();
    let last = events.last().expect("there are events");
    assert_eq!((&last["event"], &last["outcome"]), (&"exit".into(), &outcome.into()));
    assert_eq!(last["code"], done.status.code().unwrap());
    assert!(events.iter().all(|event| event["at"].as_str().is_some_and(|at| at.ends_with('Z') && at.len() == 24)));
}

#[test]
fn junit_has_a_case_for_each_node_and_each_expectation() {
    let project = Project::counting();
    project.file("pipelines/two.toml", format!("{}{EXPECT}", project.read("pipelines/two.toml")));
    let run = |more: &[&str]| project.go("pipelines/two.toml", &[&["--junit", "out/junit.xml"], more].concat());
    run(&["--select", "a"]).ok();
    let report = junit(&project, "out/junit.xml");
    assert!(is_success(case(&report, "a")) && skipped(case(&report, "b")) == "not selected", "{report:?}");
    run(&["--check"]).code(4);
    let report = junit(&project, "out/junit.xml");
    assert_eq!(skipped(case(&report, "a")), "on record");
    assert!(is_success(case(&report, "b")) && is_success(case(&report, "a.sum")));
    assert_eq!(case(&report, "b").classname.as_ref().unwrap().as_str(), "two.b");
    let (kind, ty, message, _) = failure(case(&report, "b.sum"));
    assert_eq!((kind, ty.as_str()), (NonSuccessKind::Failure, "expectation"));
    assert!(message.contains("wanted at most -1") && message.contains("two.toml:"), "{message}");
    let property = |name: &str| {
        let mut properties = report.test_suites[0].properties.iter();
        properties.find(|property| property.name.as_str() == name).map(|property| property.value.to_string())
    };
    assert!(property("run").unwrap().starts_with("20") && property("manifest").unwrap() == "pipelines/two.toml");
    assert_eq!((report.tests, report.failures, report.errors), (4, 1, 0));
}

#[test]
fn a_failure_is_told_with_its_log_and_what_depended_on_it_is_skipped() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"fail\"");
    let done = project.go("pipelines/two.toml", &["--junit", "junit.xml", "--summary", "summary.md"]);
    done.code(1);
    exits(&done, "stage");
    let report = junit(&project, "junit.xml");
    let (kind, ty, message, text) = failure(case(&report, "a"));
    assert_eq!((kind, ty.as_str()), (NonSuccessKind::Failure, "error"));
    assert!(message.contains("status 7") && text.contains("the last words"), "{message}\n{text}");
    assert!(skipped(case(&report, "b")).contains("a failed"));
    let summary = project.read("summary.md");
    assert!(summary.contains("**A stage failed.** Nodes: 1 failed, 1 skipped."), "{summary}");
    assert!(summary.contains("`a`") && summary.contains("the last words"), "{summary}");
}

/// A manifest cannot hold control characters, a program can say them.
#[test]
fn hostile_names_and_words_arrive_as_text() {
    let project = Project::counting();
    let stage = "\n[stages.c]\nkind = \"own.count\"\nmatrix = { fault = [\"<img src=x>&]]>`|@all\", \"fail\"] }\n";
    project.file("pipelines/two.toml", format!("{}{stage}", project.read("pipelines/two.toml")));
    project.edit("kinds/own/count/count.py", "the last words", "the </failure> \\x1b[31mwords\\x07\\x00");
    let reports = ["--keep-going", "--junit", "junit.xml", "--summary", "summary.md"];
    project.go("pipelines/two.toml", &reports).code(1);
    let text = project.read("junit.xml");
    assert!(!text.contains("<img") && !text.contains(['\u{1b}', '\u{7}', '\0']), "{text}");
    let report = junit(&project, "junit.xml");
    let names: Vec<&str> = report.test_suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert!(names.iter().any(|name| name.contains("<img src=x>&]]>`|@all")), "{names:?}");
    let (.., log) = failure(case(&report, "c[fault=fail]"));
    assert!(log.contains("the </failure> \\u{1b}[31mwords\\u{7}"), "{log}");
    assert!(!project.read("summary.md").contains(['\u{1b}', '\u{7}', '\0']));
}

#[test]
fn junit_is_there_when_nothing_could_be_run_and_when_the_run_was_ended() {
    let project = Project::counting();
    let manifest = project.read("pipelines/two.toml");
    project.edit("pipelines/two.toml", "own.count\"\nparams", "own.cuont\"\nparams");
    project.go("pipelines/two.toml", &["--junit", "junit.xml", "--summary", "summary.md"]).code(2);
    let (kind, ty, message, text) = failure(case(&junit(&project, "junit.xml"), "run"));
    assert_eq!((kind, ty.as_str()), (NonSuccessKind::Error, "usage"));
    assert!(message.contains("two.toml:6:8") && text.contains("own.count"), "{message}\n{text}");
    assert!(project.read("summary.md").contains("**Nothing was run"));
    project.file("pipelines/two.toml", manifest.replace("to = 3", "to = 40, pause = 0.1"));
    let mut run = project.start_run("pipelines/two.toml", &["--junit", "junit.xml"]);
    assert!(run.until("\"started\""));
    run.signal(Signal::SIGTERM);
    let done = run.wait();
    assert!(matches!(done.status.code(), Some(143)), "{done:?}");
    exits(&done, "terminated");
    let report = junit(&project, "junit.xml");
    assert_eq!(failure(case(&report, "a")).1, "interrupted");
    let mut run = project.start_run("pipelines/two.toml", &["--junit", "junit.xml"]);
    assert!(run.until("\"started\""));
    run.signal(Signal::SIGKILL);
    run.wait();
    assert!(failure(case(&junit(&project, "junit.xml"), "run")).2.contains("killed"));
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_anything_runs() {
    let project = Project::counting();
    project.file("taken", "");
    for option in ["--junit", "--summary"] {
        let done = project.go("pipelines/two.toml", &[option, "taken/file"]);
        done.code(3).says("could not write taken/file").ran(&[]);
        exits(&done, "cache");
    }
}

#[test]
fn the_summary_has_the_outcome_and_is_added_to_a_file_of_several_steps() {
    let mut project = Project::counting();
    project.file("pipelines/two.toml", format!("{}{EXPECT}", project.read("pipelines/two.toml")));
    let run = |project: &Project| {
        project.go("pipelines/two.toml", &["--summary", "summary.md"]).ok();
    };
    run(&project);
    let summary = project.read("summary.md");
    assert!(
        summary.starts_with("## ddpipe: two\n\n**The run is complete, but expectations were missed.**"),
        "{summary}"
    );
    assert!(summary.contains("| **missed** | `b.sum` |") && summary.contains("| met | `a.sum` |"), "{summary}");
    run(&project);
    assert_eq!(project.read("summary.md").matches("## ddpipe").count(), 1, "written anew");
    project.env("GITHUB_STEP_SUMMARY", "summary.md");
    run(&project);
    assert_eq!(project.read("summary.md").matches("## ddpipe").count(), 2, "added to");
}

#[test]
fn a_program_needs_nothing_but_the_events() {
    let project = Project::counting();
    project.edit("kinds/own/count/stage.toml", "type = \"metrics\"", "type = \"files\", extension = \"txt\"");
    project.edit("kinds/own/count/count.py", "outputs/counted.json", "outputs/counted.bin");
    project.edit("kinds/own/count/stage.toml", "[\"metrics\"]", "[\"files\"]");
    project.file("pipelines/two.toml", format!("{}{EXPECT}", project.read("pipelines/two.toml")));
    let done = project.go("pipelines/two.toml", &["--check"]);
    done.code(4);
    exits(&done, "missed");
    let all = done.events();
    let expectations = events(&all, "expectation");
    assert_eq!(expectations.len(), 2);
    let missed = expectations[1];
    assert_eq!((&missed["metric"], &missed["verdict"]), (&"b.sum".into(), &"missed".into()));
    assert_eq!((&missed["at_most"], missed["value"].is_f64()), (&Value::from(-1.0), true));
    let results = events(&all, "result");
    assert!(results.iter().all(|result| std::path::Path::new(result["path"].as_str().unwrap()).is_file()));
    assert_eq!((results.len(), &results[0]["node"]), (1, &"b".into()));
    // The faults of a manifest, place by place.
    project.edit("pipelines/two.toml", "to = 4", "ot = 4");
    let done = project.go("pipelines/two.toml", &[]);
    done.code(2);
    exits(&done, "usage");
    let all = done.events();
    let faults = events(&all, "diagnostic");
    assert_eq!(faults[0]["place"]["source"], "pipelines/two.toml");
    assert!(faults[0]["place"]["line"].is_u64() && faults[0]["message"].as_str().unwrap().contains("ot"), "{faults:?}");
    assert!(events(&all, "error")[0]["message"].as_str().unwrap().contains("two.toml"));
    let done = project.go("pipelines/two.toml", &["--select", "nothing"]);
    done.code(2);
    exits(&done, "usage");
}
