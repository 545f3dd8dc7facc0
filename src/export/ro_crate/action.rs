//! What each node did, as an action: what it read and gave, by which kind of stage, with which parameters, when and where.

use super::entity::{self, Crate, id_of, reference};
use super::{DDPIPE, output};
use crate::event::Failure;
use crate::exit::Fault;
use crate::export::{settings, times};
use crate::history::shown;
use crate::pipeline::{Endpoint, Node};
use crate::report::{Standing, Subject};
use crate::when::{rfc3339, since_1970};
use ddpipe_cache::Record;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// Adds the actions of all nodes that have a record or failed, and gives their names.
///
/// # Errors
/// A file of the crate cannot be written.
pub fn all(
    subject: &Subject,
    folder: &Path,
    sources: &HashMap<String, String>,
    made: &mut Crate,
) -> Result<Vec<String>, Fault> {
    // Outputs by node and name; a node stands behind all that it reads.
    let mut outputs: HashMap<(u32, String), String> = HashMap::new();
    let mut actions = Vec::new();
    for node in &subject.pipeline.nodes {
        let facts = subject.facts(node.id);
        let mut read = Vec::new();
        for edge in node.inputs.values().flatten() {
            let id = match &edge.from {
                Endpoint::Source { source, file } => sources.get(&format!("{source}/{file}")),
                Endpoint::Node { node, output } => outputs.get(&(node.0, output.clone())),
            };
            read.extend(id.map(|id| reference(id)));
        }
        let mut action = match (&facts.record, facts.standing, &facts.failure) {
            (Some(record), ..) => {
                let mut results = Vec::new();
                for name in record.outputs.keys() {
                    let id = output::add(subject, node, record, name, folder, made)?;
                    outputs.insert((node.id.0, name.clone()), id.clone());
                    results.push(reference(&id));
                }
                results.extend(record.metrics.iter().map(|(name, value)| number(node, name, *value, made)));
                of_record(subject, node, record, results, made)
            }
            (None, Standing::Failed, Some(failure)) => of_failure(subject, node, failure, made),
            _ => continue,
        };
        read.extend(parameters(subject, node, made));
        action["object"] = read.into();
        actions.push(made.add(action));
    }
    Ok(actions)
}

fn of_record(subject: &Subject, node: &Node, record: &Record, results: Vec<Value>, made: &mut Crate) -> Value {
    let (begun, ended) = times(record);
    let provenance = &record.provenance;
    let mut action = plain(subject, node, made);
    action["startTime"] = rfc3339(since_1970(begun)).into();
    action["endTime"] = rfc3339(since_1970(ended)).into();
    action["actionStatus"] = "http://schema.org/CompletedActionStatus".into();
    action["identifier"] = format!("ddpipe:{}", record.key.hex()).into();
    action["result"] = results.into();
    let words = format!(
        "{} ({}) on {}, ddpipe {}, libtorch {}",
        provenance.device_name, provenance.device, provenance.host, provenance.ddpipe, provenance.libtorch
    );
    action["description"] = entity::text(&words).into();
    action
}

fn of_failure(subject: &Subject, node: &Node, failure: &Failure, made: &mut Crate) -> Value {
    let mut action = plain(subject, node, made);
    action["actionStatus"] = "http://schema.org/FailedActionStatus".into();
    action["error"] = entity::text(&failure.message).into();
    if let Some((_, work)) = subject.told(node.id)
        && let (Some(run), Some(begun)) = (&subject.run, work.begun)
    {
        let at =
            |seconds: f64| rfc3339(run.begun() + std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default());
        action["startTime"] = at(begun).into();
        action["endTime"] = at(work.ended.unwrap_or(begun)).into();
    }
    action
}

fn plain(subject: &Subject, node: &Node, made: &mut Crate) -> Value {
    json!({
        "@id": id_of("node", &node.address),
        "@type": "CreateAction",
        "name": entity::text(&node.address),
        "instrument": reference(&kind(subject, node, made)),
    })
}

/// The kind of stage as a program.
fn kind(subject: &Subject, node: &Node, made: &mut Crate) -> String {
    let declared = subject.pipeline.catalog.declaration(&node.kind);
    let mut kind = json!({
        "@id": id_of("kind", &node.kind),
        "@type": "SoftwareApplication",
        "name": entity::text(&node.kind),
        "softwareVersion": declared.map_or("?".to_string(), |kind| kind.version.to_string()),
        "isPartOf": reference(DDPIPE),
    });
    if let Some(declared) = declared {
        kind["description"] = entity::text(&declared.help).into();
        if let Some(paper) = &declared.paper {
            kind["citation"] = entity::text(paper).into();
        }
    }
    made.add(kind)
}

/// The parameters that differ from their defaults, as values that the action was given.
fn parameters(subject: &Subject, node: &Node, made: &mut Crate) -> Vec<Value> {
    let parameter = |(name, value): (String, ddpipe_interface::Value)| {
        let id = id_of("param", &format!("{}.{name}", node.address));
        let value = entity::text(&shown(&value.to_string()));
        let given = json!({ "@id": id, "@type": "PropertyValue", "name": entity::text(&name), "value": value });
        reference(&made.add(given))
    };
    settings(subject.pipeline, node).into_iter().map(parameter).collect()
}

/// A result that is a number.
fn number(node: &Node, name: &str, value: f64, made: &mut Crate) -> Value {
    let id = id_of("result", &format!("{}.{name}", node.address));
    let value = if value.is_finite() { json!(value) } else { json!(value.to_string()) };
    reference(&made.add(json!({ "@id": id, "@type": "PropertyValue", "name": entity::text(name), "value": value })))
}
