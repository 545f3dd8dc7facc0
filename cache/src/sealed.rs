//! The file of a record: JSON with a checksum over all that it says. `check` is BLAKE3 over the compact JSON of the record
//! without `check`, fields in the order in which they are written. So a flipped bit and an edited number are both found.
//! Every format from 2 on carries it, so that a record of a newer format can be told from damage.

use crate::Digest;
use crate::record::{FORMAT, Record};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(crate) const CHECK: &str = "check";
/// Signatures of the checksum, which stand beside it in a remote and are not part of what it is over.
pub(crate) const SIGNATURES: &str = "signatures";

/// What a record's file holds.
pub(crate) enum Opened {
    /// A record of a format that this program reads.
    Record(Box<Record>),
    /// A whole record of a newer format.
    Newer(u64),
}

/// The text of a record's file.
pub(crate) fn seal(record: &Record) -> serde_json::Result<Vec<u8>> {
    seal_value(record)
}

/// The text of any object with its checksum.
pub(crate) fn seal_value(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let Value::Object(mut fields) = serde_json::to_value(value)? else {
        return Err(serde::ser::Error::custom("only an object can carry a checksum"));
    };
    let check = check(&fields)?;
    fields.insert(CHECK.into(), check.hex().into());
    let mut text = serde_json::to_vec_pretty(&fields)?;
    text.push(b'\n');
    Ok(text)
}

/// As [`seal_value`], in one line and without a copy of the value: for what is large, is written often, and that programs
/// read. Its fields must be written as they are read back: no number that is not finite, no field left out.
pub(crate) fn seal_large(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    let check = Digest::of(&text);
    if text.pop() != Some(b'}') {
        return Err(serde::ser::Error::custom("only an object can carry a checksum"));
    }
    text.extend_from_slice(format!(",\"{CHECK}\":\"{check}\"}}\n").as_bytes());
    Ok(text)
}

/// Reads a record's file; none when it is damaged.
pub(crate) fn open(text: &[u8]) -> Option<Opened> {
    let mut fields: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let format = fields.get("format")?.as_u64()?;
    let stated = fields.shift_remove(CHECK);
    fields.shift_remove(SIGNATURES);
    match (format, stated) {
        // As ddpipe wrote them before there were checksums.
        (1, None) => {}
        (2.., Some(Value::String(stated))) => {
            let stated: Digest = stated.parse().ok()?;
            if check(&fields).ok()? != stated {
                return None;
            }
            if format > FORMAT {
                return Some(Opened::Newer(format));
            }
        }
        _ => return None,
    }
    serde_json::from_value(Value::Object(fields)).ok().map(|record| Opened::Record(Box::new(record)))
}

/// Reads an object whose checksum fits. One without a checksum is from before there were any.
pub(crate) fn open_value<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    if let Some(content) = open_large(text) {
        return serde_json::from_slice(&content).ok();
    }
    let mut fields: Map<String, Value> = serde_json::from_slice(text).ok()?;
    if let Some(stated) = fields.shift_remove(CHECK)
        && stated.as_str() != Some(&check(&fields).ok()?.hex())
    {
        return None;
    }
    serde_json::from_value(Value::Object(fields)).ok()
}

/// The object without its checksum, where [`seal_large`] wrote the text and the checksum fits.
fn open_large(text: &[u8]) -> Option<Vec<u8>> {
    // `,"check":"<64 digits>"}` and the end of the line.
    let end = CHECK.len() + 64 + 8;
    let (object, end) = text.split_at_checked(text.len().checked_sub(end)?)?;
    let stated: Digest =
        std::str::from_utf8(end.strip_prefix(b",\"check\":\"")?.strip_suffix(b"\"}\n")?).ok()?.parse().ok()?;
    let content = [object, b"}"].concat();
    (Digest::of(&content) == stated).then_some(content)
}

fn check(fields: &Map<String, Value>) -> serde_json::Result<Digest> {
    Ok(Digest::of(&serde_json::to_vec(fields)?))
}
