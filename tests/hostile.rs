//! Manifests that mean harm, each with what it is refused with in its first lines. Each goes through the real command
//! with 2 GiB of memory and 5 s of computing, ends with exit code 2, and leaves nothing outside its project.
//!
//! The first lines of a manifest: `#! says TEXT` is a part of the message, `#! args …` are more arguments, and
//! `#! link NAME TARGET` puts a link into the project. `OUTSIDE` stands for a folder beside the project.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A project beside a folder that nothing may be written to.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ddpipe-hostile-").tempdir().unwrap();
        fs::create_dir_all(folder.path().join("project/pipelines")).unwrap();
        fs::create_dir_all(folder.path().join("outside/folder")).unwrap();
        fs::write(folder.path().join("outside/kept"), "kept").unwrap();
        Place { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn outside(&self) -> String {
        self.path("outside").display().to_string()
    }

    fn manifest(&self, name: &str, text: &str) {
        fs::write(self.path("project/pipelines").join(name), text.replace("OUTSIDE", &self.outside())).unwrap();
    }

    /// Runs the command within limits; panics when it does not end.
    fn run(&self, args: &[&str]) -> Output {
        let limits = "ulimit -v 2097152 && ulimit -t 5 && ulimit -c 0 && exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", limits, "sh", env!("CARGO_BIN_EXE_ddpipe")]).args(args).current_dir(self.path("project"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.path("outside"));
        command.env("DDPIPE_DEVICE", "cpu").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let read = |from: &mut dyn std::io::Read| {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let stdout = std::thread::spawn(move || read(&mut out));
        let stderr = std::thread::spawn(move || read(&mut err));
        // Computing is limited by the system; this is for one that waits, on a machine that is busy.
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("it does not end: {args:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }

    /// What lies beside the project.
    fn beside(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.path("")];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() && path != self.path("project") {
                    open.push(path.clone());
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }
}

/// What is wrong with how a command ended, in words.
fn faults(done: &Output, says: &[&str], place: &Place) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    let shown: String = text.chars().take(600).collect();
    let mut wrong = String::new();
    if done.status.code() != Some(2) {
        writeln!(wrong, "ended with {}\n{shown}", done.status).unwrap();
    }
    for expected in says.iter().map(|says| says.replace("OUTSIDE", &place.outside())) {
        if !text.contains(&expected) {
            writeln!(wrong, "does not say {expected:?}\n{shown}").unwrap();
        }
    }
    let obeyed = |letter: &char| (letter.is_control() && *letter != '\n') || ('\u{200b}'..='\u{202e}').contains(letter);
    if let Some(letter) = text.chars().find(obeyed) {
        writeln!(wrong, "says {letter:?} to the terminal").unwrap();
    }
    if text.contains("panicked") {
        writeln!(wrong, "panicked\n{shown}").unwrap();
    }
    wrong
}

#[test]
fn each_hostile_manifest_is_refused_and_does_nothing() {
    let folder = Path::new("tests/manifests/hostile");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 40, "only {} manifests", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        let place = Place::new();
        for other in &cases {
            place.manifest(&other.file_name().unwrap().to_string_lossy(), &fs::read_to_string(other).unwrap());
        }
        let before = place.beside();
        let text = fs::read_to_string(case).unwrap();
        let lines = |word: &str| -> Vec<&str> {
            text.lines().filter_map(|line| line.strip_prefix("#! ")?.strip_prefix(word)?.strip_prefix(' ')).collect()
        };
        for link in lines("link") {
            let (name, target) = link.split_once(' ').unwrap();
            symlink(target.replace("OUTSIDE", &place.outside()), place.path("project").join(name)).unwrap();
        }
        let manifest = format!("pipelines/{}", case.file_name().unwrap().to_string_lossy());
        let mut args = vec!["run", &manifest];
        args.extend(lines("args").iter().flat_map(|args| args.split(' ')));
        let says = lines("says");
        let mut found = faults(&place.run(&args), &says, &place);
        if says.is_empty() {
            found.push_str("no line says what it is refused with\n");
        }
        if place.beside() != before || fs::read_to_string(place.path("outside/kept")).unwrap() != "kept" {
            found.push_str("something was written outside the project\n");
        }
        if !found.is_empty() {
            writeln!(wrong, "{}: {found}", case.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

const HEAD: &str = "[pipeline]\nname = \"hostile\"\n\n";
const DIGITS: &str = "[stages.digits]\nkind = \"sample.digits\"\n";

/// The manifest of these files is refused with this.
#[track_caller]
fn refused(files: &[(&str, String)], says: &str) {
    let place = Place::new();
    files.iter().for_each(|(name, text)| place.manifest(name, text));
    let wrong = faults(&place.run(&["run", "pipelines/a0.toml"]), &[says], &place);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_long_chain_of_includes_is_refused() {
    let place = Place::new();
    for number in 0..10_000 {
        place.manifest(&format!("a{number}.toml"), &format!("include = [\"a{}.toml\"]\n", number + 1));
    }
    place.manifest("a10000.toml", &format!("{HEAD}{DIGITS}"));
    let wrong = faults(&place.run(&["check", "pipelines/a0.toml"]), &["more than 64 deep"], &place);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_file_that_is_included_often_is_read_once() {
    let place = Place::new();
    for number in 0..40 {
        let next = number + 1;
        place.manifest(&format!("a{number}.toml"), &format!("include = [\"a{next}.toml\", \"./a{next}.toml\"]\n"));
    }
    place.manifest("a40.toml", &format!("{HEAD}{DIGITS}"));
    let done = place.run(&["check", "pipelines/a0.toml"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_manifest_too_large_is_refused() {
    refused(&[("a0.toml", format!("{HEAD}{DIGITS}# {}\n", "x".repeat(1 << 20)))], "it has more than 1048576 bytes");
    let parts: Vec<String> = (1..8).map(|number| format!("\"a{number}.toml\"")).collect();
    let part = format!("# {}\n", "x".repeat(900_000));
    let names: Vec<String> = (1..8).map(|number| format!("a{number}.toml")).collect();
    let mut files: Vec<_> = names.iter().map(|name| (name.as_str(), part.clone())).collect();
    files.push(("a0.toml", format!("include = [{}]\n{HEAD}{DIGITS}", parts.join(", "))));
    refused(&files, "the files of this manifest have more than 4194304 bytes");
}

#[test]
fn texts_of_many_nodes_are_bounded() {
    let long = "x".repeat(1000);
    let axes: String = (0..60).map(|number| format!("a{number} = [\"{long}\"]\n")).collect();
    let axes = format!("{HEAD}{DIGITS}[stages.digits.matrix]\nseed = {{ from = 0, to = 99999 }}\n{axes}");
    refused(&[("a0.toml", axes)], "the axes of the stage's combinations have more than");
    let params =
        format!("params = {{ synset = \"{}\" }}\nmatrix.seed = {{ from = 0, to = 9999 }}\n", "x".repeat(900_000));
    let table = "[stages.t]\nkind = \"report.table\"\ninputs = { results = { gather = \"digits\" } }\n";
    let text = format!("{HEAD}{DIGITS}\n{table}{}", params.replace("synset", "value"));
    refused(&[("a0.toml", text)], "the axes and parameters of all nodes have more than");
}

#[test]
fn many_tables_and_many_faults_take_no_time() {
    let stages: String = (0..10_001).map(|number| format!("[stages.a{number}]\nkind = \"x\"\n")).collect();
    refused(&[("a0.toml", format!("{HEAD}{stages}"))], "the manifest has more than 10000 stages");
    let expects = "[[expect]]\nmetric = \"digits.x\"\nat_least = 0\n".repeat(1001);
    refused(&[("a0.toml", format!("{HEAD}{DIGITS}{expects}"))], "the manifest has more than 1000 expectations");
    let unknown: String = (0..5000).map(|number| format!("[stages.a{number}]\nkind = \"x{number}\"\n")).collect();
    refused(&[("a0.toml", format!("{HEAD}{unknown}"))], "4900 more are not shown");
    let all: Vec<String> = (0..200).map(|number| format!("\"a{number}\"")).collect();
    let cycles: String = (0..200)
        .map(|number| {
            format!("[stages.a{number}]\nkind = \"report.table\"\ninputs = {{ results = [{}] }}\n", all.join(","))
        })
        .collect();
    refused(&[("a0.toml", format!("{HEAD}{cycles}"))], "the stages need each other");
}

#[test]
fn keys_of_very_many_parts_are_refused() {
    let key = vec!["a"; 100_000].join(".");
    refused(&[("a0.toml", format!("{HEAD}{DIGITS}params.{key} = 1\n"))], "a0.toml");
    refused(&[("a0.toml", format!("{HEAD}{DIGITS}[stages.{key}]\n"))], "a0.toml");
}
