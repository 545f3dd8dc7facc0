//! Class and set of every image: by its folders (`places.rs`) or by a table (`labelled.rs`). No image is decoded here; the
//! first bytes of a file are looked at where its ending does not say what it is.

use super::endings::{self, Kind, begins_as_picture};
use super::labelled::{Columns, labelled};
use super::picture::FILE_LIMIT;
use super::places::{Picture, Placed, places};
use crate::data::images::Images;
use crate::data::problems::{Problems, listed};
use crate::data::share::test_images;
use anyhow::Result;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

/// How the test images are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// By folders, `train/<class>/<image>` and `test/<class>/<image>`, or by a column of a table.
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
    /// The folders of training and test set, for [`Split::Folders`]; or what the table calls these sets.
    pub folders: [&'a str; 2],
    /// The share of each class that becomes test images, for [`Split::Share`].
    pub share: f64,
    /// The seed by which that share is drawn.
    pub seed: u64,
    /// The largest share of files that may be passed over without being known to lie beside data.
    pub max_passed_over: f64,
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

/// Classes and sets.
#[derive(Debug)]
pub struct Layout {
    /// The names of the classes, sorted; the index of a class is its label.
    pub classes: Vec<String>,
    /// Training and test images, sorted by class and name.
    pub sets: [Vec<Entry>; 2],
    /// Notes for the user: files that are passed over, classes without test images.
    pub notes: Vec<String>,
    /// The number of files in neither set; hidden ones are not counted.
    pub passed_over: usize,
}

/// Assigns images to classes and sets, by the table where there is one. Files that do not fit are added to `problems`.
pub fn layout(
    files: &dyn Images,
    table: Option<(&[u8], Columns)>,
    rules: &Rules,
    problems: &mut Problems,
) -> Result<Layout> {
    let mut notes = Vec::new();
    let mut found = Files::of(files, rules, problems);
    let by_table = table.is_some();
    let placed = match table {
        Some((table, columns)) => {
            let found_by = labelled(&found.pictures, table, &columns, rules, problems)?;
            for (set, count) in found_by.elsewhere {
                notes.push(format!("{}: {count} rows of {set:?} are in neither set and passed over", columns.file));
            }
            found.unknown.extend(found_by.unnamed);
            found_by.placed
        }
        None => {
            let pictures: Vec<Picture> =
                found.pictures.iter().map(|&(position, name)| Picture::new(position, name)).collect();
            let places = places(&pictures, files, rules, problems);
            for (folder, count) in places.elsewhere {
                notes.push(format!("{}: {count} images in {folder}/ are in neither set and passed over", rules.images));
            }
            if !places.deeper.is_empty() {
                let (count, folders): (usize, Vec<&str>) =
                    (places.deeper.values().sum(), places.deeper.keys().take(3).copied().collect());
                notes.push(format!(
                    "{}: {count} images lie in folders inside class folders, such as {}/, and count to the class",
                    rules.images,
                    folders.join("/ and ")
                ));
            }
            places.placed
        }
    };
    found.judge(rules, problems, &mut notes);
    let classes = classes(&placed, by_table);
    let labels: HashMap<&str, i64> = classes.iter().map(String::as_str).zip(0..).collect();
    let mut sets = [Vec::new(), Vec::new()];
    for Placed { set, class, name, position } in &placed {
        let label = labels.get(class.as_str()).copied().unwrap_or_default();
        sets[*set].push(Entry { label, name: name.to_string(), position: *position });
    }
    sets.iter_mut().for_each(|set| set.sort());
    if rules.split == Split::Share {
        sets[1] = drawn(&mut sets[0], &classes, rules, problems);
    }
    check(&classes, &sets, rules, problems, &mut notes);
    let passed_over = files.names().len().saturating_sub(sets.iter().map(Vec::len).sum());
    Ok(Layout { classes, sets, notes, passed_over })
}

/// The files by what they are.
struct Files<'a> {
    pictures: Vec<(usize, &'a str)>,
    /// Files that lie beside data.
    beside: usize,
    /// Files that are passed over and might be data.
    unknown: Vec<&'a str>,
    /// The number of files that are pictures or might be.
    all: usize,
}

impl<'a> Files<'a> {
    fn of(files: &'a dyn Images, rules: &Rules, problems: &mut Problems) -> Self {
        let mut found = Files { pictures: Vec::new(), beside: 0, unknown: Vec::new(), all: 0 };
        for (position, name) in files.names().iter().map(String::as_str).enumerate() {
            match endings::kind(name) {
                Kind::Picture => found.pictures.push((position, name)),
                Kind::OtherPicture => {
                    let fault = format!("{}: neither PNG nor JPEG; convert it", endings::shown(name));
                    problems.at(rules.images, name, fault);
                }
                Kind::Beside => found.beside += 1,
                Kind::Unknown if files.read(position, FILE_LIMIT).is_ok_and(|bytes| begins_as_picture(&bytes)) => {
                    found.pictures.push((position, name));
                }
                Kind::Unknown => found.unknown.push(name),
            }
        }
        found.all = found.pictures.len() + found.unknown.len();
        found
    }

    /// Notes what is passed over; a problem if it is more than the rules allow.
    fn judge(&self, rules: &Rules, problems: &mut Problems, notes: &mut Vec<String>) {
        if self.beside > 0 {
            notes.push(format!("{}: {} files that are no pictures are passed over", rules.images, self.beside));
        }
        let (unknown, all) = (self.unknown.len(), self.all);
        if unknown == 0 {
            return;
        }
        let first: Vec<String> = self.unknown.iter().take(3).map(|name| name.to_string()).collect();
        let what = format!("{}: {}: no pictures, or named by no row", rules.images, listed(unknown, &first));
        if unknown as f64 > rules.max_passed_over * all as f64 {
            problems.add(format!(
                "{what}; {unknown} of {all} files would be passed over: remove them, or set `max_passed_over` to more than {}",
                rules.max_passed_over
            ));
        } else {
            notes.push(format!("{what}; passed over"));
        }
    }
}

/// The names of the classes, sorted by their bytes, as folders are; those of a table as numbers where all of them are.
fn classes(placed: &[Placed], by_table: bool) -> Vec<String> {
    let names: BTreeSet<&str> = placed.iter().map(|placed| placed.class.as_str()).collect();
    let mut names: Vec<String> = names.into_iter().map(String::from).collect();
    if by_table && names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
    }
    names
}

/// Adds classes without training images to `problems`, and notes those without test images.
fn check(classes: &[String], sets: &[Vec<Entry>; 2], rules: &Rules, problems: &mut Problems, notes: &mut Vec<String>) {
    for (label, class) in classes.iter().enumerate() {
        let [train, test] = [0, 1].map(|set: usize| sets[set].iter().any(|entry| entry.label == label as i64));
        let hint =
            if class == "images" { "; pictures of Tiny-ImageNet's test/ have no labels: `test = \"val\"`" } else { "" };
        if !train {
            problems.add(format!("{}: class {class:?} has no training image{hint}", rules.images));
        } else if !test {
            notes.push(format!("{}: class {class:?} has no test image", rules.images));
        }
    }
    if classes.len() < 2 && problems.is_empty() {
        let found = classes.first().map_or("none".into(), |class| format!("only {class:?}"));
        problems.add(format!("{}: two or more class folders are needed, there is {found}", rules.images));
    }
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
        let chosen = test_images(of_class.len(), rules.share, rules.seed, class);
        for (index, entry) in of_class.into_iter().enumerate() {
            if chosen.contains(&(index as i64)) { &mut test } else { &mut left }.push(entry);
        }
    }
    *train = left;
    test
}
