//! The end of a run as programs and CI systems are told of it: events of expectations, results, baseline and errors, and
//! the run's report. Prints nothing for people.

use crate::baseline::{Baseline, Comparison, compare, gather};
use crate::event::{Event, Met, Observer};
use crate::exit::{Exit, Fault};
use crate::expect::{Checked, Unchecked};
use crate::pipeline::{NodeId, Pipeline};
use crate::results::{Account, Written};
use crate::run_report::{ExpectationReport, NodeReport, RunReport};
use crate::schedule::Summary;
use ddpipe_cache::Record;
use indexmap::IndexMap;
use std::collections::HashSet;

/// What a run has come to.
pub struct Told<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The run's folder in the cache.
    pub run: &'a str,
    /// Every node's outcome.
    pub summary: &'a Summary,
    /// The expectations.
    pub checked: &'a [Checked],
    /// The expectations that could not be checked.
    pub unchecked: &'a [Unchecked],
    /// The files in the results folder.
    pub written: &'a Written,
    /// What comparing with a baseline came to, where that was asked for.
    pub comparison: Option<&'a Comparison>,
}

/// What the nodes of a run give beside a baseline.
pub fn compared(pipeline: &Pipeline, summary: &Summary, name: &str, baseline: &Baseline, whole: bool) -> Comparison {
    let in_run: HashSet<&str> = summary.outcomes.iter().map(|outcome| outcome.node.as_str()).collect();
    let records: IndexMap<NodeId, &Record> = summary.records.iter().map(|(id, record)| (*id, &**record)).collect();
    let wanted = |id: NodeId| in_run.contains(pipeline.node(id).address().as_str());
    let now = gather(pipeline, &wanted, &|id| records.get(&id).copied());
    compare(name, baseline, &now, whole)
}

impl Told<'_> {
    /// The events that follow on that of the end; the last one is the exit code.
    pub fn tell(&self, faults: &[Fault], exit: Exit, observer: &mut dyn Observer) {
        for check in self.checked {
            observer.on_event(&Event::Expectation {
                metric: check.what.clone(),
                value: check.value,
                bounds: check.bounds,
                wanted: check.wanted.clone(),
                verdict: check.verdict(),
                place: check.place.clone(),
                why: None,
            });
        }
        for Unchecked { what, wanted, bounds, place, why } in self.unchecked {
            observer.on_event(&Event::Expectation {
                metric: what.clone(),
                value: None,
                bounds: *bounds,
                wanted: wanted.clone(),
                verdict: Met::NotChecked,
                place: place.clone(),
                why: Some(why.to_string()),
            });
        }
        let account = Account::read(&self.written.folder);
        for (name, file) in account.iter().flat_map(|account| &account.files).filter(|(_, file)| file.run == self.run) {
            observer.on_event(&Event::Result {
                node: file.node.clone(),
                output: file.output.clone(),
                path: self.written.folder.join(name),
                digest: file.digest.hex(),
            });
        }
        for row in self.comparison.iter().flat_map(|comparison| &comparison.rows) {
            observer.on_event(&Event::Baseline(row.clone()));
        }
        for fault in faults {
            observer.on_event(&Event::Error { message: fault.message.clone(), code: fault.exit as u8 });
        }
        observer.on_event(&Event::Exit { code: exit as u8, outcome: exit.name().into() });
    }

    /// The run's report; `blank` has what was known at its begin.
    pub fn report(&self, blank: RunReport, faults: &[Fault], exit: Exit) -> RunReport {
        let mut outcomes: IndexMap<&str, _> =
            self.summary.outcomes.iter().map(|outcome| (outcome.node.as_str(), outcome)).collect();
        let checked = self.checked.iter().map(ExpectationReport::of);
        let unchecked = self.unchecked.iter().map(ExpectationReport::of_unchecked);
        let nodes = self.pipeline.nodes.iter().map(|node| {
            let address = node.address();
            let outcome = outcomes.swap_remove(address.as_str()).cloned();
            NodeReport { stage: node.stage.clone(), node: address, outcome }
        });
        RunReport {
            pipeline: self.pipeline.name.clone(),
            run: Some(self.run.to_string()),
            nodes: nodes.collect(),
            expectations: checked.chain(unchecked).collect(),
            comparison: self.comparison.cloned(),
            tables: self.written.tables.clone(),
            files: self.written.files.clone(),
            faults: faults.iter().map(|fault| fault.message.clone()).collect(),
            exit,
            ended: true,
            ..blank
        }
    }
}
