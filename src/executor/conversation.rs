//! The engine's end of the conversation with one worker: a thread that waits for the worker and then reads, and a thread
//! that writes. So the scheduler never blocks on a worker, and a worker that talks faster than the scheduler listens
//! is slowed down by its own socket.

use super::rendezvous::Rendezvous;
use ddpipe_interface::protocol::{FromWorker, PROTOCOL_VERSION, read_frame};
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// How long a fresh worker may take until it connects: loading the CUDA libraries from a cold disk takes long.
const CONNECTS: Duration = Duration::from_secs(120);
/// How long a worker that has connected may take to say hello, which is all that it has to do then.
const HELLO: Duration = Duration::from_secs(10);

/// What was heard of a worker.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message.
    Message(Box<FromWorker>),
    /// It closed its socket, between two messages.
    Closed,
    /// Its socket ended in the middle of a message.
    Cut,
    /// It said something that is no message; what, in words.
    Nonsense(String),
    /// It did not connect in time.
    Absent(String),
}

/// What the two ends of this process know of a conversation.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Whether the worker has connected.
    pub connected: AtomicBool,
    /// Whether nobody waits for the worker any more.
    pub over: AtomicBool,
}

/// Where a conversation's words go: the slot, the worker's number, and what was heard.
pub(super) type Ear = SyncSender<(usize, u64, Heard)>;

/// Waits for the worker, starts the thread that writes `outbox` to it, and reads until the end, of which the last word
/// tells.
pub(super) fn listen(met: Rendezvous, outbox: Receiver<Vec<u8>>, line: &Line, tell: impl Fn(Heard) -> bool) {
    let deadline = Instant::now() + CONNECTS;
    let stream = loop {
        match met.listener.accept() {
            Ok((stream, _)) => break stream.set_nonblocking(false).map(|()| stream),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => break Err(error),
            Err(_) if line.over.load(Ordering::Relaxed) => return,
            Err(_) if Instant::now() > deadline => {
                let _ = tell(Heard::Absent(format!("nothing heard for {} s", CONNECTS.as_secs())));
                return;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    line.connected.store(true, Ordering::Relaxed);
    drop(met);
    let split = stream.and_then(|stream| Ok((stream.try_clone()?, stream)));
    let (mut writing, mut reading) = match split {
        Ok(split) => split,
        Err(error) => {
            let _ = tell(Heard::Absent(format!("its socket: {error}")));
            return;
        }
    };
    std::thread::spawn(move || {
        // A worker that is gone shows to the thread that reads.
        while let Ok(frame) = outbox.recv() {
            if writing.write_all(&frame).is_err() {
                return;
            }
        }
    });
    let _ = tell(read(&mut reading, &tell));
    let _ = reading.shutdown(std::net::Shutdown::Both);
}

/// Hands on every message; gives the last word.
fn read(stream: &mut UnixStream, tell: &impl Fn(Heard) -> bool) -> Heard {
    let _ = stream.set_read_timeout(Some(HELLO));
    let mut greeted = false;
    loop {
        let frame = match read_frame(stream) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Heard::Closed,
            Err(error) => return broken(&error, greeted),
        };
        let message = match serde_json::from_slice::<FromWorker>(&frame) {
            Ok(FromWorker::Hello { protocol, .. }) if protocol != PROTOCOL_VERSION => return other_version(protocol),
            Ok(FromWorker::Hello { .. }) if greeted => return Heard::Nonsense("it said hello twice".into()),
            Ok(message @ FromWorker::Hello { .. }) => message,
            Ok(_) if !greeted => return Heard::Nonsense("it did not begin with hello".into()),
            Ok(message) => message,
            Err(error) => return unknown(&frame, &error),
        };
        if !std::mem::replace(&mut greeted, true) {
            let _ = stream.set_read_timeout(None);
        }
        if !tell(Heard::Message(Box::new(message))) {
            return Heard::Closed;
        }
    }
}

fn broken(error: &io::Error, greeted: bool) -> Heard {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Heard::Cut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Heard::Closed,
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if !greeted => {
            Heard::Nonsense(format!("it connected, and said nothing for {} s", HELLO.as_secs()))
        }
        _ => Heard::Nonsense(error.to_string()),
    }
}

fn other_version(theirs: impl std::fmt::Display) -> Heard {
    Heard::Nonsense(format!("it speaks version {theirs} of the protocol, this ddpipe version {PROTOCOL_VERSION}"))
}

/// A message that cannot be read. The hello of another version may have another form, and is told as such.
fn unknown(frame: &[u8], error: &serde_json::Error) -> Heard {
    let value: serde_json::Value = serde_json::from_slice(frame).unwrap_or_default();
    let protocol = &value["protocol"];
    if value["type"] == "hello" && !protocol.is_null() && *protocol != PROTOCOL_VERSION {
        return other_version(protocol);
    }
    let shown: String = String::from_utf8_lossy(&frame[..frame.len().min(80)]).chars().map(plain).collect();
    let more = if frame.len() > 80 { "…" } else { "" };
    let error: String = error.to_string().chars().take(200).map(plain).collect();
    Heard::Nonsense(format!("it said {shown}{more}, which is no message ({error})"))
}

fn plain(letter: char) -> char {
    if letter.is_control() { '.' } else { letter }
}
