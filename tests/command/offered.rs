//! What the command offers to whoever writes a manifest: kinds by group and by word, a project's own kinds, their schema,
//! completion in a shell, and words for a command line that cannot be read.

use crate::project::{COUNT_STAGE, Project};
use serde_json::Value;

#[test]
fn kinds_are_listed_by_group_and_found_by_a_word() {
    let project = Project::new();
    let all = project.run(&["stages"]);
    all.ok().says("\ndistill\n  distill.datadam").says("\nreport\n");
    let group = project.run(&["stages", "distill"]);
    group.ok().says("distill.dm");
    assert!(!group.out.contains("train.classifier"), "{}", group.out);
    project.run(&["stages", "coreset"]).ok().says("select.coreset");
    project.run(&["stages", "distil"]).ok().says("distill.dm");
    project.run(&["stages", "dsitill"]).code(2).says("did you mean \"distill\"?");
    let json: Value = serde_json::from_str(&project.run(&["stages", "report", "--json"]).ok().out).unwrap();
    assert!(json.as_array().unwrap().iter().all(|kind| kind["name"].as_str().unwrap().starts_with("report.")));
}

#[test]
fn a_project_s_own_kinds_are_described_and_part_of_the_schema() {
    let project = Project::counting();
    let described = |args: &[&str]| {
        let said = project.run(&[&["stages", "own.count"][..], args].concat());
        said.ok().says("own.count (version 1)").says("runs: python3 count.py in ").says("how far");
    };
    described(&["--kinds", "kinds"]);
    described(&["--manifest", "pipelines/two.toml"]);
    // Those of the project here need no option.
    described(&[]);
    project.run(&["stages"]).ok().says("\nown\n  own.count");
    let schema = |args: &[&str]| {
        let said = project.run(&[&["schema"][..], args].concat());
        serde_json::from_str::<Value>(&said.ok().out).unwrap()
    };
    for args in [&["pipelines/two.toml"][..], &["--kinds", "kinds"], &[]] {
        let to = &schema(args)["$defs"]["params:own.count"]["properties"]["to"];
        assert_eq!(to["default"], 3, "{args:?}");
    }
    project.run(&["stages", "own.count", "--kinds", "none"]).code(2).says("none: there is no such folder");
    project.run(&["stages", "--manifest", "none.toml"]).code(2).says("none.toml");
}

#[test]
fn a_manifest_at_fault_still_says_which_kinds_it_has() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "too = 4");
    project.run(&["check", "pipelines/two.toml"]).code(2);
    project.run(&["stages", "own.count", "--manifest", "pipelines/two.toml"]).ok().says("how far");
    // A kind at fault: named when it was asked for, and in nobody's way else.
    project.file("kinds/own/count/stage.toml", COUNT_STAGE.replace("type = \"integer\"", "type = \"whole\""));
    project
        .run(&["stages", "own.count", "--manifest", "pipelines/two.toml"])
        .code(2)
        .says("kinds/own/count/stage.toml:12");
    project.run(&["stages", "distill.dm"]).ok();
}

#[test]
fn what_a_declaration_says_cannot_command_a_terminal() {
    let project = Project::counting();
    project.file("kinds/own/count/stage.toml", COUNT_STAGE.replace("\"Counts\"", "\"Counts \\u001b[2J\""));
    for args in [&["stages"][..], &["stages", "own.count"]] {
        let said = project.run(args);
        assert!(said.ok().out.contains("Counts \\u{1b}[2J") && !said.out.contains('\u{1b}'), "{}", said.out);
    }
}

/// What bash would be offered for the last of these words.
fn offered(project: &Project, words: &[&str]) -> Vec<String> {
    let mut command = project.command(&[&["--", "ddpipe"][..], words].concat());
    let index = words.len().to_string();
    command.env("DDPIPE_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_COMPLETE_COMP_TYPE", "9");
    command.env("_CLAP_COMPLETE_SPACE", "false").env("_CLAP_IFS", "\n");
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().lines().map(String::from).collect()
}

#[test]
fn a_shell_completes_what_the_manifest_has() {
    let project = Project::counting();
    project.edit(
        "pipelines/two.toml",
        "[stages.a]",
        "[vars]\nhow_far = 3\n[profiles.small]\nvars = { how_far = 1 }\n[stages.a]",
    );
    project.edit("pipelines/two.toml", "{ to = 3 }", "{ to = \"${how_far}\" }\nmatrix = { seed = [0, 1] }");
    let manifest = "pipelines/two.toml";
    project.run(&["check", manifest]).ok();
    for (words, wanted) in [
        (&["run", manifest, "--select", ""][..], "a[seed=0]"),
        (&["run", manifest, "--select", ""][..], "b"),
        (&["run", manifest, "--set", "vars."][..], "vars.how_far="),
        (&["run", manifest, "--set", "stages.b."][..], "stages.b.params.pause="),
        (&["run", manifest, "--profile", ""][..], "small"),
        (&["show", manifest, "b"][..], "b[seed=1]"),
        (&["stages", "own."][..], "own.count"),
        (&["run", "pipelines/"][..], "pipelines/two.toml"),
        (&["co"][..], "completions"),
    ] {
        let offered = offered(&project, words);
        assert!(offered.iter().any(|word| word.trim_end() == wanted), "{words:?}: {offered:?}");
    }
    assert!(offered(&project, &["run", "none.toml", "--select", ""]).is_empty());
    project.file(manifest, "not toml [");
    assert!(offered(&project, &["run", manifest, "--select", ""]).is_empty());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        project.run(&["completions", shell]).ok().says("DDPIPE_COMPLETE");
    }
}

#[test]
fn a_command_line_that_cannot_be_read_is_answered_with_a_way_out() {
    let project = Project::counting();
    project.run(&[]).code(2).says("Usage: ddpipe").says("a command is needed, for example `ddpipe run");
    project.run(&["status"]).code(2).says("see `ddpipe plan`");
    project.run(&["rnu"]).code(2).says("run");
    let manifest = project.read("pipelines/two.toml");
    project.file("vars.toml", format!("{manifest}\n[vars]\nipc = 1\n"));
    let bogus = project.run(&["run", "vars.toml", "--bogus", "10"]);
    bogus.code(2).says("unexpected argument '--bogus'").is_silent_about("vars.bogus");
    let unknown = project.run(&["run", "vars.toml", "--ipc", "10"]);
    unknown.code(2).says("unexpected argument '--ipc'").says("--set vars.ipc=VALUE");
    assert!(!unknown.err.contains("as a value"), "{}", unknown.err);
    project.run(&["run", "pipelines/two.toml", "--slect", "a"]).code(2).says("--select");
    for command in ["init", "run", "plan", "why", "check", "show", "stages", "schema", "completions"] {
        project.run(&[command, "--help"]).ok().says("Examples:").says(&format!("ddpipe {command}"));
    }
}
