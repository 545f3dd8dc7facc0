//! That docs/events.md describes every event with exactly its fields.

#![allow(clippy::unwrap_used)]

use super::{Event, Failure, Headline, Met, Outcome, Status};
use crate::baseline::{Compared, Side, Verdict};
use crate::diagnostic::{Diagnosed, PlaceSeen, Severity};
use crate::expect::Bounds;
use crate::reason::Reason;
use ddpipe_interface::protocol::{Cause, LogLevel};
use indexmap::IndexMap;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One event of each kind, with everything that may be absent.
fn samples() -> Vec<Event> {
    let text = || "x".to_string();
    let node = text;
    let side = Side { mean: 0.5, deviation: Some(0.1), n: 3 };
    let place = |label| PlaceSeen { source: text(), line: Some(1), column: Some(1), argument: Some(text()), label };
    vec![
        Event::Begun { pipeline: text(), run: text(), nodes: 2, fresh: 1 },
        Event::Expected { jobs: 2, seconds: IndexMap::from([(text(), Some(0.5))]) },
        Event::Download { file: text(), done: 1, total: Some(2) },
        Event::Started {
            node: node(),
            kind: text(),
            slot: text(),
            reasons: vec![
                Reason::ParamChanged { name: text(), old: text(), new: text() },
                Reason::InputChanged { name: text(), cause: Some(text()) },
            ],
            continues: Some(1),
        },
        Event::Progress { node: node(), step: 1, total: 2, loss: Some(0.5), unit: text() },
        Event::Metric { node: node(), name: text(), step: 1, value: 0.5 },
        Event::Preview { node: node(), step: 1, path: "x".into() },
        Event::Log { node: node(), level: LogLevel::Warn, text: text() },
        Event::Waiting { node: node(), holder: text() },
        Event::Silent { node: node(), seconds: 1.0 },
        Event::Retried { node: node(), failed: 1, times: 2, cause: Cause::Error, message: text() },
        Event::Pilots { working: 1, queued: 1, reason: Some(text()) },
        Event::Warning { text: text() },
        Event::Finished(Outcome {
            node: node(),
            status: Status::Failed,
            key: Some(text()),
            seconds: 1.0,
            peak_memory: Some(1),
            metrics: IndexMap::from([("accuracy".to_string(), 0.5)]),
            headline: vec![Headline { name: text(), value: 0.5, unit: Some(text()) }],
            failure: Some(Failure {
                cause: Some(Cause::Error),
                message: text(),
                hint: Some(text()),
                log: vec![text()],
            }),
        }),
        Event::Ended { counts: IndexMap::from([(Status::Ran, 1)]), seconds: 1.0 },
        Event::Diagnostic(Diagnosed {
            severity: Severity::Error,
            message: text(),
            place: Some(place(None)),
            label: Some(text()),
            help: Some(text()),
            other: Some(place(Some(text()))),
            text: text(),
        }),
        Event::Expectation {
            metric: text(),
            value: Some(0.5),
            bounds: Bounds { at_least: Some(0.1), at_most: Some(0.9), equals: Some(0.5), within: Some(0.1) },
            wanted: text(),
            verdict: Met::Met,
            place: text(),
            why: Some(text()),
        },
        Event::Result { node: node(), output: text(), path: "x".into(), digest: text() },
        Event::Baseline(Compared {
            node: node(),
            metric: text(),
            verdict: Verdict::CannotSay,
            was: side,
            now: Some(side),
            p: Some(0.5),
            interval: Some([-0.5, 0.5]),
            enough: Some(12),
            why: text(),
        }),
        Event::Error { message: text(), code: 3 },
        Event::Exit { code: 0, outcome: "ok".into() },
    ]
}

/// Fails to compile when there is another event: it needs a sample too, and a place in the page.
fn number(event: &Event) -> usize {
    match event {
        Event::Begun { .. } => 0,
        Event::Download { .. } => 1,
        Event::Started { .. } => 2,
        Event::Progress { .. } => 3,
        Event::Metric { .. } => 4,
        Event::Preview { .. } => 5,
        Event::Log { .. } => 6,
        Event::Waiting { .. } => 7,
        Event::Silent { .. } => 8,
        Event::Retried { .. } => 9,
        Event::Warning { .. } => 10,
        Event::Finished(_) => 11,
        Event::Ended { .. } => 12,
        Event::Diagnostic(_) => 13,
        Event::Expectation { .. } => 14,
        Event::Result { .. } => 15,
        Event::Baseline(_) => 16,
        Event::Error { .. } => 17,
        Event::Exit { .. } => 18,
        Event::Expected { .. } => 19,
        Event::Pilots { .. } => 20,
    }
}

/// The fields of a value: `failure.message`, `reasons[].name`, and `metrics.*` where the data decides on the names.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter().filter(|(name, _)| !(path.is_empty() && *name == "event")) {
                let name = if matches!(path, "metrics" | "counts" | "seconds") { "*" } else { name };
                let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
                fields(value, &path, found);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            values.iter().for_each(|value| fields(value, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(path.to_string());
        }
    }
}

#[test]
fn the_page_of_events_has_every_event_with_its_fields_and_no_other() {
    let samples = samples();
    let numbers: BTreeSet<usize> = samples.iter().map(number).collect();
    assert_eq!(numbers.len(), 21, "one sample of each event");
    let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in &samples {
        let value = serde_json::to_value(event).unwrap();
        let mut found = BTreeSet::new();
        fields(&value, "", &mut found);
        made.insert(value["event"].as_str().unwrap().to_string(), found);
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md")).unwrap();
    let mut described: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = None;
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            current = Some(described.entry(name.to_string()).or_default());
        } else if let (Some(fields), Some(rest)) = (&mut current, line.strip_prefix("| `")) {
            fields.insert(rest.split('`').next().unwrap().to_string());
        }
    }
    assert_eq!(described, made);
}
