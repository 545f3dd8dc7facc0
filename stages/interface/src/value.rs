//! The value of a parameter, an axis or a label.

use serde::{Deserialize, Serialize};

/// A parameter's value, in the types that TOML and JSON share. Untagged; a float is written with its point, so that
/// the canonical form of `1` and `1.0` differ and a parameter of type float always holds `Float`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    String(String),
    /// A list.
    List(Vec<Value>),
}

impl Value {
    /// The value's type and text, for messages: `the string "abc"`.
    pub fn describe(&self) -> String {
        match self {
            Value::Boolean(value) => value.to_string(),
            Value::Integer(number) => format!("the integer {number}"),
            Value::Float(number) => format!("the number {number:?}"),
            Value::String(text) => format!("the string {text:?}"),
            Value::List(values) => format!("a list of {}", values.len()),
        }
    }

    /// The texts that it holds: itself, or those of a list.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Value::String(text) => vec![text],
            Value::List(values) => values.iter().flat_map(Value::texts).collect(),
            _ => Vec::new(),
        }
    }
}

/// The canonical text of a value, as keys and plans use it: JSON, floats in the shortest form that reads back.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number:?}"),
            Value::String(text) => write!(f, "{text:?}"),
            Value::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{value}")?;
                }
                f.write_str("]")
            }
        }
    }
}
