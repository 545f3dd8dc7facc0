//! Processes as `/proc` shows them: who is whose child, and who works in a folder.

#![allow(dead_code)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A process, told from a later one of the same number by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    parent: i32,
    began: u64,
}

impl Process {
    /// The process of this number, if it has not ended; one that is ended and not yet reaped has.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        Some(Process { pid, parent: fields.get(1)?.parse().ok()?, began: fields.get(19)?.parse().ok()? })
    }

    /// Whether it still goes on.
    pub fn is_alive(&self) -> bool {
        Process::of(self.pid).is_some_and(|now| now.began == self.began)
    }

    /// What it was called by.
    pub fn said(&self) -> String {
        let words = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        format!("{} {}", self.pid, String::from_utf8_lossy(&words).replace('\0', " ").trim_end())
    }

    fn works_in(&self, folder: &Path) -> bool {
        let place = |name: &str| fs::read_link(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        place("cwd").starts_with(folder) || self.said().contains(&folder.display().to_string())
    }
}

/// All processes.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Process::of(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The children of a process.
pub fn children(pid: i32) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == pid).collect()
}

/// The children of a process, their children, and so on.
pub fn below(pid: i32) -> Vec<Process> {
    let all = all();
    let mut found: Vec<Process> = Vec::new();
    let mut todo = vec![pid];
    while let Some(parent) = todo.pop() {
        let children: Vec<Process> = all.iter().copied().filter(|process| process.parent == parent).collect();
        todo.extend(children.iter().map(|process| process.pid));
        found.extend(children);
    }
    found
}

/// The processes that work in this folder, or were told its name, other than this one.
pub fn of_folder(folder: &Path) -> Vec<Process> {
    let me = std::process::id() as i32;
    all().into_iter().filter(|process| process.pid != me && process.works_in(folder)).collect()
}

/// Those processes that are still there after this time, in words. Returns as soon as there are none.
pub fn left_after(patience: Duration, look: impl Fn() -> Vec<Process>) -> Vec<String> {
    let deadline = Instant::now() + patience;
    loop {
        let left = look();
        if left.is_empty() || Instant::now() > deadline {
            return left.iter().map(Process::said).collect();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
