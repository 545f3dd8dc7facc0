//! Images on their way: the newest of every running node lies at one path in the results folder, where it can be watched;
//! stages write them under new names in folders that go away. It goes when its node is done, and stays when it failed.

use crate::event::{Event, Observer, Status};
use crate::note::say;
use crate::results::file_stem;
use ddpipe_cache::Key;
use std::io;
use std::path::{Path, PathBuf};

/// The folder below the results.
const FOLDER: &str = "previews";

/// Hands all events on, previews with their path in the results folder.
pub struct Previews<O> {
    folder: PathBuf,
    next: O,
    has_failed: bool,
}

impl<O: Observer> Previews<O> {
    /// Previews below this results folder.
    pub fn new(results: &Path, next: O) -> Self {
        Previews { folder: results.join(FOLDER), next, has_failed: false }
    }

    fn path(&self, node: &str) -> PathBuf {
        self.folder.join(format!("{}.png", file_stem(node)))
    }

    /// Whole or not at all: viewers read it at any time.
    fn keep(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let aside = self.folder.join(format!(".{}", to.file_name().unwrap_or_default().to_string_lossy()));
        std::fs::copy(from, &aside)?;
        std::fs::rename(&aside, to)
    }
}

impl<O: Observer> Observer for Previews<O> {
    fn on_event(&mut self, event: &Event) {
        if let Event::Preview { node, step, path } = event {
            let kept = self.path(node);
            match self.keep(path, &kept) {
                Ok(()) => return self.next.on_event(&Event::Preview { node: node.clone(), step: *step, path: kept }),
                // The stage may have removed it: it keeps the last few only.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => return,
                Err(error) if !self.has_failed => {
                    self.has_failed = true;
                    say(format!("could not write {}: {error}; images on their way are not kept", kept.display()));
                }
                Err(_) => {}
            }
        }
        self.next.on_event(event);
        match event {
            Event::Finished(outcome) if outcome.status == Status::Ran => {
                let _ = std::fs::remove_file(self.path(&outcome.node));
            }
            Event::Ended { .. } => {
                // Only where it is empty.
                let _ = std::fs::remove_dir(&self.folder);
            }
            _ => {}
        }
    }

    fn reaches(&mut self, key: Key) {
        self.next.reaches(key);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::event::Outcome;
    use std::cell::RefCell;
    use std::rc::Rc;

    struct Seen(Rc<RefCell<Vec<PathBuf>>>);

    impl Observer for Seen {
        fn on_event(&mut self, event: &Event) {
            if let Event::Preview { path, .. } = event {
                self.0.borrow_mut().push(path.clone());
            }
        }
    }

    #[test]
    fn the_newest_image_lies_at_one_path_until_its_node_is_done() {
        let temp = tempfile::tempdir().unwrap();
        let (results, seen) = (temp.path().join("results/p"), Rc::default());
        let mut previews = Previews::new(&results, Seen(Rc::clone(&seen)));
        for step in [1u64, 2] {
            let path = temp.path().join(format!("preview-{step}.png"));
            std::fs::write(&path, step.to_string()).unwrap();
            previews.on_event(&Event::Preview { node: "a[x=b/c]".into(), step, path });
        }
        let kept = results.join("previews/a[x=b_c].png");
        assert_eq!(*seen.borrow(), [kept.clone(), kept.clone()]);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "2");
        let outcome = |status| Outcome { status, ..Outcome::of("a[x=b/c]") };
        previews.on_event(&Event::Finished(outcome(Status::Failed)));
        assert!(kept.exists());
        previews.on_event(&Event::Finished(outcome(Status::Ran)));
        previews.on_event(&Event::Ended { counts: Default::default(), seconds: 1.0 });
        assert!(!kept.parent().unwrap().exists());
    }
}
