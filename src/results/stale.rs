//! Files of earlier runs that a run did not write again. What ddpipe did not write, or somebody has changed since, is
//! left alone.

use super::account::{Account, FileAccount};
use crate::pipeline::Pipeline;
use ddpipe_cache::Digest;
use indexmap::IndexMap;
use std::collections::HashSet;
use std::path::{Component, Path};

/// The folder below the results that takes files of nodes which have failed since.
pub const OUTDATED: &str = "outdated";

/// Settles what becomes of the files that `before` lists and `now` does not, and notes what stays. Gives what to say.
pub(super) fn settle(folder: &Path, before: &Account, now: &mut Account, pipeline: &Pipeline) -> Vec<String> {
    let nodes: HashSet<String> = pipeline.nodes.iter().map(|node| node.address()).collect();
    let renewed: HashSet<String> = now.files.values().map(|file| file.node.clone()).collect();
    let mut said = Vec::new();
    for (name, file) in &before.files {
        let below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if now.files.contains_key(name) || !below || !is_ours(&folder.join(name), file) {
            continue;
        }
        let failed = now.lacking.get(&file.node).is_some_and(|reason| !super::is_no_failure(reason));
        let gone = now.complete && !nodes.contains(&file.node);
        if gone || renewed.contains(&file.node) {
            said.extend(remove(folder, name));
        } else if failed && !name.starts_with(OUTDATED) {
            said.extend(set_aside(folder, name, file, &mut now.files));
        } else {
            now.files.insert(name.clone(), file.clone());
        }
    }
    let _ = std::fs::remove_dir(folder.join(OUTDATED));
    said
}

/// Moves a file that somebody changed, or put where ddpipe writes, out of the way of the bytes that come there. Gives what
/// to say. `is_ours` tells whether bytes are an earlier run's after all.
pub(super) fn spare(
    folder: &Path,
    name: &str,
    bytes: &[u8],
    before: Option<&Account>,
    is_ours: impl Fn(&[u8]) -> bool,
) -> Option<String> {
    let listed = before?.files.get(name);
    let there = std::fs::read(folder.join(name)).ok()?;
    if there == bytes || listed.is_some_and(|file| file.digest == Digest::of(&there)) || is_ours(&there) {
        return None;
    }
    let to = free(folder, name);
    let moved = std::fs::create_dir_all(folder.join(OUTDATED))
        .and_then(|()| std::fs::rename(folder.join(name), folder.join(&to)));
    let path = folder.join(name).display().to_string();
    Some(match moved {
        Ok(()) => {
            format!("{path} was changed since ddpipe wrote it; the changed file is now {}", folder.join(&to).display())
        }
        Err(error) => {
            format!("{path} was changed since ddpipe wrote it, is written again, and could not be kept: {error}")
        }
    })
}

/// A name in the folder of what is outdated that nothing has yet: `outdated/table.md`, `outdated/table-2.md`.
fn free(folder: &Path, name: &str) -> String {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let dot = if ending.is_empty() { "" } else { "." };
    let mut to = format!("{OUTDATED}/{name}");
    let mut number = 2;
    while folder.join(&to).symlink_metadata().is_ok() {
        to = format!("{OUTDATED}/{stem}-{number}{dot}{ending}");
        number += 1;
    }
    to
}

/// Whether a file is still the one that ddpipe wrote.
fn is_ours(path: &Path, file: &FileAccount) -> bool {
    std::fs::read(path).is_ok_and(|bytes| Digest::of(&bytes) == file.digest)
}

fn remove(folder: &Path, name: &str) -> Option<String> {
    let error = std::fs::remove_file(folder.join(name)).err()?;
    Some(format!("could not remove {}, which no node makes any more: {error}", folder.join(name).display()))
}

fn set_aside(
    folder: &Path,
    name: &str,
    file: &FileAccount,
    files: &mut IndexMap<String, FileAccount>,
) -> Option<String> {
    let to = free(folder, name);
    let moved = std::fs::create_dir_all(folder.join(OUTDATED))
        .and_then(|()| std::fs::rename(folder.join(name), folder.join(&to)));
    match moved {
        Ok(()) => {
            files.insert(to, file.clone());
            None
        }
        Err(error) => {
            files.insert(name.to_string(), file.clone());
            Some(format!("{} is of an earlier run and could not be moved: {error}", folder.join(name).display()))
        }
    }
}
