//! `ddpipe verify` without `--recompute`: every node of a manifest is looked up, its outputs are hashed, and its record's
//! commit is compared with the one that is checked out. Computes nothing and changes nothing.

use super::super::project::{Planned, Project};
use super::super::{Done, print};
use super::Args;
use crate::commit;
use crate::exit::{Exit, Fault};
use crate::plan::Verdict;
use crate::size;
use crate::slots;
use crate::visible::visible;
use ddpipe_cache::{Commit, Digest, Record};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn run(args: &Args) -> Done {
    let slots = slots::find(&args.device, None, args.threads.map(usize::from))?;
    let project = args.manifest.open(&slots)?;
    let Planned { plan, .. } = project.planned()?;
    let mut text = String::new();
    let mut recorded: Vec<(String, Arc<Record>)> = Vec::new();
    let mut missing = 0usize;
    for (node, verdict) in project.pipeline.nodes.iter().zip(&plan.verdicts) {
        let why = match verdict {
            Verdict::NotSelected => continue,
            Verdict::LeftOut { file } => {
                text.push_str(&format!("{}: left out ({file} is not there)\n", node.address()));
                continue;
            }
            Verdict::Fresh(record) => {
                recorded.push((node.address(), record.clone()));
                continue;
            }
            Verdict::Run { reasons, .. } => reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Verdict::Waiting { on } => {
                let on: Vec<String> = on.iter().map(|id| project.pipeline.node(*id).address()).collect();
                format!("it reads {}", on.join(", "))
            }
            Verdict::Unreadable { error } => error.to_string(),
            Verdict::Missing { file } => format!("the source file {file} is not there"),
        };
        missing += 1;
        text.push_str(&format!("{}: not on record ({why})\n", node.address()));
    }
    let hashed = hash(&project, &recorded)?;
    text.push_str(&hashed.words(&recorded));
    let (commits, same) = commits(&recorded, commit::of(&project.pipeline.root).as_ref());
    let (nodes, there) = (recorded.len() + missing, recorded.len());
    let (blobs, bytes) = (hashed.whole, size::show(hashed.bytes));
    let name = &project.pipeline.name;
    text.push_str(&format!("{name}: {there} of {nodes} nodes are on record; {blobs} outputs are whole ({bytes})\n"));
    text.push_str(&commits);
    print(&visible(&text))?;
    let good = missing == 0 && hashed.bad.is_empty() && (same || !args.same_commit);
    Ok(if good { Exit::Ok } else { Exit::Stage })
}

/// What hashing all outputs came to.
#[derive(Default)]
struct Hashed {
    whole: usize,
    bytes: u64,
    /// What is wrong, by the digest that was recorded.
    bad: BTreeMap<Digest, String>,
}

/// Hashes the bytes of every output of these records once, on all processors.
fn hash(project: &Project, recorded: &[(String, Arc<Record>)]) -> Result<Hashed, Fault> {
    let outputs = recorded.iter().flat_map(|(_, record)| record.outputs.values());
    let digests: BTreeMap<Digest, u64> = outputs.map(|output| (output.digest, output.bytes)).collect();
    for (digest, bytes) in &digests {
        project.cache.bring(*digest, *bytes)?;
    }
    let digests: BTreeSet<Digest> = digests.into_keys().collect();
    let found: Vec<(Digest, std::io::Result<(Digest, u64)>)> =
        digests.into_par_iter().map(|digest| (digest, Digest::of_file(&project.cache.blobs().path(digest)))).collect();
    let mut hashed = Hashed::default();
    for (digest, found) in found {
        match found {
            Ok((found, bytes)) if found == digest => {
                hashed.whole += 1;
                hashed.bytes += bytes;
            }
            Ok(_) => {
                hashed
                    .bad
                    .insert(digest, "damaged; `ddpipe cache verify` sets it aside, and `run` makes it again".into());
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                hashed.bad.insert(digest, "not there any more; `ddpipe run` makes it again".into());
            }
            Err(error) => return Err(Fault::io("read", &project.cache.blobs().path(digest), &error)),
        }
    }
    Ok(hashed)
}

impl Hashed {
    /// A line for each output that is not whole.
    fn words(&self, recorded: &[(String, Arc<Record>)]) -> String {
        let mut text = String::new();
        for (node, record) in recorded {
            for (name, output) in &record.outputs {
                if let Some(why) = self.bad.get(&output.digest) {
                    text.push_str(&format!("{node}: its output {name} is {why}\n"));
                }
            }
        }
        text
    }
}

/// From which commits the records come, and whether all come from the one that is checked out, without changes.
fn commits(recorded: &[(String, Arc<Record>)], here: Option<&Commit>) -> (String, bool) {
    let mut counts: BTreeMap<Option<(&str, bool)>, usize> = BTreeMap::new();
    for (_, record) in recorded {
        let commit = record.provenance.commit.as_ref().map(|commit| (commit.hash.as_str(), commit.dirty));
        *counts.entry(commit).or_default() += 1;
    }
    let short = |hash: &str| hash.chars().take(10).collect::<String>();
    let mut same = true;
    let mut words = Vec::new();
    for (commit, count) in counts {
        let is_here = |hash: &str| here.is_some_and(|here| here.hash == hash);
        words.push(match commit {
            None => {
                same = false;
                format!("{count} made outside of git")
            }
            Some((hash, dirty)) => {
                same &= is_here(hash) && !dirty;
                let which = if is_here(hash) { "this commit" } else { "another commit" };
                let changed = if dirty { ", with uncommitted changes" } else { "" };
                format!("{count} made at {which}, {}{changed}", short(hash))
            }
        });
    }
    if words.is_empty() {
        return (String::new(), true);
    }
    let now = match here {
        Some(here) if here.dirty => format!("; now at {} with uncommitted changes", short(&here.hash)),
        Some(here) => format!("; now at {}", short(&here.hash)),
        None => "; now outside of git".into(),
    };
    (format!("records: {}{now}\n", words.join("; ")), same)
}
