//! Named numbers in JSON, which has no NaN and no infinities: a diverged loss is a result like any other, and those become
//! strings.

use indexmap::IndexMap;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Named(String),
}

/// For `#[serde(with = …)]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(numbers: &IndexMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(numbers.len()))?;
    for (name, number) in numbers {
        if number.is_finite() {
            map.serialize_entry(name, number)?;
        } else {
            map.serialize_entry(name, &number.to_string())?;
        }
    }
    map.end()
}

/// For `#[serde(with = …)]`.
///
/// # Errors
/// A value is neither a number nor the name of one.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IndexMap<String, f64>, D::Error> {
    let numbers = IndexMap::<String, Number>::deserialize(deserializer)?;
    let parse = |(name, number)| match number {
        Number::Finite(number) => Ok((name, number)),
        Number::Named(text) => text.parse().map(|number| (name, number)).map_err(D::Error::custom),
    };
    numbers.into_iter().map(parse).collect()
}
