//! Signatures of records in a remote: whoever can write there may write anything, and a signature says whose word a record is. It
//! is over the record's checksum and stands beside it. Knows no keys: who signs and whom one believes is a [`Notary`]'s.

use crate::sealed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A signature of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The name of the key.
    pub key: String,
    /// The signature itself, in base64.
    pub sig: String,
}

/// Signs the records that go to a remote, and judges those that come from there.
pub trait Notary: fmt::Debug + Send + Sync {
    /// The signature of what has this checksum; none where there is no key to sign with.
    fn sign(&self, check: &str) -> Option<Signature>;

    /// Whether one of these signatures makes what has this checksum believed.
    ///
    /// # Errors
    /// Why not, in words.
    fn judge(&self, check: &str, signatures: &[Signature]) -> Result<(), String>;

    /// Whether one who sends what has this checksum would add a signature that is missing: there is a key to sign with, and no
    /// signature of one that is trusted.
    fn would_sign(&self, check: &str, signatures: &[Signature]) -> bool;
}

/// The text of a record with a signature, in place of those that it had.
pub(super) fn signed(text: Vec<u8>, notary: &dyn Notary) -> Vec<u8> {
    let sign = |text: &[u8]| {
        let mut fields: Map<String, Value> = serde_json::from_slice(text).ok()?;
        let signature = notary.sign(fields.get(sealed::CHECK)?.as_str()?)?;
        fields.insert(sealed::SIGNATURES.into(), serde_json::to_value([signature]).ok()?);
        let mut text = serde_json::to_vec_pretty(&fields).ok()?;
        text.push(b'\n');
        Some(text)
    };
    sign(&text).unwrap_or(text)
}

/// Whether a record's text, whose checksum fits, is believed; else why not.
pub(super) fn judged(text: &[u8], notary: &dyn Notary) -> Result<(), String> {
    let (check, signatures) = parts(text)?;
    notary.judge(&check, &signatures)
}

/// Whether a record there lacks a signature that it would have, were it sent from here.
pub(super) fn lacks_ours(text: &[u8], notary: &dyn Notary) -> bool {
    parts(text).is_ok_and(|(check, signatures)| notary.would_sign(&check, &signatures))
}

/// The checksum of a record's text, and its signatures.
fn parts(text: &[u8]) -> Result<(String, Vec<Signature>), String> {
    let fields: Map<String, Value> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let signatures = fields.get(sealed::SIGNATURES).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let signatures = serde_json::from_value(signatures).map_err(|_| "its signatures cannot be read".to_string())?;
    // Records of the first format have no checksum, and so no signature either.
    let check = fields.get(sealed::CHECK).and_then(Value::as_str).unwrap_or_default();
    Ok((check.to_string(), signatures))
}
