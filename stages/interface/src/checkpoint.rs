//! How a checkpoint's file begins: what the engine reads to say where a stage continues, without its tensors.

use crate::tensor_file;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};

/// The name of the checkpoint in a stage's scratch folder.
pub const FILE: &str = "checkpoint";

/// The first line of a checkpoint's file: this, BLAKE3 of all that follows in hexadecimal digits, and a line feed. A
/// safetensors file follows.
pub const MAGIC: &str = "ddpipe checkpoint 1 ";

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The key of the action that it belongs to, 64 hexadecimal digits.
    pub key: String,
    /// The version of the stage kind.
    pub version: u64,
    /// The number of steps done.
    pub step: u64,
}

impl Head {
    /// Reads it from the begin of a checkpoint's file; none when this is no checkpoint. Whether the rest is whole is not
    /// looked at: the worker does so before it continues.
    pub fn read(file: impl Read) -> Option<Self> {
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        file.by_ref().take(MAGIC.len() as u64 + 65).read_until(b'\n', &mut line).ok()?;
        let digest = line.strip_prefix(MAGIC.as_bytes())?.strip_suffix(b"\n")?;
        if digest.len() != 64 {
            return None;
        }
        let about: Value = tensor_file::about(&tensor_file::head(&mut file)?)?;
        let about = &about["checkpoint"];
        let key = about["origin"]["key"].as_str()?.to_string();
        Some(Head { key, version: about["origin"]["version"].as_u64()?, step: about["step"].as_u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(about: &Value) -> Vec<u8> {
        let head = json!({ "__metadata__": { tensor_file::ENTRY: about.to_string() } }).to_string();
        let mut bytes = format!("{MAGIC}{}\n", "0".repeat(64)).into_bytes();
        bytes.extend((head.len() as u64).to_le_bytes());
        bytes.extend(head.as_bytes());
        bytes
    }

    #[test]
    fn the_head_says_where_a_stage_continues() {
        let key = "ab".repeat(32);
        let about = json!({ "checkpoint": { "origin": { "key": key, "version": 2 }, "step": 126 } });
        let whole = file(&about);
        assert_eq!(Head::read(&whole[..]), Some(Head { key, version: 2, step: 126 }));
        (0..whole.len()).for_each(|length| assert_eq!(Head::read(&whole[..length]), None, "{length} bytes"));
        assert_eq!(Head::read(&file(&json!({ "step": 1 }))[..]), None);
    }
}
