//! A terminal for the command: a pseudo-terminal with an emulator behind it, so that a test sees what a person sees, row by
//! row. Knows nothing of what the command shows.

#![allow(clippy::unwrap_used, dead_code)]

use crate::project::Project;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Far above what anything takes: no test measures time.
const PATIENCE: Duration = Duration::from_secs(120);

/// The command on a terminal.
pub struct Terminal {
    child: Child,
    master: Option<File>,
    seen: Arc<Mutex<Seen>>,
    closed: Arc<AtomicBool>,
    reader: Option<std::thread::JoinHandle<()>>,
}

struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

/// What is left when the command has ended.
pub struct Left {
    /// The exit code.
    pub code: Option<i32>,
    /// The rows of the screen, without the empty ones below.
    pub rows: Vec<String>,
    /// All that was written, with what the terminal obeys.
    pub bytes: String,
}

fn size((columns, rows): (u16, u16)) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    /// Starts the command in a session of its own, on a terminal of so many columns and rows.
    pub fn start(project: &Project, args: &[&str], columns_and_rows: (u16, u16)) -> Self {
        Terminal::with(project.session_command(args), columns_and_rows)
    }

    /// As [`Terminal::start`], of any command that leads a session.
    pub fn with(mut command: Command, columns_and_rows: (u16, u16)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, size(columns_and_rows)).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let stdio = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        drop(command);
        drop(slave);
        let (columns, rows) = columns_and_rows;
        let screen = vt100::Parser::new(rows, columns, 0);
        let seen = Arc::new(Mutex::new(Seen { screen, bytes: Vec::new() }));
        let master = File::from(master);
        let closed = Arc::new(AtomicBool::new(false));
        let (mut from, noted, is_closed) = (master.try_clone().unwrap(), seen.clone(), closed.clone());
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            loop {
                let mut wait = [PollFd::new(&from, PollFlags::IN)];
                let ready = poll(&mut wait, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })).unwrap_or(0);
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                if ready == 0 {
                    continue;
                }
                // The end is an error: nobody has the other side any more.
                let Ok(count @ 1..) = from.read(&mut buffer) else { return };
                let mut seen = noted.lock().unwrap();
                seen.screen.process(&buffer[..count]);
                seen.bytes.extend_from_slice(&buffer[..count]);
            }
        });
        Terminal { child, master: Some(master), seen, closed, reader: Some(reader) }
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The rows of the screen, without the empty ones below.
    pub fn rows(&self) -> Vec<String> {
        rows(&self.seen.lock().unwrap().screen)
    }

    /// Waits until the screen is like this, and gives its rows.
    #[track_caller]
    pub fn until(&self, what: &str, test: impl Fn(&[String]) -> bool) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = self.rows();
            if test(&rows) {
                return rows;
            }
            assert!(Instant::now() < deadline, "{what}: never came\n{}", rows.join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a row contains this.
    #[track_caller]
    pub fn until_row(&self, text: &str) -> Vec<String> {
        self.until(text, |rows| rows.iter().any(|row| row.contains(text)))
    }

    /// Another size, as when a window is pulled.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut seen = self.seen.lock().unwrap();
        seen.screen.screen_mut().set_size(rows, columns);
        tcsetwinsize(self.master.as_ref().unwrap(), size((columns, rows))).unwrap();
    }

    /// Types.
    pub fn types(&self, keys: &str) {
        self.master.as_ref().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Closes the terminal, and gives the exit code.
    pub fn close(mut self) -> Option<i32> {
        self.closed.store(true, Ordering::SeqCst);
        self.reader.take().unwrap().join().unwrap();
        self.master = None;
        self.ended()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Left {
        let code = self.ended();
        self.reader.take().unwrap().join().unwrap();
        let seen = self.seen.lock().unwrap();
        let bytes = String::from_utf8_lossy(&seen.bytes).into_owned();
        assert!(!bytes.contains("panicked"), "{bytes}");
        Left { code, rows: rows(&seen.screen), bytes }
    }

    fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "does not end:\n{}", self.rows().join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rows(screen: &vt100::Parser) -> Vec<String> {
    let wide = screen.screen().size().1;
    let mut rows: Vec<String> = screen.screen().rows(0, wide).map(|row| row.trim_end().to_string()).collect();
    while rows.last().is_some_and(String::is_empty) {
        rows.pop();
    }
    rows
}
