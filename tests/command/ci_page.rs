//! The steps of docs/ci.md, taken from its blocks of code and run by a shell in a small project.

use crate::project::Project;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../../docs/ci.md");

const MANIFEST: &str = r#"[pipeline]
name = "paper"
kinds = ["../kinds"]

[stages.start]
kind = "own.count"

[stages.evaluate]
kind = "own.count"
matrix = { seed = [0, 1, 2, 3, 4] }
inputs = { before = "start" }

[[expect]]
metric = "start.sum"
at_least = 3
"#;

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if let Some(of) = line.strip_prefix("```").filter(|of| !of.is_empty()) {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if of == language {
                found.push(text.join("\n") + "\n");
            }
        }
    }
    found
}

/// What a workflow has the shell do: the blocks after `run: |`, and the items that begin with the command.
fn steps(workflow: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = workflow.lines().peekable();
    while let Some(line) = lines.next() {
        let depth = |line: &str| line.len() - line.trim_start().len();
        if line.trim() == "run: |" {
            let mut step = String::new();
            while let Some(inner) = lines.next_if(|inner| depth(inner) > depth(line)) {
                step.push_str(inner.trim());
                step.push('\n');
            }
            found.push(step);
        } else if let Some(step) = line.trim().strip_prefix("- ddpipe ") {
            found.push(format!("ddpipe {step}\n"));
        }
    }
    found
}

/// A project whose `ddpipe` on the `PATH` is the one under test, with the project's own kinds allowed.
fn project() -> Project {
    let mut project = Project::counting();
    project.file("pipelines/paper.toml", MANIFEST);
    project.edit(
        "kinds/own/count/stage.toml",
        "[params]",
        "[metrics]\nsum = { help = \"the sum\", better = \"higher\" }\n[params]",
    );
    let program = env!("CARGO_BIN_EXE_ddpipe");
    let ddpipe = format!(
        "#!/bin/sh\nif [ \"$1\" = run ]; then shift; exec '{program}' run --allow-commands \"$@\"; fi\nexec '{program}' \"$@\"\n"
    );
    for (name, text) in [("ddpipe", ddpipe.as_str()), ("git", "#!/bin/sh\n")] {
        let name = format!("bin/{name}");
        project.file(&name, text);
        std::fs::set_permissions(project.path(&name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", project.path("bin").display(), std::env::var("PATH").unwrap());
    project.env("PATH", &path);
    project.env("GITHUB_STEP_SUMMARY", &project.path("github.md").display().to_string());
    project.env("SLURM_ARRAY_TASK_ID", "0");
    project
}

#[track_caller]
fn shell(project: &Project, step: &str) -> String {
    // The environment is that of the project's commands.
    let known = project.command(&[]);
    let mut shell = Command::new("bash");
    shell.args(["-e", "-u", "-c", &step.replace("/shared/group/", "./")]).current_dir(project.path(".")).env_clear();
    for (name, value) in known.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{step}\n{:?}\n{text}", output.status);
    text
}

#[test]
fn the_steps_of_the_page_work() {
    let project = project();
    let (first, scripts): (Vec<_>, Vec<_>) =
        blocks("sh").into_iter().partition(|block| block.contains("baseline record"));
    assert!(first.len() == 1 && scripts.len() >= 6, "{scripts:?}");
    shell(&project, &first[0]);
    shell(&project, "cp -r .ddpipe nightly-cache");
    for script in &scripts {
        shell(&project, script);
    }
    let workflows: Vec<_> = blocks("yaml").iter().map(|workflow| steps(workflow)).collect();
    assert_eq!(workflows.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 0]);
    for step in workflows.iter().flatten() {
        shell(&project, step);
    }
    let groovy = blocks("groovy").concat();
    let step = groovy.split("sh '").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
    shell(&project, step);
    assert!(project.read("github.md").starts_with("## ddpipe: paper"));
    for report in ["junit.xml", "junit-0.xml"] {
        assert!(project.read(report).contains("<testcase name=\"evaluate[seed=0]\""), "{report}");
    }
    assert!(project.read("summary.md").contains("All is well"));
}

#[test]
fn the_hook_of_the_page_checks_every_file_and_fails_for_one() {
    let project = project();
    let hook = blocks("yaml").into_iter().find(|block| block.contains("ddpipe-check")).unwrap();
    let entry = hook.lines().find_map(|line| line.trim().strip_prefix("entry: ")).unwrap().to_string();
    shell(&project, &format!("{entry} pipelines/paper.toml pipelines/two.toml"));
    assert!(hook.contains(r"files: ^pipelines/.*\.toml$"), "files of subfolders are checked too: {hook}");
    project.edit("pipelines/two.toml", "own.count", "own.cuont");
    shell(&project, &format!("! {entry} pipelines/paper.toml pipelines/two.toml"));
}

/// The page has the exit codes of the program, by code and word.
#[test]
fn the_table_of_exit_codes_is_that_of_the_program() {
    use ddpipe::exit::Exit;
    let all: Vec<String> =
        (0..=u8::MAX).filter_map(Exit::of_code).map(|exit| format!("| {} | `{}` |", exit as u8, exit.name())).collect();
    let is_row =
        |line: &&str| line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()));
    let rows: Vec<&str> = PAGE.lines().filter(is_row).collect();
    assert_eq!(rows.len(), all.len(), "{rows:?}");
    for (row, expected) in rows.iter().zip(&all) {
        assert!(row.starts_with(expected.as_str()), "{row}, not {expected}");
    }
    // The script tells what a signal ended from what is wrong with the project.
    let script = blocks("sh").into_iter().find(|block| block.contains("case $code")).unwrap();
    let case = &script[script.find("case $code").unwrap()..];
    let said = |code: u8| {
        let shell = Command::new("bash").args(["-c", &format!("code={code}\n{case}")]).output().unwrap();
        String::from_utf8(shell.stdout).unwrap()
    };
    for exit in (0..=u8::MAX).filter_map(Exit::of_code) {
        let words = match exit {
            Exit::Ok => "well",
            Exit::Missed => "missed",
            Exit::Stage | Exit::Usage => "project's",
            Exit::Interrupted | Exit::HungUp | Exit::Terminated => "continues",
            Exit::Cache | Exit::Incomparable => "machine's",
        };
        assert!(said(exit as u8).contains(words), "{exit:?}: {}", said(exit as u8));
    }
    assert!(said(124).contains("continues") && said(137).contains("continues"));
}
