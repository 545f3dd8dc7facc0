//! The tables of a pipeline, each cell with a link to its proof, and what they say: in each column the best and the next, with
//! the difference and its interval.

mod cell;
mod document;
mod layout;
mod reading;

pub use reading::Reading;

use super::behind::{self, Behind};
use super::subject::Subject;
use super::words::Link;
use crate::commit;
use crate::number::significant;
use crate::pipeline::{Node, NodeId};
use crate::progress::duration;
use crate::size;
use crate::when;
use cell::Cell;
use ddpipe_interface::ArtifactType;
use document::Document;
use layout::Layout;

/// A table.
pub struct Table {
    /// The node that made it.
    pub node: Link,
    /// Its number in this page, for names.
    pub number: usize,
    /// The caption.
    pub caption: String,
    /// The note below it.
    pub note: String,
    /// The title of the first column.
    pub corner: String,
    /// The titles of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What it says, column by column.
    pub readings: Vec<Reading>,
    /// How its numbers were made.
    pub proofs: Vec<Proof>,
    /// Why it is not there; empty where it is.
    pub lacking: String,
}

/// A row.
pub struct Row {
    /// Its title.
    pub title: String,
    /// Its cells.
    pub cells: Vec<Cell>,
}

/// How one number was made.
pub struct Proof {
    /// The name in links, without its `#`.
    pub id: String,
    /// Row, column and number.
    pub title: String,
    /// How far it is from the best of its column, in words; empty of the best and where nothing is compared.
    pub beside: String,
    /// The nodes that gave it.
    pub nodes: Vec<Giver>,
    /// The stages behind it.
    pub behind: Vec<Behind>,
    /// The files from outside behind it.
    pub sources: Vec<String>,
}

/// A node that gave a number.
pub struct Giver {
    /// The node.
    pub node: Link,
    /// What it gave.
    pub value: String,
    /// Its seed.
    pub seed: String,
    /// The first letters of its key.
    pub key: String,
    /// When and on what it was made.
    pub made: String,
    /// How long it took, and the memory that it needed.
    pub cost: String,
}

/// The name of a cell's proof in links.
fn name(table: usize, row: usize, column: usize) -> String {
    format!("c{table}-{row}-{column}")
}

/// All tables of the pipeline.
pub fn of(subject: &Subject) -> Vec<Table> {
    let mut tables = Vec::new();
    for node in &subject.pipeline.nodes {
        let Some(kind) = subject.pipeline.catalog.declaration(&node.kind) else { continue };
        let Some(output) = kind.outputs.iter().find(|(_, output)| output.artifact == ArtifactType::Table) else {
            continue;
        };
        tables.push(table(subject, node, output.0, tables.len()));
    }
    tables
}

fn table(subject: &Subject, node: &Node, output: &str, number: usize) -> Table {
    let mut table = Table {
        node: Link::to(subject.pipeline, node.id),
        number,
        caption: String::new(),
        note: String::new(),
        corner: String::new(),
        columns: Vec::new(),
        rows: Vec::new(),
        readings: Vec::new(),
        proofs: Vec::new(),
        lacking: String::new(),
    };
    let documents = subject.documents(node.id);
    let document = documents.iter().find(|(name, _)| name == output).and_then(|(_, value)| Document::read(value));
    let Some(document) = document else {
        let facts = subject.facts(node.id);
        let why = facts.failure.as_ref().map_or(String::new(), |failure| format!(": {}", failure.message));
        let why = why.lines().next().unwrap_or_default();
        table.lacking = match &facts.record {
            Some(_) => "its outputs cannot be shown here; `ddpipe show` has them".into(),
            None => format!("{}{why}", facts.standing.word()),
        };
        return table;
    };
    let layout = Layout::of(subject, node, &document);
    table.caption = document.caption.clone();
    table.note = document.note.clone();
    table.corner = layout.corner.clone();
    table.columns = document.titles();
    for (row, title) in document.rows.iter().enumerate() {
        let mut cells = Vec::new();
        for column in 0..document.columns.len() {
            let mut cell = document.cell(row, column);
            let nodes = layout.nodes(row, column);
            if !cell.text.is_empty() && !nodes.is_empty() {
                let id = name(number, row, column);
                cell.href = format!("#{id}");
                table.proofs.push(proof(subject, &document, id, &nodes, (row, column), &cell));
            } else if !cell.text.is_empty() {
                cell.href.clone_from(&table.node.href);
            }
            cells.push(cell);
        }
        table.rows.push(Row { title: title.clone(), cells });
    }
    for (column, best) in reading::best(subject, &document, &layout).into_iter().enumerate() {
        for row in best.rows {
            if let Some(cell) = table.rows.get_mut(row).and_then(|row| row.cells.get_mut(column)) {
                cell.best = true;
            }
        }
        for (row, words) in best.beside {
            let id = name(number, row, column);
            if let Some(proof) = table.proofs.iter_mut().find(|proof| proof.id == id) {
                proof.beside = words;
            }
        }
        table.readings.extend(best.reading);
    }
    table
}

fn proof(
    subject: &Subject,
    document: &Document,
    id: String,
    nodes: &[NodeId],
    (row, column): (usize, usize),
    cell: &Cell,
) -> Proof {
    let metric = document.metric(column);
    let giver = |id: &NodeId| {
        let node = subject.pipeline.node(*id);
        let record = subject.record(*id);
        let value = record.and_then(|record| record.number(metric?)).map_or("–".into(), significant);
        let made = record.map(|record| &record.provenance);
        let seeded = subject.pipeline.catalog.declaration(&node.kind).is_some_and(|kind| kind.seeded);
        Giver {
            node: Link::to(subject.pipeline, *id),
            value,
            seed: if seeded { node.seed.to_string() } else { "–".into() },
            key: record.map_or("–".into(), |record| record.key.short()),
            made: made.map_or("–".into(), |made| {
                let of = made.commit.as_ref().map_or(String::new(), |of| {
                    format!(", commit {}", commit::in_words(of).chars().take(10).collect::<String>())
                });
                format!("{}, {}{of}", when::long(when::since_1970(made.started_unix)), made.device_name)
            }),
            cost: made.map_or("–".into(), |made| {
                let memory = made.peak_memory.map_or(String::new(), |bytes| format!(", {}", size::show(bytes)));
                format!("{}{memory}", duration(made.seconds))
            }),
        }
    };
    let spread = if cell.spread.is_empty() { String::new() } else { format!(" {}", cell.spread) };
    let row = document.rows.get(row).cloned().unwrap_or_default();
    let titles = document.titles();
    let column = titles.get(column).cloned().unwrap_or_default();
    Proof {
        id,
        title: format!("{row} · {column}: {}{spread}", cell.text),
        beside: String::new(),
        nodes: nodes.iter().map(giver).collect(),
        behind: behind::of(subject, nodes),
        sources: behind::sources(subject, nodes),
    }
}
