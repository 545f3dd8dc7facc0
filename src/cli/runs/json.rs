//! Runs as JSON, for programs.

use crate::event::Status;
use crate::history::{Column, Past, State, Told};
use crate::started::Started;
use crate::when;
use serde_json::{Map, Value, json};

/// A run in a list; `at` is its place among the values of the columns.
pub(super) fn in_list(told: &Told, started: Option<&Started>, columns: &[Column], at: usize) -> Value {
    let mut run = in_short(&told.past, started);
    let value = |column: &Column| column.values.get(at)?.clone().map(|value| (column.name.clone(), Value::from(value)));
    let differing: Map<String, Value> = columns.iter().filter_map(value).collect();
    if let Some(run) = run.as_object_mut() {
        run.insert("differing".into(), differing.into());
        let repeats: Vec<Value> = told.repeats.iter().map(|past| Value::from(past.seen.id.as_str())).collect();
        run.insert("repeated_by".into(), repeats.into());
    }
    run
}

/// A run without its nodes.
pub(super) fn in_short(past: &Past, started: Option<&Started>) -> Value {
    let ended = past.ended();
    let (state, done, nodes) = match &past.state {
        State::Running(progress) => ("running", Some(progress.done), Some(progress.nodes)),
        State::DidNotEnd(progress) => ("did not end", Some(progress.done), Some(progress.nodes)),
        State::Ended(_) => ("ended", None, None),
    };
    let holder = past.seen.running.as_ref();
    let missed = ended.map(|ended| ended.expectations.iter().filter(|expected| !expected.met).count());
    let sets =
        started.map(|started| started.sets.iter().map(|(path, value)| format!("{path}={value}")).collect::<Vec<_>>());
    json!({
        "run": past.seen.id,
        "name": past.seen.name,
        "kept": past.seen.kept,
        "pipeline": past.seen.pipeline,
        "begun": when::rfc3339(past.begun()),
        "state": state,
        "host": holder.map(|holder| &holder.host),
        "process": holder.and_then(|holder| holder.pid),
        "done": done,
        "nodes": nodes,
        "ran": past.count(Status::Ran),
        "on_record": past.count(Status::Fresh),
        "failed": past.count(Status::Failed),
        "without_result": ended.map(|ended| ended.without_result()),
        "seconds": ended.map(|ended| ended.seconds),
        "exit": ended.map(|ended| ended.exit),
        "expectations": ended.map(|ended| ended.expectations.len()),
        "missed": missed,
        "baseline": ended.and_then(|ended| ended.baseline.as_ref()),
        "profile": started.map(|started| &started.profile),
        "set": sets,
        "commit": started.and_then(|started| started.commit.as_ref()),
    })
}
