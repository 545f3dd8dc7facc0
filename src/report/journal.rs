//! What the journal of a run says of its nodes: when each was at work and where, its curves, the last lines that it logged.
//! Reads one folder of a run; knows no pipeline and no record.

use crate::event::{Event, Outcome};
use crate::told::Following;
use indexmap::IndexMap;
use std::collections::{HashMap, VecDeque};
use std::path::Path;

/// So many last lines of a node's log are kept.
const LINES: usize = 40;

/// What a run told.
#[derive(Debug, Default)]
pub struct Journal {
    /// The nodes by address.
    pub works: HashMap<String, Work>,
    /// The time of the last event, in seconds since the run began.
    pub seconds: f64,
    /// What it warned of.
    pub warnings: Vec<String>,
    /// The nodes of the run; 0 where it has not come to them.
    pub nodes: usize,
}

/// What a run told of one node.
#[derive(Debug, Default)]
pub struct Work {
    /// The slot: `cpu`, `cuda:0`.
    pub slot: String,
    /// When its last attempt began, in seconds since the run began; none of a node that was not at work.
    pub begun: Option<f64>,
    /// When it had its outcome.
    pub ended: Option<f64>,
    /// Its outcome.
    pub outcome: Option<Outcome>,
    /// Why it ran.
    pub reasons: Vec<String>,
    /// Its curves: steps and values.
    pub curves: IndexMap<String, Vec<(f64, f64)>>,
    /// The last lines that it logged.
    pub log: VecDeque<String>,
    /// Whether there were more.
    pub log_is_cut: bool,
}

impl Journal {
    /// What the run of this folder told; nothing where it has no journal.
    pub fn in_folder(folder: &Path) -> Self {
        let mut journal = Journal::default();
        for (at, event) in Following::of(folder).look() {
            journal.note(at.as_secs_f64(), event);
        }
        journal
    }

    fn note(&mut self, at: f64, event: Event) {
        self.seconds = self.seconds.max(at);
        match event {
            Event::Begun { nodes, .. } => self.nodes = nodes,
            Event::Started { node, slot, reasons, .. } => {
                let work = self.works.entry(node).or_default();
                (work.slot, work.begun, work.ended) = (slot, Some(at), None);
                if work.reasons.is_empty() {
                    work.reasons = reasons.iter().map(ToString::to_string).collect();
                }
            }
            Event::Metric { node, name, step, value } => {
                let curves = &mut self.works.entry(node).or_default().curves;
                curves.entry(name).or_default().push((step as f64, value));
            }
            Event::Log { node, text, .. } => self.works.entry(node).or_default().log(text),
            Event::Retried { node, message, .. } => {
                self.works.entry(node).or_default().log(format!("this attempt failed: {message}"));
            }
            Event::Warning { text } => self.warnings.push(text),
            Event::Finished(outcome) => {
                let work = self.works.entry(outcome.node.clone()).or_default();
                (work.ended, work.outcome) = (Some(at), Some(outcome));
            }
            _ => {}
        }
    }
}

impl Work {
    fn log(&mut self, line: String) {
        if self.log.len() == LINES {
            self.log.pop_front();
            self.log_is_cut = true;
        }
        self.log.push_back(line);
    }
}
