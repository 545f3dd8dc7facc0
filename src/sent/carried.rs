//! What one process of a run has written into the run's folder for the others, and what they have written, carried to and from
//! the remote. Files have the same names there, below the run's own. A pilot's journal goes piece by piece, as it grows. Knows no
//! thread and no clock.

use crate::results::write_whole;
use crate::told::{JOURNAL, PROGRESS};
use ddpipe_cache::shared::{Notes, Seen, StoreError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders and files of a run's folder that its processes write for each other.
const STOP: &str = crate::peers::STOP;
const FAILED: &str = crate::peers::FAILED;
const BEGUN: &str = crate::peers::BEGUN;
const PILOTS: &str = crate::peers::PILOTS;
/// In the remote, the folder of what single pilots wrote into folders of their own.
const PARTS: &str = "parts";
/// The file in the folder of a part that names its run.
const OF: &str = "of";
/// A piece of a journal that is so long is followed by another.
const PIECE: usize = 256 << 10;
/// The files of these folders that others want to see, in the order in which they are sent: once the last is there, all are.
const WHOLE: [&str; 3] = ["reached.json", PROGRESS, crate::ended::FILE];

/// Which end of the exchange a process is.
#[derive(Clone, Debug)]
pub enum End {
    /// A pilot, with the folder of its own part and the name of that for others.
    Pilot {
        /// The folder.
        part: PathBuf,
        /// What the others call it.
        name: String,
    },
    /// The command that watches, with the folder of all runs.
    Watcher {
        /// That folder.
        runs: PathBuf,
    },
}

/// A file of a part: its name there, and the note that has it.
type FileThere<'a> = (&'a str, &'a (String, Seen));

/// What was carried so far.
#[derive(Debug)]
pub struct Carried {
    notes: Notes,
    /// The run's folder here.
    folder: PathBuf,
    end: End,
    /// Files from here that are there, as they were.
    sent: HashMap<String, Option<(u64, SystemTime)>>,
    /// Notes from there that are here, as they were.
    got: HashMap<String, u64>,
    /// Where the piece of the journal begins that is being sent, and how much of it is there.
    piece: (u64, usize),
}

impl Carried {
    /// Nothing yet.
    pub fn new(notes: Notes, folder: PathBuf, end: End) -> Self {
        Carried { notes, folder, end, sent: HashMap::new(), got: HashMap::new(), piece: (0, 0) }
    }

    /// Sends what the others have to know at once, if there is any: that a node was begun, has failed or has ended, that the run
    /// is to stop. Asks for nothing where nothing is new.
    ///
    /// # Errors
    /// Those of the remote.
    pub fn send_news(&mut self) -> Result<(), StoreError> {
        let mut names = vec![STOP.to_string()];
        if matches!(self.end, End::Pilot { .. }) {
            names = [PILOTS, FAILED, BEGUN].iter().flat_map(|folder| names_in(&self.folder, folder)).collect();
        }
        let is_ours = |name: &String| !self.got.contains_key(name);
        let here: HashSet<String> =
            names.into_iter().filter(is_ours).filter(|name| self.folder.join(name).is_file()).collect();
        for name in &here {
            self.send(name, &self.folder.join(name), false)?;
        }
        let is_gone = |name: &&String| name.starts_with(BEGUN) && !here.contains(*name);
        let gone: Vec<String> = self.sent.keys().filter(is_gone).cloned().collect();
        for name in gone {
            self.notes.remove(&name)?;
            self.sent.remove(&name);
        }
        Ok(())
    }

    /// Carries everything that is new to and fro.
    ///
    /// # Errors
    /// Those of the remote.
    pub fn carry(&mut self) -> Result<(), StoreError> {
        self.send_news()?;
        match self.end.clone() {
            End::Pilot { part, name } => {
                self.send_journal(&part, &name)?;
                for file in WHOLE {
                    self.send(&format!("{PARTS}/{name}/{file}"), &part.join(file), true)?;
                }
                let mut listed = self.notes.list(FAILED)?;
                listed.extend(self.notes.list(BEGUN)?);
                listed.extend(self.notes.look(STOP)?.map(|seen| (STOP.to_string(), seen)));
                self.get_news(&listed)
            }
            End::Watcher { runs } => {
                let listed = self.notes.list("")?;
                self.get_news(&listed)?;
                self.get_parts(&runs, &listed)
            }
        }
    }

    /// Sends a file that is new, or may change and has changed.
    fn send(&mut self, name: &str, path: &Path, may_change: bool) -> Result<(), StoreError> {
        let stamp = fs::metadata(path).ok().and_then(|seen| Some((seen.len(), seen.modified().ok()?)));
        let is_known = self.sent.get(name).is_some_and(|sent| !may_change || *sent == stamp);
        if is_known || stamp.is_none() {
            return Ok(());
        }
        if let Ok(text) = fs::read(path) {
            self.notes.put(name, &text)?;
            self.sent.insert(name.to_string(), stamp);
        }
        Ok(())
    }

    /// Sends the piece of the journal that grows, if it has new lines; a long one is followed by another.
    fn send_journal(&mut self, part: &Path, name: &str) -> Result<(), StoreError> {
        let (from, sent) = self.piece;
        let mut piece = Vec::new();
        let read = File::open(part.join(JOURNAL)).and_then(|mut file| {
            file.seek(SeekFrom::Start(from))?;
            file.read_to_end(&mut piece)
        });
        let whole = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if read.is_err() || whole <= sent {
            return Ok(());
        }
        self.notes.put(&format!("{PARTS}/{name}/{JOURNAL}/{from:015}"), &piece[..whole])?;
        self.piece = if whole >= PIECE { (from + whole as u64, 0) } else { (from, whole) };
        Ok(())
    }

    /// Takes over what the other processes say of the run: that it is to stop, which nodes have failed and which are begun, and
    /// which pilot has which part.
    fn get_news(&mut self, listed: &[(String, Seen)]) -> Result<(), StoreError> {
        let watches = matches!(self.end, End::Watcher { .. });
        let is_news = |name: &str| match name.split_once('/') {
            None => name == STOP,
            Some((FAILED | BEGUN, file)) => is_plain(file),
            Some((PILOTS, file)) => watches && is_plain(file) && (file.ends_with(".run") || file.ends_with(".log")),
            Some(_) => false,
        };
        for (name, seen) in listed.iter().filter(|(name, _)| is_news(name)) {
            if self.sent.contains_key(name) {
                continue;
            }
            let path = self.folder.join(name);
            self.get(name, seen, &path)?;
        }
        let there: HashSet<&String> = listed.iter().map(|(name, _)| name).collect();
        let is_gone = |name: &&String| name.starts_with(BEGUN) && !there.contains(name);
        let gone: Vec<String> = self.got.keys().filter(is_gone).cloned().collect();
        for name in gone {
            let _ = fs::remove_file(self.folder.join(&name));
            self.got.remove(&name);
        }
        Ok(())
    }

    /// Takes over what pilots wrote into folders of their own.
    fn get_parts(&mut self, runs: &Path, listed: &[(String, Seen)]) -> Result<(), StoreError> {
        let mut parts: BTreeMap<&str, Vec<FileThere<'_>>> = BTreeMap::new();
        for entry in listed {
            let below = entry.0.strip_prefix(PARTS).and_then(|rest| rest.strip_prefix('/')?.split_once('/'));
            if let Some((part, file)) = below.filter(|(part, _)| is_plain(part)) {
                parts.entry(part).or_default().push((file, entry));
            }
        }
        for (part, mut files) in parts {
            let folder = runs.join(part);
            if !self.is_a_part(part, &folder) {
                continue;
            }
            // The journal first: once it is seen that a part has ended, all of it is here.
            files.sort_by_key(|(file, _)| *file);
            for (file, (name, seen)) in &files {
                let offset = file.strip_prefix(JOURNAL).and_then(|rest| rest.strip_prefix('/')?.parse::<u64>().ok());
                if let Some(offset) = offset.filter(|_| self.got.get(name) != Some(&seen.version)) {
                    self.get_piece(name, seen, &folder, offset)?;
                }
            }
            for whole in WHOLE {
                if let Some((_, (name, seen))) = files.iter().find(|(file, _)| *file == whole) {
                    self.get(name, seen, &folder.join(whole))?;
                }
            }
        }
        Ok(())
    }

    /// Whether what is noted there under this name is a part of this run: one of its pilots says so, and no other run has the
    /// folder here. Whoever can write to the remote can write any name there.
    fn is_a_part(&self, part: &str, folder: &Path) -> bool {
        let marked = folder.join(OF);
        let run = self.folder.file_name().unwrap_or_default().as_encoded_bytes();
        if let Ok(of) = fs::read(&marked) {
            return of == run;
        }
        let pilots = names_in(&self.folder, PILOTS).into_iter().filter(|name| name.ends_with(".run"));
        let mut named = pilots.filter_map(|name| fs::read_to_string(self.folder.join(name)).ok());
        // Marked before anything else of it is here.
        !folder.exists()
            && named.any(|named| named.trim() == part)
            && fs::create_dir_all(folder).and_then(|()| fs::write(&marked, run)).is_ok()
    }

    fn get(&mut self, name: &str, seen: &Seen, path: &Path) -> Result<(), StoreError> {
        if self.got.get(name) == Some(&seen.version) {
            return Ok(());
        }
        let Some(text) = self.text(name, seen)? else { return Ok(()) };
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).map_err(Into::into);
        if let Err(fault) = written.and_then(|()| write_whole(path, &text)) {
            tracing::warn!(%fault, "what a pilot said is not noted here");
            return Ok(());
        }
        self.got.insert(name.to_string(), seen.version);
        Ok(())
    }

    /// The text of a note. One that is none of ours, such as one that is far too long, is left out, and the others are carried.
    fn text(&mut self, name: &str, seen: &Seen) -> Result<Option<Vec<u8>>, StoreError> {
        match self.notes.get(name) {
            Err(StoreError::Other(error)) => {
                tracing::warn!("a note of the run is left out: {error}");
                self.got.insert(name.to_string(), seen.version);
                Ok(None)
            }
            text => text,
        }
    }

    /// Adds what is new of a piece of a journal.
    fn get_piece(&mut self, name: &str, seen: &Seen, folder: &Path, offset: u64) -> Result<(), StoreError> {
        let path = folder.join(JOURNAL);
        let here = fs::metadata(&path).map_or(0, |seen| seen.len());
        let Some(known) = here.checked_sub(offset) else { return Ok(()) };
        if known < seen.bytes {
            let Some(piece) = self.text(name, seen)? else { return Ok(()) };
            let new = piece.get(known as usize..).unwrap_or_default();
            let mut open = File::options();
            let added =
                fs::create_dir_all(folder).and_then(|()| open.create(true).append(true).open(&path)?.write_all(new));
            if let Err(error) = added {
                tracing::warn!(%error, "what a pilot told is not noted here");
                return Ok(());
            }
        }
        self.got.insert(name.to_string(), seen.version);
        Ok(())
    }
}

/// The files of a folder in the run's folder, with its name before theirs.
fn names_in(run: &Path, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(run.join(folder)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_plain(name));
    names.map(|name| format!("{folder}/{name}")).collect()
}

/// Whether a name is one of a file of ours, and leads to no other folder.
fn is_plain(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(is_letter)
}
