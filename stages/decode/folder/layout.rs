//! Class and set of an image, by its path. No image is opened here.

use crate::data::problems::Problems;
use ddpipe_nn::stream::stream;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How the test images are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// By folders: `train/<class>/<image>` and `test/<class>/<image>`.
    Folders,
    /// By a share: `<class>/<image>`, of which a share of each class is drawn at random.
    Share,
}

/// How paths are interpreted.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The name of the archive or folder of the images, for messages.
    pub images: &'a str,
    /// How the test images are chosen.
    pub split: Split,
    /// The folders of training and test set, for [`Split::Folders`].
    pub folders: [&'a str; 2],
    /// The share of each class that becomes test images, for [`Split::Share`].
    pub share: f64,
    /// The seed by which that share is drawn.
    pub seed: u64,
}

/// One image of a set.
#[derive(Clone, Debug, PartialEq, PartialOrd, Eq, Ord)]
pub struct Entry {
    /// The index of its class.
    pub label: i64,
    /// The path of its file.
    pub name: String,
    /// The index of its file.
    pub position: usize,
}

/// Classes and sets, as the paths give them.
#[derive(Debug)]
pub struct Layout {
    /// The names of the classes, sorted; the index of a class is its label.
    pub classes: Vec<String>,
    /// Training and test images, sorted by class and name.
    pub sets: [Vec<Entry>; 2],
    /// Notes for the user: files that are ignored, classes without test images.
    pub notes: Vec<String>,
}

/// The file extensions of pictures that are read.
const READ: [&str; 3] = ["png", "jpg", "jpeg"];

/// The file extensions of pictures that are not read; such a file is an error, because ignoring it would lose an image.
const NOT_READ: [&str; 9] = ["avif", "bmp", "gif", "heic", "jp2", "ppm", "tif", "tiff", "webp"];

/// Assigns images to classes and sets by their paths. Paths that do not fit are added to `problems`.
pub fn layout(names: &[String], rules: &Rules, problems: &mut Problems) -> Layout {
    let (mut pictures, mut others) = (Vec::new(), 0);
    for (position, name) in names.iter().enumerate() {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
        if READ.contains(&ending.as_str()) {
            pictures.push((position, name));
        } else if NOT_READ.contains(&ending.as_str()) {
            problems.add(format!("{}: {name}: neither PNG nor JPEG; convert it", rules.images));
        } else {
            others += 1;
        }
    }
    let mut notes = Vec::new();
    if others > 0 {
        notes.push(format!("{}: {others} files that are no pictures are passed over", rules.images));
    }
    let placed = placed(&pictures, rules, problems, &mut notes);
    let classes: BTreeSet<&str> = placed.iter().map(|(_, class, ..)| *class).collect();
    let classes: Vec<String> = classes.into_iter().map(String::from).collect();
    let mut sets = [Vec::new(), Vec::new()];
    for &(set, class, name, position) in &placed {
        let label = classes.iter().position(|known| known == class).unwrap_or_default() as i64;
        sets[set].push(Entry { label, name: name.to_string(), position });
    }
    sets.iter_mut().for_each(|set| set.sort());
    if rules.split == Split::Share {
        sets[1] = drawn(&mut sets[0], &classes, rules, problems);
    }
    for (label, class) in classes.iter().enumerate() {
        let [train, test] = [0, 1].map(|set: usize| sets[set].iter().any(|entry| entry.label == label as i64));
        if !train {
            problems.add(format!("{}: class {class:?} has no training image", rules.images));
        } else if !test {
            notes.push(format!("{}: class {class:?} has no test image", rules.images));
        }
    }
    if classes.len() < 2 && problems.is_empty() {
        let found = classes.first().map_or("none".into(), |class| format!("only {class:?}"));
        problems.add(format!("{}: two or more class folders are needed, there is {found}", rules.images));
    }
    Layout { classes, sets, notes }
}

/// Set, class, path and file index of every picture whose folders fit the rules.
fn placed<'a>(
    pictures: &[(usize, &'a String)],
    rules: &Rules,
    problems: &mut Problems,
    notes: &mut Vec<String>,
) -> Vec<(usize, &'a str, &'a str, usize)> {
    let (wanted, other) = match rules.split {
        Split::Folders => {
            (format!("{}/<class>/<image>", rules.folders.join(" or ")), "`split = \"share\"` reads <class>/<image>")
        }
        Split::Share => {
            ("<class>/<image>".to_string(), "`split = \"folders\"` reads training and test images from two folders")
        }
    };
    let depth = if rules.split == Split::Folders { 3 } else { 2 };
    let split = |name: &'a str| -> Vec<&'a str> { name.split('/').collect() };
    // Archives often hold one folder with everything in it.
    let above = pictures.iter().map(|(_, name)| split(name)).filter(|parts| parts.len() >= depth);
    let above = above.min_by_key(Vec::len).map(|parts| parts[..parts.len() - depth].to_vec()).unwrap_or_default();
    let (mut placed, mut passed) = (Vec::new(), BTreeMap::new());
    for &(position, name) in pictures {
        let parts = split(name);
        let fits = parts.len() == above.len() + depth && parts.starts_with(&above);
        if !fits {
            problems.add(format!("{}: {name}: not in a folder {wanted}; {other}", rules.images));
            continue;
        }
        let class = parts[parts.len() - 2];
        let set = match rules.split {
            Split::Share => Some(0),
            Split::Folders => rules.folders.iter().position(|folder| *folder == parts[parts.len() - 3]),
        };
        match set {
            Some(set) => placed.push((set, class, name.as_str(), position)),
            None => *passed.entry(parts[parts.len() - 3]).or_insert(0) += 1,
        }
    }
    for (folder, count) in passed {
        notes.push(format!("{}: {count} images in {folder}/ are in neither set and passed over", rules.images));
    }
    placed
}

/// Moves the test images from `train` to the returned set: of each class its share, rounded, at least one image. A
/// class with a single image is added to `problems`.
fn drawn(train: &mut Vec<Entry>, classes: &[String], rules: &Rules, problems: &mut Problems) -> Vec<Entry> {
    let mut test = Vec::new();
    let mut left = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let of_class: Vec<Entry> = train.extract_if(.., |entry| entry.label == label as i64).collect();
        if of_class.len() < 2 {
            problems.add(format!("{}: class {class:?} has a single image, which cannot be shared out", rules.images));
        }
        let wanted = (of_class.len() as f64 * rules.share).round() as usize;
        let wanted = wanted.clamp(1, of_class.len().saturating_sub(1).max(1));
        // The stream is named by the class, so that adding or removing a class does not change the test images of the
        // others.
        let order = stream(rules.seed, &format!("folder share {class}"), 0).permutation(of_class.len() as i64);
        let chosen: BTreeSet<i64> = order.into_iter().take(wanted).collect();
        for (index, entry) in of_class.into_iter().enumerate() {
            if chosen.contains(&(index as i64)) { &mut test } else { &mut left }.push(entry);
        }
    }
    *train = left;
    test
}
