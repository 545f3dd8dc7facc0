//! A file of named arrays: NumPy's `.npz`, or MATLAB's `.mat`; the first bytes decide. Finds the arrays of a set where the
//! manifest does not name them. Knows nothing of what is in the arrays.

use crate::data::mat;
use crate::data::numpy::{Archive, Array};
use anyhow::{Context as _, Result, bail, ensure};
use indexmap::IndexMap;

/// The names of the arrays of one set.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Of the images.
    pub images: String,
    /// Of the labels.
    pub labels: String,
}

/// Which of the two sets is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// The training set.
    Train,
    /// The test set.
    Test,
}

/// Usual names of the arrays of both parts, `*` for the part.
const USUAL: [[&str; 2]; 8] = [
    ["*_images", "*_labels"],
    ["x_*", "y_*"],
    ["X_*", "y_*"],
    ["images_*", "labels_*"],
    ["*_x", "*_y"],
    ["*_X", "*_y"],
    ["*_data", "*_labels"],
    ["*_data", "*_targets"],
];

/// Usual names where a file has one part.
const ALONE: [[&str; 2]; 6] =
    [["images", "labels"], ["X", "y"], ["x", "y"], ["data", "labels"], ["data", "targets"], ["arr_0", "arr_1"]];

/// An opened file.
pub struct Container<'a> {
    arrays: Arrays<'a>,
    names: Vec<String>,
    /// The comment of a ZIP file; empty where there is none.
    pub comment: String,
}

enum Arrays<'a> {
    Npz(Box<Archive<'a>>),
    Mat(IndexMap<String, Array>),
}

impl<'a> Container<'a> {
    /// Opens a file; what is compressed in it may unpack to as much as `max_ratio` allows.
    pub fn open(bytes: &'a [u8], max_ratio: u64) -> Result<Self> {
        ensure!(!bytes.is_empty(), "the file is empty");
        if bytes.starts_with(b"\x93NUMPY") {
            bail!(
                "a single array (.npy); save images and labels together: numpy.savez(\"set.npz\", images=x, labels=y)"
            );
        }
        if bytes.starts_with(b"MATLAB") {
            let arrays = mat::read(bytes, max_ratio)?;
            let names = arrays.keys().cloned().collect();
            return Ok(Container { arrays: Arrays::Mat(arrays), names, comment: String::new() });
        }
        ensure!(bytes.starts_with(b"PK"), "neither an .npz archive (a ZIP file) nor a .mat file of version 5");
        let archive = Archive::open(bytes, max_ratio)?;
        let (names, comment) = (archive.names(), archive.comment.clone());
        Ok(Container { arrays: Arrays::Npz(Box::new(archive)), names, comment })
    }

    /// Whether the file has both arrays.
    pub fn has(&self, pair: &Pair) -> bool {
        [&pair.images, &pair.labels].iter().all(|name| self.names.contains(name))
    }

    /// The arrays that the parameter `param` names, or else those of usual names.
    pub fn pair(&self, given: &[String], part: Part, param: &str) -> Result<Pair> {
        match given {
            [] => self.usual(part).or_else(|| self.alone()).with_context(|| {
                let names = self.names.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
                format!("name the arrays of images and labels: `{param} = [\"…\", \"…\"]`; the file has {names}")
            }),
            [images, labels] => {
                let pair = Pair { images: images.clone(), labels: labels.clone() };
                if let Some(name) = given.iter().find(|name| !self.names.contains(name)) {
                    let names = self.names.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
                    bail!("the file has no array {name:?} (parameter `{param}`); it has {names}");
                }
                Ok(pair)
            }
            other => bail!("`{param}` names two arrays, of images and of labels, not {}", other.len()),
        }
    }

    /// The arrays of the test set in a file that has the training set too; nothing where there are none.
    pub fn test_pair(&self, given: &[String]) -> Result<Option<Pair>> {
        match given {
            [] => Ok(self.usual(Part::Test)),
            _ => self.pair(given, Part::Test, "test").map(Some),
        }
    }

    fn usual(&self, part: Part) -> Option<Pair> {
        let word = if part == Part::Train { "train" } else { "test" };
        let names = USUAL.map(|names| names.map(|name| name.replace('*', word)));
        names.into_iter().map(|[images, labels]| Pair { images, labels }).find(|pair| self.has(pair))
    }

    fn alone(&self) -> Option<Pair> {
        let names = ALONE.map(|names| names.map(String::from));
        names.into_iter().map(|[images, labels]| Pair { images, labels }).find(|pair| self.has(pair))
    }

    /// Takes an array out of the file.
    pub fn array(&mut self, name: &str) -> Result<Array> {
        match &mut self.arrays {
            Arrays::Npz(archive) => archive.array(name, |_| Ok(())),
            Arrays::Mat(arrays) => {
                arrays.shift_remove(name).with_context(|| format!("the array {name:?} is used twice"))
            }
        }
    }
}
