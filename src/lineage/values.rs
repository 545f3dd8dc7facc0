//! The values that one parameter has in the nodes of a stage: one, or several where the nodes differ.

use indexmap::IndexSet;
use serde::{Serialize, Serializer};
use std::fmt;

/// All values of one parameter, each once, in the order in which they are met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Values(Vec<String>);

impl Values {
    /// One value.
    pub fn one(value: impl Into<String>) -> Self {
        Values(vec![value.into()])
    }

    /// All values among these, each once.
    pub fn of(values: impl IntoIterator<Item = String>) -> Self {
        Values(values.into_iter().collect::<IndexSet<String>>().into_iter().collect())
    }

    /// The values.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
