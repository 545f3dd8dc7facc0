//! Sets of images as folders of PNG pictures with a table `metadata.csv` of their classes, which most libraries read as it is.

use super::hugging_face::rows::{self, has_pictures};
use super::sets::{self, Chosen};
use crate::exit::Fault;
use crate::fields::field;
use crate::image_set::ImageSet;
use crate::report::Subject;
use crate::results::write_whole;
use std::fmt::Write as _;
use std::path::Path;

/// The table's name, and its first column, as `datasets` knows them.
const TABLE: &str = "metadata.csv";
const FIRST: &str = "file_name";

/// Writes the sets of these nodes into a folder, each into one of its own, and gives how many there are.
///
/// # Errors
/// Those of `sets::of`, a set's images are no pictures, or a file cannot be written.
pub fn write(subject: &Subject, chosen: Chosen, folder: &Path) -> Result<usize, Fault> {
    let sets = sets::of(subject, chosen)?;
    for found in &sets {
        let mut set = found.open(subject)?;
        if !has_pictures(&set) {
            let why = "its images are whitened, or have neither one channel nor three";
            return Err(Fault::usage(format!("{} cannot be written as pictures: {why}", found.title)));
        }
        one(&mut set, &folder.join(&found.name))?;
    }
    Ok(sets.len())
}

fn one(set: &mut ImageSet, folder: &Path) -> Result<(), Fault> {
    let names = set.class_names();
    let soft = set.soft_size().filter(|_| set.labels().is_none()).unwrap_or(0);
    let mut table = FIRST.to_string();
    if set.labels().is_some() {
        table.push_str(",label,class");
    }
    (0..soft).for_each(|class| table.push_str(&format!(",soft_{class}")));
    table.push('\n');
    for at in 0..set.shape()[0] {
        let rows = rows::at(set, at..at + 1).map_err(|error| Fault::io("read", folder, &error))?;
        for (name, picture) in rows.names.iter().zip(&rows.pictures) {
            write_whole(&folder.join(name), picture)?;
            table.push_str(name);
        }
        for label in &rows.labels {
            let class = usize::try_from(*label).ok().and_then(|at| names.get(at)).map_or("", String::as_str);
            let _ = write!(table, ",{label},{}", field(class));
        }
        rows.soft.iter().for_each(|number| table.push_str(&format!(",{number}")));
        table.push('\n');
    }
    write_whole(&folder.join(TABLE), table.as_bytes())
}
