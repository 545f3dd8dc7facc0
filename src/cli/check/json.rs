//! What `check` found, as JSON for editors and scripts. The fields are described in the README.

use super::Found;
use crate::diagnostic::Diagnostic;
use crate::manifest::outline::Outline;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// One entry for each manifest and profile.
pub fn of_all(found: &[Found]) -> Value {
    found.iter().map(of_one).collect()
}

fn of_one(found: &Found) -> Value {
    let errors = found.errors.diagnostics.iter().map(|error| diagnostic(error, "error"));
    let warnings = found.warnings.iter().map(|warning| diagnostic(warning, "warning"));
    json!({
        "manifest": found.manifest.display().to_string(),
        "profile": found.profile,
        "ok": found.errors.is_empty(),
        "pipeline": found.size.as_ref().map(|size| &size.pipeline),
        "nodes": found.size.as_ref().map(|size| size.nodes),
        "sources": found.size.as_ref().map(|size| size.sources),
        "diagnostics": errors.chain(warnings).collect::<Vec<_>>(),
    })
}

/// A fault of a file has `file`, `line` and `column` (from 1, in characters); one of the command line has `argument`.
fn diagnostic(diagnostic: &Diagnostic, severity: &str) -> Value {
    let place = diagnostic.place.as_ref();
    let file = place.filter(|place| place.source.is_file);
    json!({
        "severity": severity,
        "file": file.map(|place| &place.source.name),
        "line": file.map(|place| place.line()),
        "column": file.map(|place| place.column()),
        "argument": place.filter(|place| !place.source.is_file).map(ToString::to_string),
        "message": diagnostic.message,
        "label": diagnostic.label,
        "help": diagnostic.help,
    })
}

/// The variables and profiles of manifests.
pub fn of_outlines(outlines: &[(&PathBuf, Outline)]) -> Value {
    let table = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
    };
    let one = |(manifest, outline): &(&PathBuf, Outline)| {
        let profiles: Map<String, Value> =
            outline.profiles.iter().map(|(name, changes)| (name.clone(), json!(table(changes)))).collect();
        json!({ "manifest": manifest.display().to_string(), "vars": table(&outline.vars), "profiles": profiles })
    };
    outlines.iter().map(one).collect()
}
