//! The head of a safetensors file, which engine and worker read: a length and JSON. Knows no tensors.

use serde_json::{Map, Value};
use std::io::Read;

/// The single metadata entry that ddpipe writes: a JSON text that describes the artifact.
pub const ENTRY: &str = "ddpipe";

/// The longest head that is read.
const LONGEST: u64 = 16 << 20;

/// The JSON object at the head of a safetensors file; none when this is no such file.
pub fn head(file: &mut impl Read) -> Option<Map<String, Value>> {
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if !(2..=LONGEST).contains(&length) {
        return None;
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// What ddpipe says in the head about the artifact.
pub fn about(head: &Map<String, Value>) -> Option<Value> {
    serde_json::from_str(head.get("__metadata__")?.get(ENTRY)?.as_str()?).ok()
}
