//! How a node is written: `distill[method=dm,seed=0]`. The letters of names and the text of axis values, which addresses,
//! selectors and templates share. Knows no node and no selector.

use crate::visible::is_hidden;
use ddpipe_interface::Value;
use indexmap::IndexMap;

/// The address of the node of a stage with these axes: `distill[method=dm,seed=0]`, or `train_set` without axes.
pub fn address(stage: &str, axes: &IndexMap<String, Value>) -> String {
    if axes.is_empty() {
        return stage.to_string();
    }
    let axes: Vec<_> = axes.iter().map(|(axis, value)| format!("{axis}={}", value_text(value))).collect();
    format!("{stage}[{}]", axes.join(","))
}

/// The text of an axis value in addresses and selectors: bare where that reads back unambiguously, else quoted.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => bare(text),
        other => other.to_string(),
    }
}

/// Whether an axis value is the one that a selector's text names. Numbers compare as numbers.
pub fn value_matches(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        Value::Float(number) => text.parse() == Ok(*number),
        Value::Integer(number) => text.parse() == Ok(*number),
        other => other.to_string() == text,
    }
}

/// Whether a letter may stand in the name of a stage, an axis or a variable.
pub fn is_name_letter(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
}

/// A text as a value in brackets: bare where that reads back unambiguously, else quoted.
pub fn bare(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-+.:/".contains(letter);
    if !text.is_empty() && text.chars().all(plain) { text.to_string() } else { quoted(text) }
}

/// A text as a string of JSON, which selectors read; what a terminal would obey or not show is written as `\u202e`.
fn quoted(text: &str) -> String {
    let mut json = String::new();
    for letter in serde_json::Value::from(text).to_string().chars() {
        if is_hidden(letter) {
            letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| json.push_str(&format!("\\u{unit:04x}")));
        } else {
            json.push(letter);
        }
    }
    json
}
