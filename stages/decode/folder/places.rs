//! Set and class of a picture by its folders: where the class folders lie, which set a picture belongs to, and pictures
//! whose labels are in a table beside them, as in Tiny-ImageNet. No picture is opened here.

use super::layout::{Rules, Split};
use crate::data::images::Images;
use crate::data::problems::Problems;
use crate::data::table::Table;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Names of folders that hold sets, not classes.
const SETS: [&str; 8] = ["train", "training", "test", "testing", "val", "valid", "validation", "dev"];

/// The largest table of labels.
const TABLE_LIMIT: usize = 256 << 20;

/// A picture, its folders and name apart.
pub struct Picture<'a> {
    /// The index of its file.
    pub position: usize,
    /// Its path.
    pub name: &'a str,
    parts: Vec<&'a str>,
}

impl<'a> Picture<'a> {
    /// The picture of this path.
    pub fn new(position: usize, name: &'a str) -> Self {
        Picture { position, name, parts: name.split('/').collect() }
    }
}

/// Where a picture belongs.
pub struct Placed<'a> {
    /// 0 training, 1 test.
    pub set: usize,
    /// The name of its class.
    pub class: String,
    /// Its path.
    pub name: &'a str,
    /// The index of its file.
    pub position: usize,
}

/// What the folders say.
#[derive(Default)]
pub struct Places<'a> {
    /// The pictures of both sets.
    pub placed: Vec<Placed<'a>>,
    /// Pictures in folders of neither set, by folder.
    pub elsewhere: BTreeMap<&'a str, usize>,
    /// Pictures in folders inside class folders, by the names of those.
    pub deeper: BTreeMap<&'a str, usize>,
}

/// Set and class of every picture; those that are in no class folder are added to `problems`.
pub fn places<'a>(
    pictures: &[Picture<'a>],
    files: &'a dyn Images,
    rules: &Rules,
    problems: &mut Problems,
) -> Places<'a> {
    let (wanted, other) = match rules.split {
        Split::Folders => {
            (format!("{}/<class>/<image>", rules.folders.join(" or ")), "`split = \"share\"` reads <class>/<image>")
        }
        Split::Share => {
            ("<class>/<image>".to_string(), "`split = \"folders\"` reads training and test images from two folders")
        }
    };
    let above = match rules.split {
        Split::Folders => above_sets(pictures, rules),
        Split::Share => Some(above_classes(pictures)),
    };
    let depth = if rules.split == Split::Folders { 3 } else { 2 };
    let stray = format!("not in a folder {wanted}; {other}");
    let mut places = Places::default();
    let tables: Vec<Option<HashMap<String, String>>> = match (&above, rules.split) {
        (Some(above), Split::Folders) => {
            rules.folders.iter().map(|folder| labels_beside(files, above, folder, rules, problems)).collect()
        }
        _ => vec![None, None],
    };
    for picture in pictures {
        let below = above.as_ref().and_then(|above| picture.parts.strip_prefix(above.as_slice()));
        let (set, inside) = match (below, rules.split) {
            (Some([folder, inside @ ..]), Split::Folders) => match rules.folders.iter().position(|set| set == folder) {
                Some(set) => (set, inside),
                None if inside.len() + 1 >= depth => {
                    *places.elsewhere.entry(*folder).or_insert(0) += 1;
                    continue;
                }
                None => (0, &[][..]),
            },
            (Some(inside), Split::Share) => (0, inside),
            (None | Some([]), _) => (0, &[][..]),
        };
        let Picture { name, position, .. } = *picture;
        if let (Some(Some(labels)), Some(base)) = (tables.get(set), inside.last()) {
            match labels.get(*base) {
                Some(class) => places.placed.push(Placed { set, class: class.clone(), name, position }),
                None => problems.at(rules.images, name, "no row of the table beside it names this picture"),
            }
            continue;
        }
        let [class, between @ .., _] = inside else {
            problems.at(rules.images, name, stray.clone());
            continue;
        };
        // As in Tiny-ImageNet, and nothing that needs a word.
        if let Some(folder) = between.first().filter(|folder| **folder != "images") {
            *places.deeper.entry(*folder).or_insert(0) += 1;
        }
        places.placed.push(Placed { set, class: class.to_string(), name, position });
    }
    let sets: BTreeSet<&str> =
        places.placed.iter().map(|placed| placed.class.as_str()).filter(|class| SETS.contains(class)).collect();
    let named = sets.len() > 1 && rules.split == Split::Share;
    if named {
        let sets = sets.into_iter().collect::<Vec<_>>().join("/ and ");
        problems.add(format!("{}: {sets}/ are sets and no classes; {other}", rules.images));
    }
    places
}

/// The folders above those of the sets, as most pictures have them: archives often hold one folder with everything in it.
fn above_sets<'a>(pictures: &[Picture<'a>], rules: &Rules) -> Option<Vec<&'a str>> {
    let mut counts: BTreeMap<&[&str], usize> = BTreeMap::new();
    for Picture { parts, .. } in pictures {
        let folders = &parts[..parts.len().saturating_sub(1)];
        if let Some(set) = folders.iter().position(|part| rules.folders.contains(part)) {
            *counts.entry(&folders[..set]).or_insert(0) += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(above, count)| (*count, std::cmp::Reverse(above.len())));
    most.map(|(above, _)| above.to_vec())
}

/// The folders above those of the classes: those that all pictures in folders have in common, as long as folders follow.
fn above_classes<'a>(pictures: &[Picture<'a>]) -> Vec<&'a str> {
    let mut above: Vec<&str> = Vec::new();
    loop {
        let below = || pictures.iter().filter_map(|picture| picture.parts.strip_prefix(above.as_slice()));
        let mut inside = below().filter(|parts| parts.len() > 1).peekable();
        let Some(first) = inside.peek().and_then(|parts| parts.first()).copied() else { return above };
        if !inside.all(|parts| parts[0] == first && parts.len() > 2) {
            return above;
        }
        above.push(first);
    }
}

/// The classes of the pictures of a set by their names, where a table lies in the set's folder (`val/val_annotations.txt`):
/// rows of a picture's name and its class, without a header.
fn labels_beside(
    files: &dyn Images,
    above: &[&str],
    set: &str,
    rules: &Rules,
    problems: &mut Problems,
) -> Option<HashMap<String, String>> {
    let folder: String = above.iter().chain([&set]).map(|part| format!("{part}/")).collect();
    let is_table = |name: &&String| {
        name.strip_prefix(folder.as_str()).is_some_and(|base| !base.contains('/') && base.ends_with("annotations.txt"))
    };
    let name = files.names().iter().find(is_table)?;
    let position = files.names().iter().position(|other| other == name)?;
    let read = files.read(position, TABLE_LIMIT).and_then(|bytes| Table::read(&bytes, name, false));
    match read {
        Ok(table) => {
            let label = |mut fields: std::vec::IntoIter<String>| Some((fields.next()?, fields.next()?));
            Some(table.rows.into_iter().filter_map(|row| label(row.fields.into_iter())).collect())
        }
        Err(why) => {
            problems.add(format!("{}: {why:#}", rules.images));
            None
        }
    }
}
