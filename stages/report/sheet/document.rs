//! What results say in their documents, beyond the scalars that come with them.

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

/// Where the data of the results came from, as they themselves say (`origin`), each once.
pub fn origins(documents: &[Value]) -> Vec<String> {
    let mut origins: Vec<String> = Vec::new();
    for origin in documents.iter().filter_map(|document| document["origin"].as_str()) {
        if !origins.iter().any(|known| known == origin) {
            origins.push(origin.to_string());
        }
    }
    origins
}

/// Whether any of the data is generated.
pub fn is_sample(origins: &[String]) -> bool {
    origins.iter().any(|origin| origin.contains("sample data"))
}
