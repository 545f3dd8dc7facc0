//! Finds the file of every row. The table names files without folders, so they may be in any folder of the archive.

use crate::data::images::Images;
use crate::data::problems::Problems;
use crate::split::mhist::annotations::Row;
use crate::split::mhist::sets::Rules;
use std::collections::{HashMap, HashSet};

/// The index of the file of every row. A row without a file, a file without a row and two files of one name are added
/// to `problems`.
pub fn matched(rows: &[Row], files: &dyn Images, rules: &Rules, problems: &mut Problems) -> Vec<Option<usize>> {
    let names = files.names();
    let mut positions: HashMap<&str, usize> = HashMap::with_capacity(names.len());
    let mut bases = Vec::with_capacity(names.len());
    for (position, path) in names.iter().enumerate() {
        let base = path.rsplit('/').next().unwrap_or_default();
        match positions.get(base) {
            None => {
                positions.insert(base, position);
                bases.push(base);
            }
            // Two files with this same path are reported by the archive already.
            Some(&first) if names[first] == *path => {}
            Some(&first) => {
                problems.add(format!("{}: {path}: the image is there twice, first as {}", rules.images, names[first]))
            }
        }
    }
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let position = positions.get(row.image.as_str()).copied();
        if position.is_none() {
            problems.at(
                "",
                format!("{}:{}: {}", rules.annotations, row.line, row.image),
                format!("the image is not in {}", rules.images),
            );
        }
        found.push(position);
    }
    let named: HashSet<&str> = rows.iter().map(|row| row.image.as_str()).collect();
    for base in bases.into_iter().filter(|base| !named.contains(base)) {
        problems.at(rules.images, base, format!("no row of {} names this file", rules.annotations));
    }
    found
}
