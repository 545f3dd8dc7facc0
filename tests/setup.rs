//! `stages/libtorch/setup.sh` with wheels that hold next to nothing: two at once, and one that is killed half-way. A
//! `python3` that stands before the real one makes the wheels instead of downloading them.

#![allow(clippy::unwrap_used)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Downloads slowly; unpacks as the real one does, or with `BREAK` dies when the old libraries are gone.
const PYTHON: &str = r#"#!/bin/sh
if [ "$1" = "-m" ]; then
  while [ "$1" != "--dest" ]; do shift; done
  echo downloaded >> "$LOG"
  sleep 0.3
  exec REAL -c "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/torch.whl', 'w') as wheel:
    for name in ('lib/libtorch.so', 'lib/libtorch_cuda.so', 'include/torch.h', 'version.py'):
        wheel.writestr('torch/' + name, name)
" "$2"
fi
if [ -n "$BREAK" ]; then
  rm -rf "$2/lib"
  kill -9 $PPID
  exit 1
fi
exec REAL "$@"
"#;

struct Setup {
    folder: tempfile::TempDir,
    path: String,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (scripts, bin) = (folder.path().join("stages/libtorch"), folder.path().join("bin"));
        fs::create_dir_all(&scripts).unwrap();
        fs::create_dir_all(&bin).unwrap();
        for entry in fs::read_dir("stages/libtorch").unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, scripts.join(path.file_name().unwrap())).unwrap();
            }
        }
        let path = std::env::var("PATH").unwrap();
        let real = std::env::split_paths(&path).map(|folder| folder.join("python3")).find(|path| path.is_file());
        let python = bin.join("python3");
        fs::write(&python, PYTHON.replace("REAL", &real.expect("python3").display().to_string())).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        Setup { path: format!("{}:{path}", bin.display()), folder }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.arg(self.folder.path().join("stages/libtorch/setup.sh")).args(args);
        command.env("PATH", &self.path).env("LOG", self.folder.path().join("log"));
        command.env_remove("LIBTORCH").env_remove("LIBTORCH_USE_PYTORCH");
        command
    }

    fn says(&self, args: &[&str]) -> String {
        text(&self.command(args).output().unwrap())
    }

    fn made(&self, name: &str) -> PathBuf {
        self.folder.path().join(".libtorch").join(name)
    }

    fn downloads(&self) -> usize {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default().lines().count()
    }
}

fn text(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn the_second_of_two_at_once_waits_and_finds_all_in_place() {
    let setup = Setup::new();
    let first = setup.command(&[]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let second = setup.command(&[]).output().unwrap();
    let all = format!("{}{}", text(&first.wait_with_output().unwrap()), text(&second));
    assert_eq!(setup.downloads(), 1, "{all}");
    assert!(all.contains("is ready") && all.contains("is in place"), "{all}");
    assert!(setup.made("lib/libtorch.so").is_file() && !setup.made("wheels").exists());
}

#[test]
fn one_that_is_killed_half_way_is_not_in_place() {
    let setup = Setup::new();
    assert!(setup.says(&[]).contains("is ready"));
    assert!(setup.says(&[]).contains("is in place"));
    let killed = setup.command(&["--cuda"]).env("BREAK", "1").output().unwrap();
    assert!(!killed.status.success());
    assert!(!setup.made("lib").exists(), "it was killed too early");
    assert!(setup.says(&[]).contains("is ready"), "a libtorch in pieces was taken for a whole one");
    assert!(setup.made("lib/libtorch.so").is_file());
    assert!(setup.says(&["--cuda"]).contains("is ready"));
    assert!(setup.made("cuda/libtorch_cuda.so").is_file());
    assert!(setup.says(&[]).contains("is in place"));
}
