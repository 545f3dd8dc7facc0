//! A program in a process group of its own: its lines become progress and log, and nothing of it outlives the stage.

use crate::context::{Context, Interrupted};
use crate::worker::interrupts::FOR_THE_ENGINE;
use crate::worker::scratch::ScratchLock;
use anyhow::{Context as _, Result, bail};
use ddpipe_interface::orphans;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, Signal, killpg, signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How often the stage's interruption and the program's end are looked for.
const TICK: Duration = Duration::from_millis(30);
/// The time that a program has from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// What its last lines have to arrive, once it has ended.
const LAST_LINES: Duration = Duration::from_secs(2);
/// Signals to the processes of a job come within this time.
const TOLD_TOGETHER: Duration = Duration::from_secs(2);
/// A longer line is cut into several.
const LINE: usize = 4096;

enum Line {
    Out(String),
    Err(String),
}

/// Runs the program to its end. Stops it, with all it started, when the stage is interrupted: it has a time of grace to
/// write what it has, and none when the engine is gone (`abandoned`), because the next run may already wait. The program
/// inherits `lock`.
pub fn run(mut command: Command, ctx: &Context, lock: &ScratchLock, abandoned: &dyn Fn() -> bool) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let inherited = lock.file().as_raw_fd();
    // SAFETY: only async-signal-safe calls between fork and exec; the file stays open for as long as `lock` is borrowed.
    unsafe { command.pre_exec(move || Ok(start_afresh(BorrowedFd::borrow_raw(inherited))?)) };
    orphans::adopt().context("could not prepare to end what the program starts")?;
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            anyhow::anyhow!("{name}: not found in PATH (a program of the kind's own folder is named ./…)")
        }
        ErrorKind::PermissionDenied => {
            anyhow::anyhow!("{name}: not executable (chmod +x, or name its interpreter first)")
        }
        _ => anyhow::anyhow!("{name}: could not be started: {error}"),
    })?;
    let (sender, lines) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        pump(out, sender.clone(), Line::Out);
    }
    if let Some(err) = child.stderr.take() {
        pump(err, sender, Line::Err);
    }
    let mut group = Group { child, ended: None };
    let mut last = String::new();
    let status = group.watch(&lines, ctx, abandoned, &mut last)?;
    if !status.success() {
        if was_told_to_end(status) && is_interrupted_soon(ctx) {
            return Err(Interrupted.into());
        }
        let how = match (status.code(), status.signal().map(Signal::try_from)) {
            (Some(code), _) => format!("exited with status {code}"),
            (None, Some(Ok(signal))) => format!("was killed by {signal}"),
            _ => status.to_string(),
        };
        bail!("{name} {how}{}{last}", if last.is_empty() { "" } else { ": " });
    }
    Ok(())
}

/// The lock has this number or a higher one in a program: shells and scripts give low ones to files of their own, and would
/// let go of it.
const LOCK: i32 = 100;

/// The worker blocks and ignores signals for reasons of its own, and children inherit that.
fn start_afresh(lock: BorrowedFd<'_>) -> nix::Result<()> {
    if fcntl(lock, FcntlArg::F_DUPFD(LOCK)).is_err() {
        // The process may not have so many.
        fcntl(lock, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    SigSet::empty().thread_set_mask()?;
    for ignored in FOR_THE_ENGINE {
        // SAFETY: the default action is no handler of ours.
        unsafe { signal(ignored, SigHandler::SigDfl) }?;
    }
    prctl::set_pdeathsig(Signal::SIGKILL)
}

/// Whether a program ended by a signal that means the end of its job, or by what a shell makes of it.
fn was_told_to_end(status: ExitStatus) -> bool {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1, Signal::SIGUSR2].map(|signal| signal as i32);
    signals.iter().any(|signal| status.signal() == Some(*signal) || status.code() == Some(128 + signal))
}

/// Whether the stage is to stop, by now or in a moment: who ends a job of a batch system sends a signal to all of its processes,
/// and the program may be the first to act on it.
fn is_interrupted_soon(ctx: &Context) -> bool {
    let until = Instant::now() + TOLD_TOGETHER;
    while ctx.check().is_ok() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(TICK);
    }
    true
}

/// A running program and all it started; dropping it ends them.
struct Group {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Group {
    /// Handles lines until the program ends. `last` is left holding the last line of stderr.
    fn watch(
        &mut self,
        lines: &Receiver<Line>,
        ctx: &Context,
        abandoned: &dyn Fn() -> bool,
        last: &mut String,
    ) -> Result<ExitStatus> {
        let mut open = true;
        loop {
            if open {
                open = receive(lines, TICK, ctx, last);
            } else {
                std::thread::sleep(TICK);
            }
            if ctx.check().is_err() {
                self.stop(abandoned);
                return Err(Interrupted.into());
            }
            if self.has_ended()? {
                let status = self.reap()?;
                let until = Instant::now() + LAST_LINES;
                while open && Instant::now() < until {
                    open = receive(lines, TICK, ctx, last);
                }
                return Ok(status);
            }
        }
    }

