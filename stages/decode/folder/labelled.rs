//! Set and class of a picture by a table of files and labels. No picture is opened here.

use super::layout::{Rules, Split};
use super::places::Placed;
use crate::data::problems::Problems;
use crate::data::table::Table;
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, HashMap};

/// Which columns of the table are read.
#[derive(Debug)]
pub struct Columns<'a> {
    /// The name of the table's file, for messages.
    pub file: &'a str,
    /// The column of the pictures' names.
    pub name: &'a str,
    /// The column of their classes.
    pub label: &'a str,
    /// The column that says to which set a picture belongs.
    pub split: Option<&'a str>,
}

/// What the table says.
pub struct Labelled<'a> {
    /// The pictures of both sets.
    pub placed: Vec<Placed<'a>>,
    /// Rows of neither set, by what the table says of them.
    pub elsewhere: BTreeMap<String, usize>,
    /// Pictures that no row names.
    pub unnamed: Vec<&'a str>,
}

/// Set and class of the pictures that the table names. Rows whose picture is not there, or there more than once, are added
/// to `problems`. An error if a column is missing.
pub fn labelled<'a>(
    pictures: &[(usize, &'a str)],
    table: &[u8],
    columns: &Columns,
    rules: &Rules,
    problems: &mut Problems,
) -> Result<Labelled<'a>> {
    let table = Table::read(table, columns.file, true)?;
    let column = |name: &str| table.column(name, columns.file);
    let (name, label) = (column(columns.name)?, column(columns.label)?);
    let split = columns.split.map(column).transpose()?;
    ensure!(
        split.is_some() || rules.split == Split::Share,
        "{}: no column says which pictures are test images: name it with `split_column`, or set `split = \"share\"`",
        columns.file
    );
    let known = Known::of(pictures);
    let mut found = Labelled { placed: Vec::new(), elsewhere: BTreeMap::new(), unnamed: Vec::new() };
    let mut used = vec![false; pictures.len()];
    for row in &table.rows {
        let field = |column: usize| row.fields.get(column).map(String::as_str).unwrap_or_default();
        let (file, class) = (field(name), field(label));
        let set = match split.map(field) {
            None => Some(0),
            Some(text) => match rules.folders.iter().position(|set| *set == text) {
                None => {
                    *found.elsewhere.entry(text.to_string()).or_insert(0) += 1;
                    None
                }
                set => set,
            },
        };
        let at = format!("{} (line {})", file, row.line);
        if row.fields.len() != table.columns.len() {
            let fault = format!("another number of fields than the header, which has {}", table.columns.len());
            problems.at(columns.file, at, fault);
            continue;
        }
        match known.find(file).as_slice() {
            [] if set.is_none() => {}
            [] => problems.at(columns.file, at, format!("there is no such picture in {}", rules.images)),
            [index] if used[*index] => problems.at(columns.file, at, "the picture is listed twice"),
            [index] => {
                used[*index] = true;
                let (position, name) = pictures[*index];
                if class.is_empty() {
                    problems.at(columns.file, at, format!("the column {:?} is empty", columns.label));
                } else if let Some(set) = set {
                    found.placed.push(Placed { set, class: class.to_string(), name, position });
                }
            }
            _ => problems.at(columns.file, at, format!("{} has several pictures of this name", rules.images)),
        }
    }
    found.unnamed = pictures.iter().zip(&used).filter(|(_, used)| !**used).map(|((_, name), _)| *name).collect();
    Ok(found)
}

/// Pictures by their paths, by their names and by their names without an ending.
struct Known<'a> {
    pictures: &'a [(usize, &'a str)],
    bases: HashMap<&'a str, Vec<usize>>,
    stems: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Known<'a> {
    fn of(pictures: &'a [(usize, &'a str)]) -> Self {
        let mut known = Known { pictures, bases: HashMap::new(), stems: HashMap::new() };
        for (index, (_, path)) in pictures.iter().enumerate() {
            let base = path.rsplit('/').next().unwrap_or_default();
            known.bases.entry(base).or_default().push(index);
            known.stems.entry(base.rsplit_once('.').map_or(base, |(stem, _)| stem)).or_default().push(index);
        }
        known
    }

    /// The pictures of this name, which may have folders before it and may lack its ending.
    fn find(&self, name: &str) -> Vec<usize> {
        let name = name.trim_start_matches("./").replace('\\', "/");
        let base = name.rsplit('/').next().unwrap_or_default();
        let of = |found: Option<&Vec<usize>>, stem: bool| -> Vec<usize> {
            let path = |index: &usize| {
                let path = self.pictures[*index].1;
                if stem { path.rsplit_once('.').map_or(path, |(stem, _)| stem) } else { path }
            };
            let ends = |index: &usize| path(index) == name || path(index).ends_with(&format!("/{name}"));
            let all: Vec<usize> = found.into_iter().flatten().copied().filter(ends).collect();
            match all.iter().find(|index| path(index) == name) {
                Some(exact) => vec![*exact],
                None => all,
            }
        };
        let exact = of(self.bases.get(base), false);
        if exact.is_empty() { of(self.stems.get(base), true) } else { exact }
    }
}
