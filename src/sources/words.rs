//! What is said about source files that are not there: once for each source, whatever the number of its files and nodes.

use super::{Missing, Sources};
use crate::pipeline::Pipeline;
use indexmap::IndexMap;
use std::path::Path;

/// Names of files or nodes that are said before the rest is counted.
const NAMES: usize = 3;

/// One sentence for each source with files whose digest on record is used in their place.
pub fn stand_ins(sources: &Sources) -> Vec<String> {
    let known = sources.missing.iter().filter(|missing| missing.digest.is_some());
    let sentence = |(source, files): (&str, Vec<&Missing>)| {
        let (is, its) = match files.len() {
            1 => ("is", "its digest on record is"),
            _ => ("are", "their digests on record are"),
        };
        format!("{source}: {} {is} not here; {its} used", names(files.iter().map(|missing| missing.file.as_str())))
    };
    by_source(known).into_iter().map(sentence).collect()
}

/// One sentence for each optional source without which nodes are left out; `nodes` has them by the name of the file.
pub fn left_out(pipeline: &Pipeline, sources: &Sources, nodes: &[(String, String)]) -> Vec<String> {
    let named = |missing: &&Missing| nodes.iter().any(|(file, _)| *file == missing.name());
    let blamed = by_source(sources.missing.iter().filter(named));
    let sentence = |(source, _): (&str, Vec<&Missing>)| {
        let all: Vec<&Missing> = sources.missing.iter().filter(|missing| missing.source == source).collect();
        let of_it = |file: &str| all.iter().any(|missing| missing.name() == file);
        let left: Vec<&str> = nodes.iter().filter(|(file, _)| of_it(file)).map(|(_, node)| node.as_str()).collect();
        let files = names(all.iter().map(|missing| missing.file.as_str()));
        let is = if all.len() == 1 { "is" } else { "are" };
        let folder = pipeline.sources.get(source).map(|source| shown(&source.path, &pipeline.root)).unwrap_or_default();
        let noun = if left.len() == 1 { "node that needs it is" } else { "nodes that need it are" };
        let obtain = all.iter().find_map(|missing| missing.obtain.as_ref());
        let obtain = obtain.map_or(String::new(), |words| format!("\n  to get it: {words}"));
        let count = left.len();
        format!(
            "the optional source {source} is not here: {files} {is} not in {folder}; {count} {noun} left out{obtain}"
        )
    };
    blamed.into_iter().map(sentence).collect()
}

/// `distill needs`, `distill and train need`, `distill, train, evaluate and 7 more need`.
pub(super) fn needing(nodes: &[String]) -> String {
    let verb = if nodes.len() == 1 { "needs" } else { "need" };
    format!("{} {verb}", names(nodes.iter().map(String::as_str)))
}

fn by_source<'m>(missing: impl Iterator<Item = &'m Missing>) -> IndexMap<&'m str, Vec<&'m Missing>> {
    let mut by_source: IndexMap<&str, Vec<&Missing>> = IndexMap::new();
    for missing in missing {
        by_source.entry(missing.source.as_str()).or_default().push(missing);
    }
    by_source
}

fn names<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let count = names.len();
    let names: Vec<&str> = names.take(if count == NAMES + 1 { count } else { NAMES }).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        some if some.len() < count => format!("{} and {} more", some.join(", "), count - some.len()),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

fn shown(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
