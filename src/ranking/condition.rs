//! Conditions on rows as people write them: `method=dm`, `lr_img>=1`, `arch!=mlp`.

use super::row::{Cell, Row};
use std::cmp::Ordering;
use std::str::FromStr;

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is compared.
    pub name: String,
    /// How.
    pub compared: Compared,
    /// With what.
    pub value: String,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Equal; numbers as numbers.
    Equal,
    /// Not equal, or absent.
    Unequal,
    /// Less.
    Less,
    /// Less or equal.
    AtMost,
    /// Greater.
    Greater,
    /// Greater or equal.
    AtLeast,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no condition; write NAME=VALUE, or with !=, <, <=, >, >=");
        let at = text.find(['=', '!', '<', '>']).ok_or_else(wrong)?;
        let (name, rest) = text.split_at(at);
        let signs = [
            ("!=", Compared::Unequal),
            ("<=", Compared::AtMost),
            (">=", Compared::AtLeast),
            ("=", Compared::Equal),
            ("<", Compared::Less),
            (">", Compared::Greater),
        ];
        let found = signs.into_iter().find_map(|(sign, compared)| Some((rest.strip_prefix(sign)?, compared)));
        let (value, compared) = found.ok_or_else(wrong)?;
        let (name, value) = (name.trim().to_string(), value.trim().to_string());
        if name.is_empty() || value.is_empty() { Err(wrong()) } else { Ok(Condition { name, compared, value }) }
    }
}

impl Condition {
    /// Whether a row meets it: where it has several values under the name, whether any of them does.
    pub fn holds(&self, row: &Row) -> bool {
        let value = Cell::Text(self.value.clone());
        let cells = row.cells(&self.name);
        let any = |holds: &dyn Fn(Ordering) -> bool, alike: bool| {
            cells
                .iter()
                .any(|cell| (!alike || cell.is_number() == value.is_number()) && holds(cell.compared(&value, false)))
        };
        match self.compared {
            Compared::Equal => any(&|order| order.is_eq(), false),
            Compared::Unequal => !any(&|order| order.is_eq(), false),
            Compared::Less => any(&|order| order.is_lt(), true),
            Compared::AtMost => any(&|order| order.is_le(), true),
            Compared::Greater => any(&|order| order.is_gt(), true),
            Compared::AtLeast => any(&|order| order.is_ge(), true),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn conditions_are_read() {
        let read = |text: &str| text.parse::<Condition>().map(|found| (found.name, found.compared, found.value));
        assert_eq!(read("a.lr>=1e-3").unwrap(), ("a.lr".into(), Compared::AtLeast, "1e-3".into()));
        assert_eq!(read("title=a=b").unwrap(), ("title".into(), Compared::Equal, "a=b".into()));
        for wrong in ["lr", "=3", "lr=", "lr!3", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
