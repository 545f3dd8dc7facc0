//! House rules that a machine can check. Each failure lists every offender.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold no source of ours.
const FOREIGN: &[&str] = &["target", "results", "data", "node_modules", "venv"];
const LONGEST: usize = 600;

/// All files below a folder; hidden ones and foreign ones are left out.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || FOREIGN.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            files(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

fn tree() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(Path::new("."), &mut found);
    found.sort();
    assert!(found.len() > 100, "the tests run in the project's folder");
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "rs");
    tree().into_iter().filter(is_rust).map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Every line of these texts that contains one of these, as `file:line: what`.
fn lines_with<'a>(texts: impl Iterator<Item = (PathBuf, String)> + 'a, marks: &'a [&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                found.push(format!("{}:{}: {mark}", path.display(), number + 1));
            }
        }
    }
    found
}

#[track_caller]
fn assert_none(offenders: Vec<String>) {
    assert!(offenders.is_empty(), "\n{}", offenders.join("\n"));
}

#[test]
fn every_source_file_says_what_it_is_for_and_is_short() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !text.starts_with("//! ") {
            wrong.push(format!("{}: does not open with `//! `", path.display()));
        }
        let lines = text.lines().count();
        if lines > LONGEST {
            wrong.push(format!("{}: {lines} lines; split it by meaning", path.display()));
        }
    }
    assert_none(wrong);
}

// The marks are put together here, so that this file has none of them.

#[test]
fn nothing_is_left_for_later() {
    let marks = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore"), concat!("db", "g!(")];
    assert_none(lines_with(sources().into_iter(), &marks));
}

#[test]
fn no_path_of_one_machine_is_in_the_tree() {
    let here = std::env::current_dir().unwrap().display().to_string();
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), here.as_str()];
    // Tensors and pictures are no texts.
    let texts = tree().into_iter().filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)));
    assert_none(lines_with(texts, &homes));
}

/// The packages that the package `ddpipe` is built from with these features, by name.
fn packages(features: &[&str]) -> BTreeSet<String> {
    packages_of("ddpipe", features)
}

fn packages_of(package: &str, features: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "--package", package, "--edges", "normal,build", "--prefix", "none"]);
    let listed = cargo.args(features).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split(' ').next()?.to_string())).collect()
}

#[test]
fn the_engine_without_its_worker_does_not_depend_on_torch() {
    let (alone, whole) = (packages(&["--no-default-features"]), packages(&[]));
    assert!(alone.contains("ddpipe-cache"), "{alone:?}");
    for torch in ["tch", "torch-sys", "ddpipe-stages"] {
        assert!(!alone.contains(torch), "the engine depends on {torch}");
        assert!(whole.contains(torch), "{torch} has another name by now");
    }
}

#[test]
fn only_the_engine_speaks_to_buckets() {
    assert!(packages(&[]).contains("rusty-s3"), "it has another name by now");
    let (alone, stages) = (packages(&["--no-default-features"]), packages_of("ddpipe-stages", &[]));
    assert!(!alone.contains("rusty-s3"));
    for network in ["rusty-s3", "ureq"] {
        assert!(stages.contains("ddpipe-cache") && !stages.contains(network), "the stages depend on {network}");
    }
}

#[test]
fn only_the_worker_names_the_stages_and_torch() {
    let worker = Path::new("./src/bin/ddpipe-worker.rs");
    // A module that is called `batch` is not torch.
    let sources = sources().into_iter().map(|(path, text)| (path, text.replace(concat!("ba", "tch::"), "")));
    let (of_worker, of_engine): (Vec<_>, Vec<_>) =
        sources.filter(|(path, _)| path.starts_with("./src")).partition(|(path, _)| path == worker);
    let marks = ["ddpipe_stages", "tch::", "torch_sys"];
    assert_eq!(lines_with(of_worker.into_iter(), &marks).len(), 1);
    assert_none(lines_with(of_engine.into_iter(), &marks));
}

#[test]
fn the_command_is_built_without_libtorch_and_the_worker_with_it() {
    let loads = |program: &Path| -> bool {
        let listed = Command::new("ldd").arg(program).output().expect("ldd comes with the C library");
        let text = String::from_utf8_lossy(&listed.stdout);
        assert!(listed.status.success() && text.contains("libc.so"), "{}: {text}", program.display());
        assert!(!text.contains("not found"), "{}: {text}", program.display());
        text.contains("libtorch") || text.contains("libc10")
    };
    let command = Path::new(env!("CARGO_BIN_EXE_ddpipe"));
    assert!(!loads(command), "{} loads libtorch", command.display());
    assert!(loads(&command.with_file_name("ddpipe-worker")), "the worker loads no libtorch: {}", command.display());
}

#[test]
fn every_pipeline_is_accepted_and_opens_with_how_to_run_it() {
    let mut wrong = Vec::new();
    // A file without a table of that name is a part, which pipelines include; tests/pipelines.rs looks after those.
    let is_pipeline = |path: &PathBuf| {
        path.starts_with("./pipelines")
            && path.extension().is_some_and(|ending| ending == "toml")
            && !path.ends_with("stage.toml")
            && fs::read_to_string(path).unwrap().lines().any(|line| line == "[pipeline]")
    };
    let pipelines: Vec<PathBuf> = tree().into_iter().filter(is_pipeline).collect();
    assert!(pipelines.len() >= 3, "only {} pipelines", pipelines.len());
    for path in pipelines {
        let checked = Command::new(env!("CARGO_BIN_EXE_ddpipe")).arg("check").arg(&path).output().unwrap();
        if !checked.status.success() {
            wrong.push(format!("{}\n{}", path.display(), String::from_utf8_lossy(&checked.stderr)));
        }
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with('#') || !text.contains("ddpipe run ") {
            wrong.push(format!("{}: does not open with how to run it", path.display()));
        }
    }
    assert_none(wrong);
}

#[test]
fn every_kind_has_its_page_and_its_module() {
    let tree = tree();
    let declared = tree.iter().filter(|path| path.starts_with("./stages") && path.ends_with("stage.toml"));
    let kinds: Vec<&Path> = declared.filter_map(|path| path.parent()).collect();
    assert!(kinds.len() >= 8, "only {} kinds", kinds.len());
    let lacks = |kind: &&Path, file: &str| !kind.join(file).is_file();
    let wrong = kinds.iter().flat_map(|kind| {
        let files = ["README.md", "mod.rs"].into_iter().filter(move |file| lacks(kind, file));
        files.map(move |file| format!("{}: has no {file}", kind.display()))
    });
    assert_none(wrong.collect());
}

#[test]
fn the_readme_lists_every_subcommand() {
    let help = Command::new(env!("CARGO_BIN_EXE_ddpipe")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.split("Commands:").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap();
    let names: Vec<&str> = listed.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(names.contains(&"run") && names.len() > 8, "{names:?}");
    let readme = fs::read_to_string("README.md").unwrap();
    let is_listed = |name: &&&str| readme.contains(&format!("`{name}")) || readme.contains(&format!("ddpipe {name}"));
    let missing = names.iter().filter(|name| !is_listed(name)).map(|name| format!("README.md: no `{name}`"));
    assert_none(missing.collect());
}

/// What is shown when a stage is done is not a matter of which metric happens to be the first.
#[test]
fn every_kind_with_metrics_says_which_of_them_are_shown() {
    let catalog = ddpipe::catalog::Catalog::built_in().unwrap();
    for (name, kind) in catalog.iter() {
        let metrics = &kind.declaration.metrics;
        assert!(metrics.is_empty() || metrics.values().any(|metric| metric.headline), "{name} has no `headline`");
    }
}
