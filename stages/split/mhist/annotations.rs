//! Reads the table of annotations: one row per image with its label, the votes and its partition. No image is opened
//! here.

use crate::data::problems::Problems;
use crate::data::table::Table;
use anyhow::{Context as _, Result, bail};
pub use ddpipe_nn::metrics::ANNOTATORS;
use std::collections::HashMap;

/// The columns of the table, which may be in another order and among others.
pub const COLUMNS: [&str; 4] =
    ["Image Name", "Majority Vote Label", "Number of Annotators who Selected SSA (Out of 7)", "Partition"];

/// The names of the classes 0 and 1: hyperplastic polyp, sessile serrated adenoma.
pub const CLASSES: [&str; 2] = ["HP", "SSA"];

/// The partitions, in the order of the outputs.
pub const PARTITIONS: [&str; 2] = ["train", "test"];

/// Label, votes and partition of an image.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// Index of the class in [`CLASSES`].
    pub label: usize,
    /// How many of the seven annotators chose SSA, 0 to 7.
    pub votes: i64,
    /// Index of the partition in [`PARTITIONS`].
    pub partition: usize,
}

impl Annotation {
    /// How many of the seven annotators agree with the label.
    pub fn agreement(&self) -> i64 {
        if self.label == 1 { self.votes } else { ANNOTATORS - self.votes }
    }

    /// Whether the majority chose the other class.
    pub fn contradicts_itself(&self) -> bool {
        2 * self.agreement() < ANNOTATORS
    }
}

/// One row of the table; its image has a valid name and no other row names it.
#[derive(Debug)]
pub struct Row {
    /// The line number, from 1; the header is line 1.
    pub line: usize,
    /// The name of the image file, without folders.
    pub image: String,
    /// Label, votes and partition; `None` when they are wrong, which is then among the problems.
    pub annotation: Option<Annotation>,
}

/// Reads the table. `file` is its name, for messages; faults of single rows are added to `problems`. A missing column or
/// text that is not UTF-8 is an error at once, because no row can be read then.
pub fn parse(bytes: &[u8], file: &str, problems: &mut Problems) -> Result<Vec<Row>> {
    let table = Table::read(bytes, file, true)?;
    let columns = columns(&table, file)?;
    let mut rows = Vec::new();
    let mut first = HashMap::new();
    for row in &table.rows {
        let line = row.line as usize;
        let [image, label, votes, partition] =
            columns.map(|column| row.fields.get(column).map(String::as_str).unwrap_or_default());
        if !is_plain_name(image) {
            problems.add(format!("{file}:{line}: {image:?}: the image name has to be a plain file name"));
            continue;
        }
        let annotation = match row.fields.len() {
            fields if fields == table.columns.len() => annotation(label, votes, partition),
            fields => Err(anyhow::anyhow!("the row has {fields} fields, where {} are expected", table.columns.len())),
        };
        if let Err(why) = &annotation {
            problems.add(format!("{file}:{line}: {image}: {why:#}"));
        }
        if let Some(earlier) = first.insert(image, line) {
            problems.add(format!("{file}:{line}: {image}: the image is listed twice, first in line {earlier}"));
            continue;
        }
        rows.push(Row { line, image: image.to_string(), annotation: annotation.ok() });
    }
    if first.is_empty() && problems.is_empty() {
        problems.add(format!("{file}: no rows, only a header"));
    }
    Ok(rows)
}

/// Where [`COLUMNS`] are in the table; there may be others.
fn columns(table: &Table, file: &str) -> Result<[usize; 4]> {
    let found = COLUMNS.map(|name| table.columns.iter().position(|column| column == name));
    let missing = COLUMNS.iter().zip(&found).filter(|(_, found)| found.is_none());
    let missing: Vec<String> = missing.map(|(column, _)| format!("{column:?}")).collect();
    match missing.as_slice() {
        [] => Ok(found.map(Option::unwrap_or_default)),
        [one] => bail!("{file}:1: column {one} is missing; the table has {}", table.columns.join(", ")),
        many => bail!("{file}:1: columns {} are missing; the table has {}", many.join(", "), table.columns.join(", ")),
    }
}

fn annotation(label: &str, votes: &str, partition: &str) -> Result<Annotation> {
    let label = position(&CLASSES, label).with_context(|| format!("unknown label {label:?}; there are HP and SSA"));
    let votes = match votes.parse::<i64>() {
        Ok(votes) if (0..=ANNOTATORS).contains(&votes) => Ok(votes),
        Ok(votes) => Err(anyhow::anyhow!("{votes} votes for SSA; there are 0 to {ANNOTATORS}")),
        Err(_) => Err(anyhow::anyhow!("{votes:?} is not a number of votes")),
    };
    let partition = position(&PARTITIONS, partition)
        .with_context(|| format!("unknown partition {partition:?}; there are train and test"));
    match (label, votes, partition) {
        (Ok(label), Ok(votes), Ok(partition)) => Ok(Annotation { label, votes, partition }),
        (label, votes, partition) => {
            let faults = [label.err(), votes.err(), partition.err()];
            bail!("{}", faults.into_iter().flatten().map(|why| why.to_string()).collect::<Vec<_>>().join("; "))
        }
    }
}

fn position(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

fn is_plain_name(name: &str) -> bool {
    let strange = |letter: char| matches!(letter, '/' | '\\' | ':' | '"') || letter.is_control();
    !name.is_empty() && !name.starts_with('.') && !name.contains(strange)
}
