//! A record as bytes of the index: all that it says but its description, which whoever asks for the record knows, since
//! the key is its hash. Texts that many records have in common are numbers of a table. Reads bytes of any kind without
//! panicking. Knows no files.

use crate::{Circumstances, Digest, Key, Output, Provenance, Record};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Texts by number.
#[derive(Debug, Default)]
pub(super) struct Texts {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
    /// By number, what a text says of circumstances, once that was asked for.
    circumstances: Vec<OnceLock<Option<Arc<Circumstances>>>>,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        self.add(text, number);
        number
    }

    fn get(&self, number: u64) -> Option<&str> {
        self.texts.get(usize::try_from(number).ok()?).map(String::as_str)
    }

    fn add(&mut self, text: &str, number: u32) {
        self.texts.push(text.to_string());
        self.circumstances.push(OnceLock::new());
        self.numbers.insert(text.to_string(), number);
    }

    /// Records with the same circumstances share them.
    fn circumstances(&self, number: u64) -> Option<Arc<Circumstances>> {
        let text = self.get(number)?;
        let read = self.circumstances.get(usize::try_from(number).ok()?)?;
        read.get_or_init(|| serde_json::from_str(text).ok().map(Arc::new)).clone()
    }

    /// All texts as bytes.
    pub fn write(&self, to: &mut Vec<u8>) {
        put(to, self.texts.len() as u64);
        self.texts.iter().for_each(|text| put_text(to, text));
    }

    /// Reads what [`Texts::write`] wrote.
    pub fn read(from: &mut Bytes<'_>) -> Option<Self> {
        let mut texts = Texts::default();
        for number in 0..from.number()? {
            let text = from.text()?;
            texts.add(text, u32::try_from(number).ok()?);
        }
        Some(texts)
    }
}

/// The bytes of a record; none of one that JSON cannot hold.
pub(super) fn pack(record: &Record, texts: &mut Texts) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(256);
    let to = &mut bytes;
    put(to, record.format);
    put(to, texts.number(&record.pipeline).into());
    put_text(to, &record.node);
    put(to, record.outputs.len() as u64);
    for (name, output) in &record.outputs {
        put(to, texts.number(name).into());
        put(to, texts.number(&output.artifact_type).into());
        to.extend_from_slice(output.digest.bytes());
        put(to, output.bytes);
    }
    for numbers in [&record.metrics, &record.measured] {
        put(to, numbers.len() as u64);
        for (name, number) in numbers {
            put(to, texts.number(name).into());
            to.extend_from_slice(&number.to_bits().to_le_bytes());
        }
    }
    put_text(to, &if record.asks.is_empty() { String::new() } else { serde_json::to_string(&record.asks).ok()? });
    put_text(to, &if record.sources.is_empty() { String::new() } else { serde_json::to_string(&record.sources).ok()? });
    let Provenance { started_unix, seconds, peak_memory, circumstances } = &record.provenance;
    put(to, texts.number(&serde_json::to_string(&**circumstances).ok()?).into());
    to.extend_from_slice(&started_unix.to_bits().to_le_bytes());
    to.extend_from_slice(&seconds.to_bits().to_le_bytes());
    put(to, peak_memory.is_some().into());
    put(to, peak_memory.unwrap_or_default());
    Some(bytes)
}

/// The record of these bytes, which takes its description; none where they are not those of one.
pub(super) fn unpack(
    mut from: Bytes<'_>,
    texts: &Texts,
    key: Key,
    description: &mut Vec<(String, String)>,
) -> Option<Record> {
    let from = &mut from;
    let format = from.number()?;
    let pipeline = texts.get(from.number()?)?.to_string();
    let node = from.text()?.to_string();
    let mut outputs = IndexMap::new();
    for _ in 0..from.number()? {
        let name = texts.get(from.number()?)?.to_string();
        let artifact_type = texts.get(from.number()?)?.to_string();
        let (digest, bytes) = (Digest::from_bytes(from.array()?), from.number()?);
        outputs.insert(name, Output { digest, bytes, artifact_type });
    }
    let mut numbers = [IndexMap::new(), IndexMap::new()];
    for numbers in &mut numbers {
        for _ in 0..from.number()? {
            let name = texts.get(from.number()?)?.to_string();
            numbers.insert(name, from.float()?);
        }
    }
    let [metrics, measured] = numbers;
    let asks = from.text()?;
    let asks = if asks.is_empty() { IndexMap::new() } else { serde_json::from_str(asks).ok()? };
    let sources = from.text()?;
    let sources = if sources.is_empty() { IndexMap::new() } else { serde_json::from_str(sources).ok()? };
    let circumstances = texts.circumstances(from.number()?)?;
    let (started_unix, seconds) = (from.float()?, from.float()?);
    let (measured_memory, memory) = (from.number()?, from.number()?);
    let peak_memory = (measured_memory == 1).then_some(memory);
    let provenance = Provenance { started_unix, seconds, peak_memory, circumstances };
    let description = std::mem::take(description);
    Some(Record { format, key, pipeline, node, description, outputs, asks, metrics, measured, sources, provenance })
}

/// Bytes that are read from their begin.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}

/// Seven bits a byte, the lowest first.
pub(super) fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    put(to, text.len() as u64);
    to.extend_from_slice(text.as_bytes());
}
