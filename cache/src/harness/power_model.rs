//! A model of a file system that loses power. It is told what was done, and gives every folder that may be found
//! afterwards. It promises less than any file system in use:
//!
//! - The bytes of a file are sure once the file was flushed. Until then any of these may be found: what was sure, nothing,
//!   the first half, zeros of the right length, the bytes with a hole where the first write was, or everything.
//! - A name in a folder is sure once that folder was flushed. Until then each name may be found to mean any of the files
//!   that it meant since, or none if it was new or removed, whatever other names mean. So names of one folder and of
//!   different folders may be kept in any order; of a rename the old name alone, the new one, both or neither may be there.
//! - Flushing a file says nothing of its name, and flushing a folder nothing of the folder's own name.
//! - What a flush has made sure is never lost, and a single name never means something that it did not mean once.
//!
//! Modes and times are not modelled, nor errors of the flush itself.

use super::Chance;
use super::watch::Event;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path};

/// A file or folder, whatever its names.
type Inode = usize;

#[derive(Clone, Default)]
struct Node {
    folder: bool,
    sure: Vec<u8>,
    live: Vec<u8>,
    /// The length of the first write since the last flush.
    first: Option<usize>,
}

/// All states in which a name may be found; the last is what processes see.
type Meanings = Vec<Option<Inode>>;

/// Everything that may be found. Inode 0 is the outermost folder.
#[derive(Clone, Default)]
pub struct Model {
    nodes: Vec<Node>,
    names: BTreeMap<(Inode, String), Meanings>,
}

impl Model {
    /// What is in this folder, all of it flushed.
    pub fn of(folder: &Path) -> Self {
        let mut model = Model { nodes: vec![Node { folder: true, ..Node::default() }], names: BTreeMap::new() };
        model.import(folder, 0);
        model
    }

    fn import(&mut self, folder: &Path, inode: Inode) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let inner = self.nodes.len();
            let is_folder = entry.file_type().unwrap().is_dir();
            let bytes = if is_folder { Vec::new() } else { fs::read(entry.path()).unwrap() };
            self.nodes.push(Node { folder: is_folder, sure: bytes.clone(), live: bytes, first: None });
            self.names.insert((inode, entry.file_name().into_string().unwrap()), vec![Some(inner)]);
            if is_folder {
                self.import(&entry.path(), inner);
            }
        }
    }

    /// Follows one event. Its paths are below the outermost folder.
    pub fn follow(&mut self, event: &Event, outermost: &Path) {
        let below = |path: &'_ Path| path.strip_prefix(outermost).unwrap().to_path_buf();
        match event {
            Event::Create(path) => self.make(&below(path), false),
            Event::MakeFolder(path) => self.make(&below(path), true),
            Event::Write(path, bytes) => self.write(&below(path), bytes, false),
            Event::Rewrite(path, bytes) => self.write(&below(path), bytes, true),
            Event::SyncFile(path) => {
                let node = self.find(&below(path)).unwrap();
                let node = &mut self.nodes[node];
                (node.sure, node.first) = (node.live.clone(), None);
            }
            Event::SyncFolder(path) => {
                if let Some(folder) = path.strip_prefix(outermost).ok().map(|path| self.find(path).unwrap()) {
                    let inside = self.names.iter_mut().filter(|((above, _), _)| *above == folder);
                    inside.for_each(|(_, meanings)| drop(meanings.drain(..meanings.len() - 1)));
                }
            }
            Event::Rename(from, to) => {
                let moved = self.find(&below(from));
                self.mean(&below(to), moved);
                self.mean(&below(from), None);
            }
            Event::Unlink(path) => self.mean(&below(path), None),
            Event::RemoveTree(path) => self.remove(&below(path)),
            Event::Reported(_) => {}
        }
    }

    fn place(&self, path: &Path) -> (Inode, String) {
        let above = path.parent().and_then(|above| self.find(above)).unwrap_or_else(|| panic!("{path:?}"));
        (above, path.file_name().unwrap().to_str().unwrap().to_string())
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        path.components().try_fold(0, |folder, part| {
            let Component::Normal(name) = part else { return Some(folder) };
            *self.names.get(&(folder, name.to_str()?.to_string()))?.last()?
        })
    }

    fn mean(&mut self, path: &Path, meaning: Option<Inode>) {
        self.names.entry(self.place(path)).or_insert_with(|| vec![None]).push(meaning);
    }

    fn make(&mut self, path: &Path, folder: bool) {
        self.nodes.push(Node { folder, ..Node::default() });
        self.mean(path, Some(self.nodes.len() - 1));
    }

    fn write(&mut self, path: &Path, bytes: &[u8], anew: bool) {
        // A lock file whose name is gone can still be written to; nobody will find it.
        let Some(inode) = self.find(path) else { return };
        let node = &mut self.nodes[inode];
        if anew {
            node.live.clear();
        }
        node.first.get_or_insert(bytes.len());
        node.live.extend_from_slice(bytes);
    }

    fn remove(&mut self, path: &Path) {
        let Some(inode) = self.find(path) else { return };
        let names: Vec<String> =
            self.names.keys().filter(|(above, _)| *above == inode).map(|(_, name)| name.clone()).collect();
        for inner in names.iter().map(|name| path.join(name)) {
            if self.find(&inner).is_some() {
                self.remove(&inner);
            }
        }
        self.mean(path, None);
    }

    /// What may be found: all of it if that is at most `most` folders, and otherwise so many of them by chance, among them
    /// the one with everything and the one with nothing but what is sure.
    pub fn found(&self, most: usize, chance: &mut Chance) -> Vec<Found> {
        let open: Vec<usize> = self.sizes();
        let total = open.iter().try_fold(1usize, |total, size| total.checked_mul(*size)).unwrap_or(usize::MAX);
        if total <= most {
            return (0..total).map(|number| self.choose(&mut digits(number, &open))).collect();
        }
        let mut chosen = vec![open.iter().map(|size| size - 1).collect::<Vec<_>>(), vec![0; open.len()]];
        chosen.extend((2..most).map(|_| open.iter().map(|size| chance.below(*size)).collect()));
        chosen.into_iter().map(|choice| self.choose(&mut choice.into_iter())).collect()
    }

    /// The number of choices of each name, and then of each file.
    fn sizes(&self) -> Vec<usize> {
        let names = self.names.values().map(Vec::len);
        names.chain(self.nodes.iter().map(|node| contents(node).len())).collect()
    }

    fn choose(&self, choice: &mut impl Iterator<Item = usize>) -> Found {
        let names: Vec<_> =
            self.names.iter().map(|(place, meanings)| (place, meanings[choice.next().unwrap()])).collect();
        let bytes: Vec<Vec<u8>> =
            self.nodes.iter().map(|node| contents(node).swap_remove(choice.next().unwrap())).collect();
        let mut found = Found::default();
        let mut todo = vec![(0, String::new())];
        while let Some((inode, path)) = todo.pop() {
            for ((_, name), meaning) in names.iter().filter(|((above, _), _)| *above == inode) {
                let Some(inner) = *meaning else { continue };
                let path = format!("{path}{name}");
                if self.nodes[inner].folder {
                    todo.push((inner, format!("{path}/")));
                    found.0.insert(path, None);
                } else {
                    found.0.insert(path, Some(bytes[inner].clone()));
                }
            }
        }
        found
    }
}

