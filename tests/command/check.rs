//! `ddpipe check`, and what the commands that name nodes mean by `--select` and `--force`.

use crate::project::{Project, TWO};
use serde_json::Value;
use std::io::Write as _;
use std::process::Stdio;

/// Three nodes: `a`, then `b`, and `c` beside it, of the axis `to`.
fn three() -> String {
    format!("{TWO}\n[stages.c]\nkind = \"own.count\"\nmatrix = {{ to = [5, 6] }}\ninputs = {{ before = \"a\" }}\n")
}

#[test]
fn several_manifests_are_checked_and_each_result_is_said() {
    let project = Project::counting();
    project.file("pipelines/wrong.toml", TWO.replace("to = 3", "too = 3"));
    project.run(&["check", "pipelines/two.toml"]).ok().says("two: ok, 2 nodes, 0 sources");
    let both = project.run(&["check", "pipelines/wrong.toml", "pipelines/two.toml"]);
    both.code(2)
        .says("pipelines/wrong.toml: 1 error")
        .says("pipelines/two.toml: ok, 2 nodes")
        .says("no parameter \"too\"");
    project.run(&["check"]).code(2).says("MANIFEST");
}

#[test]
fn a_manifest_may_come_on_standard_input() {
    let project = Project::counting();
    let mut command = project.command(&["check", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The kinds' folder is looked for from the current folder.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(TWO.replace("../kinds", "kinds").replace("to = 3", "to = 0.5").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("<stdin>:7:17: parameter \"to\" of own.count: expected an integer"), "{said}");
}

#[test]
fn every_profile_is_checked_on_request() {
    let project = Project::counting();
    let profiles = "\n[profiles.short.stages.a.params]\nto = 1\n[profiles.wrong.stages.a.params]\nto = \"x\"\n";
    project.file("pipelines/two.toml", format!("{TWO}{profiles}"));
    project.run(&["check", "pipelines/two.toml"]).ok();
    let all = project.run(&["check", "pipelines/two.toml", "--all-profiles"]);
    all.code(2).says("two.toml: ok").says("two.toml (short): ok").says("two.toml (wrong): 1 error");
    let listed = project.run(&["check", "pipelines/two.toml", "--list"]);
    listed.ok().says("--profile short").says("stages.a.params.to = 1");
}

#[test]
fn variables_are_listed_with_their_values() {
    let project = Project::counting();
    project.file("pipelines/two.toml", format!("{}\n[vars]\nfar = 3\n", TWO.replace("to = 3", "to = \"${far}\"")));
    project.run(&["check", "pipelines/two.toml", "--list"]).ok().says("--set vars.far=3");
    let json = project.run(&["check", "pipelines/two.toml", "--list", "--json"]);
    let outlines: Value = serde_json::from_str(&json.ok().out).unwrap();
    assert_eq!(outlines[0]["vars"]["far"], "3");
}

#[test]
fn what_was_found_is_json_with_file_line_and_column() {
    let project = Project::counting();
    project.file("pipelines/wrong.toml", TWO.replace("to = 3", "too = 3"));
    let json = project.run(&[
        "check",
        "pipelines/two.toml",
        "pipelines/wrong.toml",
        "--json",
        "--set",
        "stages.b.params.to=5",
    ]);
    let found: Value = serde_json::from_str(&json.code(2).out).unwrap();
    assert_eq!((&found[0]["ok"], &found[0]["nodes"]), (&Value::from(true), &Value::from(2)));
    let fault = &found[1]["diagnostics"][0];
    let place = &fault["place"];
    assert_eq!((&place["line"], &place["column"]), (&Value::from(7), &Value::from(12)), "{fault}");
    assert_eq!(place["source"], "pipelines/wrong.toml");
    assert!(fault["message"].as_str().unwrap().contains("no parameter \"too\""), "{fault}");
    // `run --json` tells the same in the same form.
    let events = project.run(&["run", "pipelines/wrong.toml", "--json"]);
    let told = events.code(2).events().into_iter().find(|event| event["event"] == "diagnostic").unwrap();
    for (field, value) in fault.as_object().unwrap() {
        assert_eq!(&told[field], value, "{field}");
    }
    let set = project.run(&["check", "pipelines/two.toml", "--json", "--set", "to=5"]);
    let found: Value = serde_json::from_str(&set.code(2).out).unwrap();
    let fault = &found[0]["diagnostics"][0];
    assert_eq!(fault["place"], serde_json::json!({ "source": "--set", "argument": "to=5" }));
    assert_eq!(fault["help"], "there are stages.a.params.to and stages.b.params.to");
}

#[test]
fn a_selection_of_nothing_has_its_place_on_the_command_line() {
    let project = Project::counting();
    project.file("pipelines/two.toml", three());
    let picks = ["--select", "c[to=7]", "--force", "nosuch"];
    let json = project.run(&[&["check", "pipelines/two.toml", "--json"], picks.as_slice()].concat());
    let found: Value = serde_json::from_str(&json.code(2).out).unwrap();
    let faults = found[0]["diagnostics"].as_array().unwrap();
    for (option, argument) in [("--select", "c[to=7]"), ("--force", "nosuch")] {
        let fault = faults.iter().find(|fault| fault["place"]["source"] == option).unwrap();
        assert_eq!(fault["place"]["argument"], argument);
        assert!(!fault["message"].as_str().unwrap().contains('\n'), "{fault}");
        assert_eq!(fault["help"].is_string(), option == "--force", "{fault}");
    }
    project.file("pipelines/other.toml", project.read("pipelines/two.toml").replace("stages.c]", "stages.d]"));
    let both = project.run(&["check", "pipelines/two.toml", "pipelines/other.toml", "--select", "c"]);
    both.code(2).says("in pipelines/other.toml:").says("--select c: no node matches");
    both.is_silent_about("in pipelines/two.toml:");
}

#[test]
fn every_command_refuses_a_selection_of_nothing() {
    let project = Project::counting();
    project.file("pipelines/two.toml", three());
    for command in ["check", "graph", "plan", "run"] {
        let said = |option: &str, node: &str| project.run(&[command, "pipelines/two.toml", option, node]);
        said("--select", "nothing*").code(2).says("--select nothing*: no node matches");
        said("--force", "d").code(2).says("--force d: no node matches");
        said("--select", "c[to=7]").code(2).says("axis \"to\" has no value \"7\"").says("it has 5, 6");
        said("--select", "c[two=5]").code(2).says("stage \"c\" has no axis \"two\"; did you mean \"to\"?");
        said("--select", "!a").code(2).says("nothing is left");
        said("--select", "a!").code(2).says("cannot be part of a stage's name");
    }
    for command in ["why", "show"] {
        project.run(&[command, "pipelines/two.toml", "c[to=7]"]).code(2).says("it has 5, 6");
        project.run(&[command, "pipelines/two.toml", "a", "--select", "nothing*"]).code(2).says("no node matches");
    }
}

#[test]
fn a_selection_goes_on_from_a_node_or_leaves_nodes_out() {
    let project = Project::counting();
    project.file("pipelines/two.toml", three());
    let drawn = |picks: &[&str]| {
        let picks = picks.iter().flat_map(|pick| ["--select", pick]);
        let args: Vec<&str> = ["graph", "pipelines/two.toml"].into_iter().chain(picks).collect();
        let done = project.run(&args);
        done.ok().out.lines().map(|line| line.split(' ').next().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(drawn(&["b"]), ["a", "b"]);
    assert_eq!(drawn(&["+b"]), ["a", "b"]);
    assert_eq!(drawn(&["a+"]), ["a", "b", "c[to=5]", "c[to=6]"]);
    assert_eq!(drawn(&["!b"]), ["a", "c[to=5]", "c[to=6]"]);
    assert_eq!(drawn(&["a+", "!c[to=5]"]), ["a", "b", "c[to=6]"]);
    assert_eq!(drawn(&["c", "!b"]), ["a", "c[to=5]", "c[to=6]"]);
    let mermaid = project.run(&["graph", "pipelines/two.toml", "--select", "b", "--format", "mermaid"]);
    mermaid.ok().says("n0 --> n1").is_silent_about("c[to");
    project.go("pipelines/two.toml", &["--select", "!c"]).ok().ran(&["a", "b"]);
    project.go("pipelines/two.toml", &["--select", "b", "--force", "a+"]).ok().ran(&["a", "b"]);
    project.run(&["plan", "pipelines/two.toml", "--select", "!b"]).ok().says("c[to=5]").is_silent_about("b ");
}

#[test]
fn expectations_of_nodes_that_were_not_selected_are_not_checked() {
    let project = Project::counting();
    let expect = |node: &str| format!("\n[[expect]]\nmetric = \"{node}.sum\"\nat_least = 1000\n");
    project.file("pipelines/two.toml", format!("{}{}{}", three(), expect("b"), expect("c")));
    let run = |more: &[&str]| {
        let args: Vec<&str> =
            ["run", "pipelines/two.toml", "--allow-commands", "-q"].iter().chain(more).copied().collect();
        project.run(&args)
    };
    let reports = ["--select", "a", "--check", "--junit", "junit.xml", "--summary", "summary.md"];
    run(&reports).ok().says("expect: 3 not checked").is_silent_about("MISSED");
    // Programs are told of each, with the reason.
    let junit = project.read("junit.xml");
    assert!(junit.contains("not selected and not on record, wanted at least 1000"), "{junit}");
    assert_eq!(project.read("summary.md").matches("| not checked |").count(), 3);
    let events = project.run(&["run", "pipelines/two.toml", "--allow-commands", "--json", "--select", "a"]).events();
    let told: Vec<&Value> = events.iter().filter(|event| event["event"] == "expectation").collect();
    assert_eq!(
        told.iter().map(|it| it["metric"].as_str().unwrap()).collect::<Vec<_>>(),
        ["b.sum", "c[to=5].sum", "c[to=6].sum"]
    );
    assert!(told.iter().all(|it| it["verdict"] == "not_checked" && it["why"] == "not selected and not on record"));
    run(&["--select", "a"]).ok().is_silent_about("MISSED");
    run(&["--select", "b", "--check"]).code(4).says("expect b.sum").says("MISSED").says("expect: 2 not checked");
    // Those that an earlier run made are on record, and are checked.
    let recorded = run(&["--select", "c[to=5]", "--check"]);
    recorded.code(4).says("expect b.sum").says("expect c[to=5].sum").says("expect: 1 not checked: its node");
    run(&["--check"]).code(4).says("expect c[to=6].sum").is_silent_about("not checked");
    // All that is asked for is missed, whether it ran or not.
    project.edit("pipelines/two.toml", "to = 3", "to = 3, fault = \"fail\"");
    run(&["--check"]).code(1).says("expect b.sum: not measured");
}

/// Two students and a search, on sample digits.
const STUDIES: &str = r#"[pipeline]
name = "studies"
[stages.digits]
kind = "sample.digits"
[stages.set]
kind = "decode.idx"
inputs = { images = "digits.train_images", labels = "digits.train_labels" }
[stages.start]
kind = "init.synthetic"
inputs = { real = "set" }
params = { ipc = 1 }
[stages.student]
kind = "evaluate.classifier"
matrix = { seed = [0, 1] }
inputs = { synthetic = "start", test = "set" }
[stages.search]
kind = "search.candidates"
matrix = { part = [0, 1], lr = [0.1, 0.2] }
inputs = { train = "set", test = "set" }
params = { parts = 2 }
"#;

#[test]
fn what_a_ranking_or_a_search_would_refuse_is_found_before_the_hours() {
    let project = Project::new();
    let check = |stage: &str| {
        project.file("pipelines/studies.toml", format!("{STUDIES}{stage}"));
        project.run(&["check", "pipelines/studies.toml"])
    };
    let ranking = |hard: &str, rest: &str| {
        let all = "{ gather = \"student\", over = [\"seed\"] }";
        check(&format!(
            "[stages.scores]\nkind = \"evaluate.ranking\"\ninputs = {{ whole = {all}, random = {all}, hard = {hard} }}\n{rest}"
        ))
    };
    ranking("{ gather = \"student\", over = [\"seed\"] }", "").ok();
    let unfolded = ranking("{ gather = \"student\" }", "");
    unfolded.code(2).says("input \"hard\" of evaluate.ranking: it holds 2 results that differ in \"seed\" (0, 1)");
    unfolded.says("fold it with over = [\"seed\"], or name it in tuned");
    ranking("{ gather = \"student\" }", "params = { tuned = [\"seed\"] }").ok();
    let proxies = |whole: &str, proxies: &str| {
        check(&format!(
            "[stages.nas]\nkind = \"search.nas_proxy\"\ninputs = {{ whole = {whole}, proxies = {proxies} }}\n"
        ))
    };
    proxies("{ gather = \"search[lr=0.1]\" }", "{ gather = \"search[lr=0.2]\" }").ok();
    let two = proxies("{ gather = \"search\" }", "{ gather = \"search\" }");
    two.code(2).says("input \"whole\" of search.nas_proxy: it holds 4 results that differ in \"lr\"");
    two.says("or gather one of them");
    let other = proxies("{ gather = \"search[lr=0.1]\" }", "{ gather = \"student\" }");
    other.code(2).says("input \"proxies\" of search.nas_proxy: stage \"student\" (evaluate.classifier) has no metric");
}

#[test]
fn inputs_that_need_each_other_are_connected_both_or_none() {
    let project = Project::new();
    let all = "{ gather = \"student\", over = [\"seed\"] }";
    let inputs = ["whole", "hard", "random", "own_plain"].map(|name| format!("{name} = {all}")).join(", ");
    let stage = format!("[stages.scores]\nkind = \"evaluate.ranking\"\ninputs = {{ {inputs} }}\n");
    project.file("pipelines/studies.toml", format!("{STUDIES}{stage}"));
    let said = project.run(&["check", "pipelines/studies.toml"]);
    said.code(2).says("input \"own_plain\" of evaluate.ranking is connected, and \"random_plain\" is not");
}

#[test]
fn networks_and_settings_that_do_not_fit_are_found_before_the_hours() {
    let project = Project::new();
    let colour = r#"[pipeline]
name = "colour"
[sources.own]
path = "data"
files."images/" = {}
[stages.set]
kind = "decode.folder"
inputs = { images = "source:own/images/" }
params = { resize = 28 }
[stages.start]
kind = "init.synthetic"
inputs = { real = "set" }
params = { ipc = 1 }
[stages.student]
kind = "evaluate.classifier"
inputs = { synthetic = "start", test = "set.test" }
params = { arch = "vgg11" }
"#;
    project.file("pipelines/colour.toml", colour);
    let small = project.run(&["check", "pipelines/colour.toml"]);
    small.code(2).says("\"vgg11\" needs images of at least 32x32").says("have 28x28");
    project.edit("pipelines/colour.toml", "resize = 28", "resize = 28, channels = 1");
    project.run(&["check", "pipelines/colour.toml"]).ok();

    let stage = |params: &str| {
        let stage =
            "[stages.distill]\nkind = \"distill.frepo\"\ninputs = { real = \"set\", start = \"start\" }\n".to_string();
        project.file("pipelines/studies.toml", format!("{STUDIES}{stage}params = {{ {params} }}\n"));
        project.run(&["check", "pipelines/studies.toml"])
    };
    stage("arch = \"convnet\"").ok();
    let doubled = stage("arch = \"lenet\"");
    doubled.code(2).says("parameter \"doubling\" of distill.frepo: arch = \"lenet\" has to have it false");
    doubled.says("true by default").says("write doubling = false");
    stage("arch = \"lenet\", doubling = true").code(2).says("write doubling = false");
    stage("arch = \"lenet\", doubling = false").ok();
}
