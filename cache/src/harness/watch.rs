//! The observer of `disk.rs`: it lets the k-th operation of a class fail, and records what was done. One for each thread,
//! so that tests run beside each other.

use crate::Key;
use crate::disk::Op;
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

/// Operations that fail alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Create,
    Open,
    Read,
    Look,
    Write,
    SyncFile,
    SyncFolder,
    Rename,
    MakeFolder,
    Unlink,
    Lock,
    Attributes,
}

pub const CLASSES: [Class; 12] = [
    Class::Create,
    Class::Open,
    Class::Read,
    Class::Look,
    Class::Write,
    Class::SyncFile,
    Class::SyncFolder,
    Class::Rename,
    Class::MakeFolder,
    Class::Unlink,
    Class::Lock,
    Class::Attributes,
];

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// This one alone, and nothing is done.
    Once,
    /// This one and all later ones of its class.
    FromThenOn,
    /// This one alone, and it is done nevertheless: as when the answer of a file server is lost.
    ThoughDone,
}

/// The `nth` operation of this class (from 1) fails so.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub class: Class,
    pub nth: usize,
    pub errno: i32,
    pub how: How,
}

/// Something that was done, in order.
#[derive(Clone, Debug)]
pub enum Event {
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Rewrite(PathBuf, Vec<u8>),
    SyncFile(PathBuf),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    MakeFolder(PathBuf),
    Unlink(PathBuf),
    RemoveTree(PathBuf),
    /// A caller was told that this key has its record.
    Reported(Key),
}

#[derive(Default)]
struct Watch {
    fault: Option<Fault>,
    seen: usize,
    struck: bool,
    events: Option<Vec<Event>>,
    /// What is done before each operation; its own operations are not told to it.
    other: Option<Box<dyn FnMut(usize)>>,
    before: usize,
}

thread_local! {
    static WATCH: RefCell<Watch> = RefCell::default();
}

/// Does it, and something else before each of its operations, which is told how many there were so far.
pub fn before_each<T>(other: impl FnMut(usize) + 'static, act: impl FnOnce() -> T) -> T {
    WATCH.with_borrow_mut(|watch| *watch = Watch { other: Some(Box::new(other)), ..Watch::default() });
    let result = act();
    WATCH.take();
    result
}

/// Does it under this fault; what came of it, and whether the fault was met.
pub fn with_fault<T>(fault: Fault, act: impl FnOnce() -> T) -> (T, bool) {
    WATCH.with_borrow_mut(|watch| *watch = Watch { fault: Some(fault), ..Watch::default() });
    let result = act();
    (result, WATCH.take().struck)
}

/// Does it, under a fault if one is given; what was done meanwhile to the file system, and whether the fault was met.
pub fn recorded(fault: Option<Fault>, act: impl FnOnce()) -> (Vec<Event>, bool) {
    WATCH.with_borrow_mut(|watch| *watch = Watch { fault, events: Some(Vec::new()), ..Watch::default() });
    act();
    let watch = WATCH.take();
    (watch.events.unwrap_or_default(), watch.struck)
}

/// Notes among the recorded events that a caller was told that this key has its record.
pub fn report(key: Key) {
    note(Event::Reported(key));
}

/// What stands in `disk.rs` around every operation.
pub fn on<T>(op: Op<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if let Some(mut other) = WATCH.with_borrow_mut(|watch| watch.other.take()) {
        other(WATCH.with_borrow(|watch| watch.before));
        WATCH.with_borrow_mut(|watch| {
            watch.before += 1;
            watch.other = Some(other);
        });
    }
    match WATCH.with_borrow_mut(|watch| watch.verdict(class(&op))) {
        Some(fault) if fault.how != How::ThoughDone => Err(io::Error::from_raw_os_error(fault.errno)),
        verdict => {
            // An open file that was there already is no new name.
            let there = matches!(op, Op::Create(path) if path.exists());
            let done = act()?;
            if !there && let Some(event) = event(op) {
                note(event);
            }
            verdict.map_or(Ok(done), |fault| Err(io::Error::from_raw_os_error(fault.errno)))
        }
    }
}

impl Watch {
    fn verdict(&mut self, class: Class) -> Option<Fault> {
        let fault = self.fault.filter(|fault| fault.class == class)?;
        self.seen += 1;
        let meets = self.seen == fault.nth || fault.how == How::FromThenOn && self.seen > fault.nth;
        self.struck |= meets;
        meets.then_some(fault)
    }
}

fn note(event: Event) {
    WATCH.with_borrow_mut(|watch| watch.events.iter_mut().for_each(|events| events.push(event.clone())));
}

fn class(op: &Op<'_>) -> Class {
    match op {
        Op::Create(_) => Class::Create,
        Op::Open(_) => Class::Open,
        Op::Read(_) => Class::Read,
        Op::Look(_) => Class::Look,
        Op::Write(..) | Op::Rewrite(..) => Class::Write,
        Op::SyncFile(_) => Class::SyncFile,
        Op::SyncFolder(_) => Class::SyncFolder,
        Op::Rename(..) => Class::Rename,
        Op::MakeFolder(_) => Class::MakeFolder,
        Op::Unlink(_) | Op::RemoveTree(_) => Class::Unlink,
        Op::Lock(_) => Class::Lock,
        Op::Attributes(_) => Class::Attributes,
    }
}

fn event(op: Op<'_>) -> Option<Event> {
    let own = Path::to_path_buf;
    Some(match op {
        Op::Create(path) => Event::Create(own(path)),
        Op::Write(path, bytes) => Event::Write(own(path), bytes.to_vec()),
        Op::Rewrite(path, bytes) => Event::Rewrite(own(path), bytes.to_vec()),
        Op::SyncFile(path) => Event::SyncFile(own(path)),
        Op::SyncFolder(path) => Event::SyncFolder(own(path)),
        Op::Rename(from, to) => Event::Rename(own(from), own(to)),
        Op::MakeFolder(path) => Event::MakeFolder(own(path)),
        Op::Unlink(path) => Event::Unlink(own(path)),
        Op::RemoveTree(path) => Event::RemoveTree(own(path)),
        Op::Open(_) | Op::Read(_) | Op::Look(_) | Op::Lock(_) | Op::Attributes(_) => return None,
    })
}
