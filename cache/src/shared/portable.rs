//! A record's text as it goes to a remote: without the paths of this machine. A source keeps its file name. Fields of a
//! newer program stay.

use crate::sealed;
use serde_json::{Map, Value};
use std::path::Path;

/// The text for a remote, with a checksum of its own; none where this is no record.
pub(super) fn portable(text: &[u8]) -> Option<Vec<u8>> {
    let mut fields: Map<String, Value> = serde_json::from_slice(text).ok()?;
    fields.shift_remove(sealed::CHECK);
    fields.shift_remove(sealed::SIGNATURES);
    if let Some(Value::Object(sources)) = fields.get_mut("sources") {
        for source in sources.values_mut() {
            if let Some(path) = source.get_mut("path") {
                let name = path.as_str().and_then(|path| Path::new(path).file_name()).unwrap_or_default();
                *path = name.to_string_lossy().into_owned().into();
            }
        }
    }
    sealed::seal_value(&fields).ok()
}
