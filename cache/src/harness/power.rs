//! Power cuts. What each deed does to the file system is recorded; then the power is cut after every single operation, and
//! the cache is opened in every folder that the model (`power_model.rs`) allows, or in many of them. What had been reported
//! as recorded must be whole, nothing may have wrong bytes, verification must find nothing, and the deed must give the same
//! digests when it is done again.

use super::deeds::{BEFORE, DEEDS, Deed, key, outside};
use super::power_model::{Found, Model};
use super::scene::{examine, furnish};
use super::watch::{Class, Event, Fault, How, recorded};
use super::{Chance, folder, soak};
use crate::{Digest, Key};
use nix::errno::Errno;
use std::collections::HashSet;
use std::fs;
use tempfile::TempDir;

/// How many folders are looked at after one operation, in the quick form.
const MOST: usize = 16;

#[test]
fn the_power_is_cut_after_every_operation() {
    let mut cuts = 0;
    let mut states = 0;
    for deed in DEEDS {
        for fresh in [true, false] {
            // What reads or removes needs something to read or remove.
            if fresh && matches!(deed, Deed::Force | Deed::Hit | Deed::Collect | Deed::Learn) {
                continue;
            }
            // What was there before makes no difference to it that it makes not to one commit.
            if !fresh && deed == Deed::CommitAll {
                continue;
            }
            let story = Story::of(deed, fresh, None);
            cuts += story.events.len();
            states += story.cut(0);
        }
    }
    println!("power: {cuts} cuts, {states} different folders found after them, 0 accepted wrongly");
    assert!(cuts > 200, "{cuts}");
}

/// What one deed did, and what must survive it.
struct Story {
    deed: Deed,
    folder: TempDir,
    /// The file system before.
    model: Model,
    kept: Vec<Key>,
    events: Vec<Event>,
    digests: Vec<Digest>,
    /// Whether the fault was met, if there was one.
    struck: bool,
}

impl Story {
    /// The deed, done again after an error.
    fn of(deed: Deed, fresh: bool, fault: Option<Fault>) -> Self {
        let folder = folder();
        let root = folder.path().join("cache");
        fs::write(outside(&root), "from outside").unwrap();
        let mut kept: Vec<Key> = Vec::new();
        if !fresh {
            furnish(&root);
            kept = if deed == Deed::Collect { vec![key("pinned")] } else { BEFORE.map(key).to_vec() };
        }
        let model = Model::of(folder.path());
        let mut digests = Vec::new();
        let (events, struck) = recorded(fault, || {
            digests = deed.run(&root).or_else(|_| deed.run(&root)).unwrap();
        });
        Story { deed, folder, model, kept, events, digests, struck }
    }

    /// Cuts the power after every operation from the `first` on; how many different folders were found.
    fn cut(mut self, first: usize) -> usize {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let mut seen = HashSet::new();
        for (number, event) in self.events.iter().enumerate() {
            self.model.follow(event, self.folder.path());
            if let Event::Reported(key) = event {
                self.kept.push(*key);
            }
            if number < first {
                continue;
            }
            for found in self.model.found(MOST * soak(), &mut chance) {
                if seen.insert((found.clone(), self.kept.len()))
                    && let Err(wrong) = self.look(&found)
                {
                    panic!("{:?} cut after {number} {event:?}: {wrong}\n{:#?}", self.deed, self.events);
                }
            }
        }
        seen.len()
    }

    fn look(&self, found: &Found) -> Result<(), String> {
        let place = folder();
        found.lay_out(place.path());
        let root = place.path().join("cache");
        examine(&root, &self.kept)?;
        let again = self.deed.run(&root).map_err(|error| error.to_string())?;
        if again != self.digests {
            return Err(format!("done again it gave {again:?}"));
        }
        examine(&root, &self.kept).map_err(|wrong| format!("done again: {wrong}"))
    }
}

/// A flush fails, the deed is done again by the same process and reports success; then the power is cut. What the first
/// attempt left under its name must be flushed by the second.
#[test]
fn the_power_is_cut_after_a_flush_failed_and_the_deed_was_done_again() {
    let (mut faults, mut states) = (0, 0);
    for class in [Class::SyncFolder, Class::SyncFile, Class::Rename] {
        for nth in 1.. {
            let fault = Fault { class, nth, errno: Errno::EIO as i32, how: How::Once };
            let story = Story::of(Deed::Commit, true, Some(fault));
            if !story.struck {
                break;
            }
            let reported = story.events.iter().position(|event| matches!(event, Event::Reported(_)));
            states += story.cut(reported.unwrap_or(usize::MAX));
            faults += 1;
        }
    }
    println!(
        "power: {faults} failed flushes with cuts afterwards, {states} different folders found, 0 accepted wrongly"
    );
    assert!(faults > 5, "{faults}");
}
