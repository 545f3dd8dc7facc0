//! The state of the project's git repository, for provenance. Read by a library, so that no program, hook or filter of the
//! repository is run.

use ddpipe_cache::Commit;
use git2::{Repository, StatusOptions};
use std::path::Path;

/// The commit that is checked out in the repository around `folder`, and whether tracked files differ from it; none
/// outside a repository, and in one without a commit.
pub fn of(folder: &Path) -> Option<Commit> {
    let repository = Repository::discover(folder).ok()?;
    let hash = repository.head().ok()?.peel_to_commit().ok()?.id().to_string();
    let mut options = StatusOptions::new();
    options.include_untracked(false).include_ignored(false).exclude_submodules(true);
    let dirty = match repository.statuses(Some(&mut options)) {
        Ok(statuses) => !statuses.is_empty(),
        Err(error) => {
            tracing::warn!(%error, "the files of the git repository could not be compared; it counts as changed");
            true
        }
    };
    Some(Commit { hash, dirty })
}

/// A commit in words.
pub(crate) fn in_words(commit: &Commit) -> String {
    let dirty = if commit.dirty { ", with files that differ from it" } else { "" };
    format!("{}{dirty}", commit.hash)
}