/// What may be found in a file; the last is everything.
fn contents(node: &Node) -> Vec<Vec<u8>> {
    let Some(first) = node.first else { return vec![node.live.clone()] };
    let mut hole = node.live.clone();
    let start = node.sure.len().min(hole.len());
    let end = (start + first).min(hole.len());
    hole[start..end].fill(0);
    let mut all =
        vec![node.sure.clone(), Vec::new(), node.live[..node.live.len() / 2].to_vec(), vec![0; node.live.len()], hole];
    all.push(node.live.clone());
    all.dedup();
    all
}

fn digits(mut number: usize, sizes: &[usize]) -> impl Iterator<Item = usize> {
    sizes.iter().map(move |size| {
        let digit = number % size;
        number /= size;
        digit
    })
}

/// A folder that may be found: its folders, and its files with their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Found(BTreeMap<String, Option<Vec<u8>>>);

impl Found {
    /// Writes it into an empty folder.
    pub fn lay_out(&self, folder: &Path) {
        for (path, bytes) in &self.0 {
            match bytes {
                None => fs::create_dir(folder.join(path)).unwrap(),
                Some(bytes) => fs::write(folder.join(path), bytes).unwrap(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_flushed_stays_and_the_rest_may_come_in_any_order() {
        let folder = super::super::folder();
        let at = |name: &str| folder.path().join(name);
        let mut model = Model::of(folder.path());
        let mut follow = |event: Event| {
            model.follow(&event, folder.path());
            model.found(1000, &mut Chance(1)).into_iter().collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!(follow(Event::Create(at("a"))), 2);
        // No name; or one with nothing, the half, zeros, or all.
        assert_eq!(follow(Event::Write(at("a"), b"1234".to_vec())), 5);
        assert_eq!(follow(Event::SyncFile(at("a"))), 2);
        // Neither name, one of them, or both.
        assert_eq!(follow(Event::Rename(at("a"), at("b"))), 4);
        assert_eq!(follow(Event::SyncFolder(at(""))), 1);
        assert_eq!(follow(Event::Unlink(at("b"))), 2);
    }
}
