//! Processes whose parent has ended: a process that adopts them can end them. Engine and worker both do, so that nothing a
//! stage has started outlives it, however it was started and however its parent ended.

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};
use std::time::{Duration, Instant};

/// How long processes that were sent SIGKILL are waited for.
const LIMIT: Duration = Duration::from_secs(5);

/// From now on, processes below this one whose parent ends become children of this one.
pub fn adopt() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// Ends all children of this process but these, and then those that these leave behind, until there are none. Returns
/// how many there were.
pub fn end_all_but(kept: &[Pid]) -> usize {
    let deadline = Instant::now() + LIMIT;
    let mut ended = 0;
    loop {
        let orphans: Vec<Pid> = children().into_iter().filter(|child| !kept.contains(child)).collect();
        if orphans.is_empty() || Instant::now() > deadline {
            return ended;
        }
        for &orphan in &orphans {
            let _ = kill(orphan, Signal::SIGKILL);
        }
        for orphan in orphans {
            ended += usize::from(reaped(orphan, deadline));
        }
    }
}

fn reaped(child: Pid, deadline: Instant) -> bool {
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(status) if status.pid().is_some() => return true,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
            Ok(_) if Instant::now() > deadline => return false,
            Ok(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The children of this process, of all its threads.
fn children() -> Vec<Pid> {
    let me = getpid().as_raw();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|number| parent(*number) == Some(me)).map(Pid::from_raw).collect()
}

/// The parent of a process, the fourth field of its `stat`; the second is a name in brackets that may hold anything.
fn parent(process: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}
