//! The files `meta.yaml`, which say what an experiment or a run is.

use crate::exit::Fault;
use crate::visible::visible;
use std::path::Path;

/// The file's name.
pub const FILE: &str = "meta.yaml";

/// A value of the file.
pub enum Field {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Nothing.
    Nothing,
}

/// The file with these values. A text is written as JSON has it, which is YAML too.
pub fn text(fields: &[(&str, Field)]) -> String {
    let line = |(name, field): &(&str, Field)| match field {
        Field::Text(text) => format!("{name}: {}\n", serde_json::Value::from(visible(text).into_owned())),
        Field::Number(number) => format!("{name}: {number}\n"),
        Field::Nothing => format!("{name}: null\n"),
    };
    fields.iter().map(line).collect()
}

/// A folder as an address. MLflow keeps where files lie in full, so that a store is not to be moved.
///
/// # Errors
/// The path is no text.
pub fn address(folder: &Path) -> Result<String, Fault> {
    let Some(path) = folder.to_str() else {
        return Err(Fault::usage(format!("{} is no text, which MLflow needs of a path", folder.display())));
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let letter = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    Ok(format!("file://{}", path.bytes().map(letter).collect::<String>()))
}

/// Seconds since 1970 as MLflow counts them.
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
