//! What is done when many records are committed together: how often something is flushed, and in which order.

use super::deeds::{key, offered};
use super::folder;
use super::watch::{Event, recorded};
use crate::{Cache, Lookup, commit_all};
use std::collections::HashSet;
use std::path::Path;

#[test]
fn records_that_are_committed_together_are_flushed_first_and_each_folder_once() {
    let folder = folder();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    let nodes: Vec<String> = (0..600).map(|number| format!("node {number}")).collect();
    let offered = offered(&cache, &nodes).unwrap();
    let shards: HashSet<_> = nodes.iter().map(|node| key(node).hex()[..2].to_string()).collect();
    let mut committed = Vec::new();
    let (events, _) = recorded(None, || committed = commit_all(offered));
    assert_eq!(
        committed.into_iter().map(|it| it.unwrap().record.key).collect::<Vec<_>>(),
        nodes.iter().map(|node| key(node)).collect::<Vec<_>>()
    );
    let is_record = |path: &Path| path.extension().is_some_and(|ending| ending == "json");
    let at = |test: &dyn Fn(&Event) -> bool| -> Vec<usize> {
        events.iter().enumerate().filter(|(_, event)| test(event)).map(|(place, _)| place).collect()
    };
    let files = at(&|event| matches!(event, Event::SyncFile(_)));
    let names = at(&|event| matches!(event, Event::Rename(_, to) if is_record(to)));
    let is_shard = |path: &Path| path.parent().is_some_and(|above| above.ends_with("records-v1"));
    let folders = at(&|event| matches!(event, Event::SyncFolder(path) if is_shard(path)));
    assert_eq!((files.len(), names.len(), folders.len()), (nodes.len(), nodes.len(), shards.len()));
    assert!(files.last() < names.first() && names.last() < folders.first());
}

#[test]
fn one_that_fails_keeps_no_other_from_its_record() {
    let folder = folder();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    let nodes = ["a", "b", "c"].map(String::from);
    let mut offered = offered(&cache, &nodes).unwrap();
    offered[1].1.outputs[0].bytes += 1;
    let told: Vec<bool> = commit_all(offered).iter().map(Result::is_ok).collect();
    assert_eq!(told, [true, false, true]);
    let is_hit = |node: &String| matches!(cache.lookup(key(node), node, &mut |_| true), Ok(Lookup::Hit(_)));
    assert_eq!(nodes.iter().map(is_hit).collect::<Vec<_>>(), [true, false, true]);
}