    /// Whether the program is over. It is not reaped yet: until then no other group can have its number.
    fn has_ended(&self) -> Result<bool> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        let status = waitid(Id::Pid(self.pid()), flags).context("could not wait for the program")?;
        Ok(status != WaitStatus::StillAlive)
    }

    fn stop(&mut self, abandoned: &dyn Fn() -> bool) {
        if !abandoned() {
            let _ = killpg(self.pid(), Signal::SIGTERM);
        }
        let until = Instant::now() + GRACE;
        while Instant::now() < until && !abandoned() && !self.has_ended().unwrap_or(true) {
            std::thread::sleep(TICK);
        }
        if let Err(error) = self.reap() {
            tracing::warn!("{error:#}");
        }
    }

    /// Ends what is left of the group, and takes the program's status; then ends what left the group.
    fn reap(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let status = self.child.wait().context("could not wait for the program")?;
        self.ended = Some(status);
        let left = orphans::end_all_but(&[]);
        if left > 0 {
            tracing::warn!(left, "processes that the program had started outlived it and were ended");
        }
        Ok(status)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.reap();
    }
}

/// Waits for one line and handles all that are there. False when no more can come.
fn receive(lines: &Receiver<Line>, wait: Duration, ctx: &Context, last: &mut String) -> bool {
    let mut next = lines.recv_timeout(wait);
    for _ in 0..1000 {
        match next {
            Ok(Line::Out(text)) => match progress(&text) {
                Some((step, total, loss)) => ctx.progress(step, total, "steps", loss),
                None => ctx.log(text),
            },
            Ok(Line::Err(text)) => {
                if !text.trim().is_empty() {
                    last.clone_from(&text);
                }
                ctx.log(text);
            }
            Err(error) => return error == RecvTimeoutError::Timeout,
        }
        next = lines.recv_timeout(Duration::ZERO);
    }
    true
}

/// `progress 3/10`, or `progress 3/10 loss 0.5`.
fn progress(line: &str) -> Option<(u64, u64, Option<f64>)> {
    let mut words = line.split_whitespace();
    let (step, total) = words.next().filter(|word| *word == "progress").and(words.next())?.split_once('/')?;
    let loss = match (words.next(), words.next()) {
        (None, _) => None,
        (Some("loss"), Some(loss)) => Some(loss.parse().ok()?),
        _ => return None,
    };
    Some((step.parse().ok()?, total.parse().ok()?, loss)).filter(|_| words.next().is_none())
}

/// Reads lines on a thread. A carriage return ends one too: progress bars draw themselves so.
fn pump(mut from: impl Read + Send + 'static, to: Sender<Line>, kind: fn(String) -> Line) {
    std::thread::spawn(move || {
        let mut line = Vec::new();
        let mut buffer = [0u8; 8192];
        let send = |line: &mut Vec<u8>| {
            let text = String::from_utf8_lossy(line).into_owned();
            line.clear();
            to.send(kind(text)).is_ok()
        };
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            for &byte in &buffer[..read] {
                let ends = byte == b'\n' || byte == b'\r';
                if !ends {
                    line.push(byte);
                }
                if (ends && !line.is_empty() || line.len() == LINE) && !send(&mut line) {
                    return;
                }
            }
        }
        if !line.is_empty() {
            send(&mut line);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines_are_told_from_others() {
        assert_eq!(progress("progress 3/10 loss 0.5"), Some((3, 10, Some(0.5))));
        assert_eq!(progress("progress 3/10"), Some((3, 10, None)));
        for other in
            ["progress", "progress 3", "progress is 3/10", "progress 3/10 loss", "progress 3/10 loss 1 more", "3/10"]
        {
            assert_eq!(progress(other), None, "{other}");
        }
    }

    #[test]
    fn lines_end_at_either_mark_and_long_ones_are_cut() {
        let (sender, lines) = mpsc::channel();
        let text = [b"one\r\n50%\r100%\r" as &[u8], &vec![b'x'; LINE + 1]].concat();
        pump(std::io::Cursor::new(text), sender, Line::Out);
        let lengths: Vec<usize> = lines.iter().map(|(Line::Out(text) | Line::Err(text))| text.len()).collect();
        assert_eq!(lengths, [3, 3, 4, LINE, 1]);
    }
}
