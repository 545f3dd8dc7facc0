//! A run, or what is on record for a manifest, as one HTML file for people: what came of it, the tables with the proof of every
//! number, pictures, and what all of it was made from. Each section is a file here with its template in `html/`, and reads a
//! [`Subject`]. Nothing here runs a stage or writes a file.

mod behind;
mod classes;
mod comparison;
mod curves;
mod graph;
mod head;
mod journal;
mod ledger;
mod nodes;
pub mod notice;
mod outcome;
mod page;
mod pictures;
mod provenance;
mod reliability;
mod sets;
mod standing;
mod subject;
mod tables;
mod time;
mod words;

pub use comparison::comparison;
pub(crate) use curves::curves as curves_of;
pub(crate) use pictures::dimensions;
pub use standing::Standing;
pub use subject::{Call, Subject};

use askama::Template;

#[derive(Template)]
#[template(path = "report.html")]
struct Document {
    head: head::Head,
    outcome: outcome::Outcome,
    tables: Vec<tables::Table>,
    pictures: pictures::Pictures,
    ledger: Option<ledger::Ledger>,
    curves: curves::Curves,
    classes: Option<classes::Classes>,
    graph: Option<String>,
    time: Option<time::Time>,
    provenance: provenance::Provenance,
    stages: Vec<nodes::Stage>,
}

/// The whole page.
pub fn page(subject: &Subject) -> String {
    let document = Document {
        head: head::of(subject),
        outcome: outcome::of(subject),
        tables: tables::of(subject),
        pictures: pictures::of(subject),
        ledger: ledger::of(subject),
        curves: curves::of(subject),
        classes: classes::of(subject),
        graph: graph::of(subject),
        time: time::of(subject),
        provenance: provenance::of(subject),
        stages: nodes::of(subject),
    };
    page::around(&format!("{} – ddpipe report", subject.pipeline.name), &page::filled(&document))
}
