//! Runs programs and says what they took: the shortest of several times, the most memory, the number of system calls.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a program took.
pub struct Took {
    /// Wall time.
    pub time: Duration,
    /// Peak memory in bytes.
    pub memory: u64,
}

/// Runs a program once, in this folder. It has to succeed.
pub fn run(program: &Path, args: &[&str], folder: &Path) -> Took {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let memory = watch(&mut child);
    let status = child.wait().expect("the program ends");
    assert!(status.success(), "{} {args:?}: {status}", program.display());
    Took { time: begun.elapsed(), memory }
}

/// The most memory that a process had, as it says itself while it runs.
fn watch(child: &mut std::process::Child) -> u64 {
    let file = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while let Ok(None) = child.try_wait() {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0u64);
        most = most.max(kib * 1024);
        std::thread::sleep(Duration::from_micros(500));
    }
    most
}

/// How many system calls a program makes, by strace; none where there is no strace.
pub fn system_calls(program: &Path, args: &[&str], folder: &Path) -> Option<u64> {
    counted(&[], program, args, folder)
}

/// How many of these system calls it and what it starts make.
pub fn calls_of(names: &[&str], program: &Path, args: &[&str], folder: &Path) -> Option<u64> {
    counted(&["-e", &format!("trace={}", names.join(","))], program, args, folder)
}

fn counted(options: &[&str], program: &Path, args: &[&str], folder: &Path) -> Option<u64> {
    let out = folder.join("strace.out");
    let mut command = Command::new("strace");
    command.args(["-fcq", "-o"]).arg(&out).args(options).arg(program).args(args).current_dir(folder);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    let text = std::fs::read_to_string(out).ok().filter(|_| status.success())?;
    let total = text.lines().find(|line| line.ends_with("total"))?;
    total.split_whitespace().nth(3)?.parse().ok()
}
