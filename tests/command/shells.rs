//! Completion in the shells themselves, and the schema in the language server that editors use. A program that is not
//! installed is skipped, and that is said.

use crate::project::Project;
use crate::terminal::Terminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MANIFEST: &str = "pipelines/two.toml";

/// Two seeds, a variable and a profile; the command is on the `PATH`.
fn project() -> Project {
    let mut project = Project::counting();
    let vars = "[vars]\nhow_far = 3\n[profiles.small]\nvars = { how_far = 1 }\n[stages.a]";
    project.edit(MANIFEST, "[stages.a]", vars);
    project.edit(MANIFEST, "{ to = 3 }", "{ to = \"${how_far}\" }\nmatrix = { seed = [0, 1] }");
    project.run(&["check", MANIFEST]).ok();
    let folder = Path::new(env!("CARGO_BIN_EXE_ddpipe")).parent().unwrap().display();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    project.env("PATH", &path).env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
    project
}

/// Where a program lies; says so where it does not.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: {program} is not installed");
    }
    found
}

/// Types on the shell's terminal after its script was read, each time up to a Tab, and waits for what that makes of it.
fn tab(program: &str, args: &[&str], begin: &str, typed_and_wanted: &[(&str, &str)]) {
    let Some(program) = installed(program) else { return };
    let project = project();
    let shell = Terminal::with(project.session_of(program.to_str().unwrap(), args), (160, 50));
    shell.types(&format!("PS1='> '; {begin}; echo rea''dy\n"));
    shell
        .until("the prompt", |rows| rows.iter().any(|row| row == "ready") && rows.last().is_some_and(|row| row == ">"));
    for (typed, wanted) in typed_and_wanted {
        shell.types(&format!("{typed}\t"));
        let line = format!("> {wanted}");
        shell.until(wanted, |rows| rows.iter().any(|row| row.starts_with(&line)));
        // Takes the line away.
        shell.types("\u{15}");
        shell.until("an empty line", |rows| rows.last().is_some_and(|row| row == ">"));
    }
}

const EVERYWHERE: &[(&str, &str)] = &[
    ("ddpipe completi", "ddpipe completions"),
    ("ddpipe run pipelines/tw", "ddpipe run pipelines/two.toml"),
    ("ddpipe run pipelines/two.toml --prof", "ddpipe run pipelines/two.toml --profile"),
    ("ddpipe run pipelines/two.toml --profile sm", "ddpipe run pipelines/two.toml --profile small"),
    ("ddpipe run pipelines/two.toml --set vars.ho", "ddpipe run pipelines/two.toml --set vars.how_far="),
    ("ddpipe run 'pipelines/two.toml' --profile sm", "ddpipe run 'pipelines/two.toml' --profile small"),
    ("ddpipe show pipelines/two.toml 'a[seed=1", "ddpipe show pipelines/two.toml 'a[seed=1]'"),
];

#[test]
fn bash_completes_also_after_equals_and_brackets() {
    let own = [
        ("ddpipe why pipelines/two.toml a[seed=1", "ddpipe why pipelines/two.toml a[seed=1]"),
        ("ddpipe run pipelines/two.toml --profile=sm", "ddpipe run pipelines/two.toml --profile=small"),
    ];
    let all = [EVERYWHERE, &own].concat();
    tab("bash", &["--norc", "--noprofile", "-i"], "source <(ddpipe completions bash)", &all);
}

#[test]
fn zsh_completes_also_in_quotes() {
    let own = [("ddpipe why pipelines/two.toml a\\[seed=1", "ddpipe why pipelines/two.toml a\\[seed=1\\]")];
    let begin = "autoload -U compinit; compinit -u -D; source <(ddpipe completions zsh)";
    tab("zsh", &["-f", "-i"], begin, &[EVERYWHERE, &own].concat());
}

#[test]
fn fish_completes_also_in_quotes() {
    let Some(fish) = installed("fish") else { return };
    let project = project();
    for (line, wanted) in [
        ("ddpipe completi", "completions"),
        ("ddpipe run pipelines/", MANIFEST),
        ("ddpipe run pipelines/two.toml --profile ", "small"),
        ("ddpipe run 'pipelines/two.toml' --profile ", "small"),
        ("ddpipe run pipelines/two.toml --set vars.", "vars.how_far="),
        ("ddpipe show pipelines/two.toml 'a[", "a[seed=1]"),
        ("ddpipe show pipelines/two.toml a[seed=", "a[seed=1]"),
    ] {
        let script = format!("ddpipe completions fish | source; complete -C \"{line}\"");
        let mut command = project.program(fish.to_str().unwrap(), &["--no-config", "--command", &script]);
        let said = command.stdin(Stdio::null()).output().unwrap();
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        let offered = |word: &str| word.split('\t').next() == Some(wanted);
        assert!(out.lines().any(offered), "{line}: {out}{}", String::from_utf8_lossy(&said.stderr));
    }
}

/// As docs/manifest.md says it: all manifests that are shipped pass, and a wrong parameter does not.
#[test]
fn taplo_accepts_what_is_shipped_and_marks_a_wrong_parameter() {
    let Some(taplo) = installed("taplo") else { return };
    let project = Project::new();
    let page = include_str!("../../docs/manifest.md");
    let rule = page.split("```toml\n[[rule]]").nth(1).unwrap().split("```").next().unwrap();
    project.file(".taplo.toml", format!("[[rule]]{rule}"));
    project.file("ddpipe.schema.json", &project.run(&["schema"]).ok().out);
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines"))];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let below = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if below.ends_with(".toml") {
                project.file(&below, std::fs::read(&path).unwrap());
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count} manifests");
    let lint = || {
        let said = Command::new(&taplo).arg("lint").current_dir(project.path(".")).output().unwrap();
        (said.status.success(), String::from_utf8_lossy(&said.stderr).into_owned())
    };
    let (accepted, said) = lint();
    assert!(accepted, "{said}");
    project.edit("pipelines/quickstart.toml", "ipc = \"${ipc}\"", "ipcc = 3");
    let (accepted, said) = lint();
    assert!(!accepted && said.contains("ipcc") && said.contains("quickstart.toml:"), "{said}");
}
