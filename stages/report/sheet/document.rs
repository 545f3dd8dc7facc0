//! Reads the JSON documents of results, which hold more than their metrics.

use crate::context::Inputs;
use anyhow::{Context as _, Result};
use serde_json::Value;

/// The documents of all results of an input, in order.
pub fn all(inputs: &Inputs, input: &str) -> Result<Vec<Value>> {
    let document = |result| {
        let bytes = inputs.bytes_of(result)?;
        serde_json::from_slice(&bytes).with_context(|| format!("{}: the metrics are not JSON", result.name))
    };
    inputs.many(input).iter().map(document).collect()
}

/// The origins of the data of the results, from the field `origin` of their documents, without repetitions.
pub fn origins(documents: &[Value]) -> Vec<String> {
    let mut origins: Vec<String> = Vec::new();
    for origin in documents.iter().filter_map(|document| document["origin"].as_str()) {
        if !origins.iter().any(|known| known == origin) {
            origins.push(origin.to_string());
        }
    }
    origins
}

/// Whether any of the origins is that of generated sample data.
pub fn is_sample(origins: &[String]) -> bool {
    origins.iter().any(|origin| origin.contains("sample data"))
}
