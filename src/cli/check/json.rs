//! What `check` found, as JSON for editors and scripts. Its diagnostics have the form of the event `diagnostic`.

use super::Found;
use crate::diagnostic::Severity;
use crate::manifest::outline::Outline;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// One entry for each manifest and profile.
pub fn of_all(found: &[Found]) -> Value {
    found.iter().map(of_one).collect()
}

fn of_one(found: &Found) -> Value {
    let errors = found.errors.diagnostics.iter().map(|error| error.for_programs(Severity::Error));
    let warnings = found.warnings.iter().map(|warning| warning.for_programs(Severity::Warning));
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
