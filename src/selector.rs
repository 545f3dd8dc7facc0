//! How nodes are named: `distill[method=dm,seed=0]`, `distill[method=dm]`, `mnist_*`. Used by references and
//! expectations of the manifest and by the command line (`--select`, `--force`, `why`). Knows no stage: whether a
//! name exists is for those who ask.

use crate::address::{bare, is_name_letter, value_matches};
use ddpipe_interface::Value;
use indexmap::IndexMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// A stage (its name may contain `*`, which stands for any text) and values for some of its axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The name of the stage, or a pattern.
    pub stage: String,
    /// The axes that are fixed, by name, with the text of their values.
    pub axes: IndexMap<String, String>,
}

/// A text that is not a selector. The message starts in lower case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectorError {
    /// What is wrong.
    pub message: String,
    /// Which bytes of the text.
    pub range: Range<usize>,
}

impl Selector {
    /// Whether a node's stage fits and every fixed axis of the selector has that value among the node's axes.
    pub fn matches(&self, stage: &str, axes: &IndexMap<String, Value>) -> bool {
        self.matches_stage(stage)
            && self.axes.iter().all(|(axis, text)| axes.get(axis).is_some_and(|value| value_matches(value, text)))
    }

    /// Whether the stage's name fits.
    pub fn matches_stage(&self, stage: &str) -> bool {
        glob(&self.stage, stage)
    }

    /// Whether the stage is given as a pattern.
    pub fn is_pattern(&self) -> bool {
        self.stage.contains('*')
    }

    /// Reads a selector from the start of a text and returns it with the number of bytes it took; the rest (`.output`,
    /// `.metric`) is the caller's.
    pub fn parse_prefix(text: &str) -> Result<(Self, usize), SelectorError> {
        let end = text.find(['[', '.']).unwrap_or(text.len());
        let stage = &text[..end];
        if let Some((at, bad)) = stage.char_indices().find(|(_, letter)| !is_name_letter(*letter) && *letter != '*') {
            let message = format!("{bad:?} cannot be part of a stage's name (a-z, 0-9 and _)");
            return Err(SelectorError { message, range: at..at + bad.len_utf8() });
        }
        if stage.is_empty() {
            return Err(SelectorError { message: "the name of a stage is missing".into(), range: 0..text.len() });
        }
        let mut selector = Selector { stage: stage.to_string(), axes: IndexMap::new() };
        let used = if text[end..].starts_with('[') { parse_axes(text, end + 1, &mut selector.axes)? } else { end };
        Ok((selector, used))
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let (selector, used) = Selector::parse_prefix(text)?;
        if used < text.len() {
            let message = format!("{:?} is left over after the node's name", &text[used..]);
            return Err(SelectorError { message, range: used..text.len() });
        }
        Ok(selector)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stage)?;
        if self.axes.is_empty() {
            return Ok(());
        }
        let axes: Vec<_> = self.axes.iter().map(|(axis, text)| format!("{axis}={}", bare(text))).collect();
        write!(f, "[{}]", axes.join(","))
    }
}

/// Reads `axis=value,…]` from `start` and returns the position after the bracket.
fn parse_axes(text: &str, start: usize, axes: &mut IndexMap<String, String>) -> Result<usize, SelectorError> {
    let fault = |message: &str, range: Range<usize>| Err(SelectorError { message: message.into(), range });
    let mut at = start;
    loop {
        let Some(length) = text[at..].find(['=', ',', ']']).filter(|length| text[at + length..].starts_with('='))
        else {
            return fault("expected axis=value between the brackets", start - 1..text.len());
        };
        let axis = text[at..at + length].trim();
        if axis.is_empty() || !axis.chars().all(is_name_letter) {
            return fault("expected the name of an axis before =", at..at + length + 1);
        }
        let key_start = at;
        at += length + 1;
        at += text[at..].len() - text[at..].trim_start().len();
        let (value, after) = if text[at..].starts_with('"') {
            match quoted(&text[at..]) {
                Some((value, length)) => (value, at + length),
                None => return fault("the quoted value does not end", at..text.len()),
            }
        } else {
            let length = text[at..].find([',', ']']).unwrap_or(text.len() - at);
            (text[at..at + length].trim().to_string(), at + length)
        };
        if axes.insert(axis.to_string(), value).is_some() {
            return fault("the same axis is given twice", key_start..after);
        }
        at = after + text[after..].len() - text[after..].trim_start().len();
        match text[at..].chars().next() {
            Some(',') => at += 1,
            Some(']') => return Ok(at + 1),
            _ => return fault("the bracket is not closed", start - 1..text.len()),
        }
    }
}

/// Reads a JSON string from the start of the text; the value and its length in bytes.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value, values.byte_offset()))
}

/// Whether the whole text fits the pattern, where `*` stands for any text. Takes at most as many steps as the product
/// of both lengths: where a letter does not fit, only the last `*` takes one letter more.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(letter) if *letter == text[read] => (at, read) = (at + 1, read + 1),
            _ => {
                let Some((behind, start)) = star else { return false };
                star = Some((behind, start + 1));
                (at, read) = (behind, start + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::address::address;

    type Axes = IndexMap<String, Value>;

    fn axes(axes: &[(&str, Value)]) -> Axes {
        axes.iter().map(|(axis, value)| (axis.to_string(), value.clone())).collect()
    }

    #[test]
    fn a_partial_match_selects() {
        let dm = axes(&[("method", Value::String("dm".into())), ("seed", Value::Integer(0))]);
        let selects = |selector: &str| selector.parse::<Selector>().unwrap().matches("distill", &dm);
        assert_eq!(address("distill", &dm), "distill[method=dm,seed=0]");
        for selector in ["distill", "distill[seed=0]", "distill[ seed = 0, method = \"dm\" ]", "dis*", "*", "*ill"] {
            assert!(selects(selector), "{selector}");
        }
        for selector in ["distil", "distill[seed=1]", "distill[arch=mlp]", "dis*x", "*t"] {
            assert!(!selects(selector), "{selector}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let stage = "a".repeat(10_000);
        let stars = format!("{}b", "a*".repeat(1000)).parse::<Selector>().unwrap();
        assert!(!stars.matches_stage(&stage));
        assert!(stars.matches_stage(&format!("{stage}b")));
        for (pattern, text, fits) in
            [("*", "", true), ("**", "x", true), ("a*b*", "ab", true), ("a*a", "a", false), ("*ab", "aab", true)]
        {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn an_address_reads_back_even_with_odd_values() {
        let hidden = "\0\u{1b}\u{7f}\u{9b}\u{ad}\u{202e}\u{e0041}";
        for text in ["a,b", "x]", "two words", "é\"", "", "1e-3", "e\u{301}\u{378}\u{e000}", hidden] {
            let odd = axes(&[("name", Value::String(text.into())), ("lr", Value::Float(0.001))]);
            let address = address("distill", &odd);
            let selector: Selector = address.parse().unwrap();
            assert!(selector.matches("distill", &odd), "{address}");
            assert_eq!(selector.axes["name"], text);
            assert_eq!(selector.to_string(), address);
        }
    }

    #[test]
    fn faults_are_placed() {
        let fault = |text: &str| text.parse::<Selector>().unwrap_err();
        assert_eq!(fault("Distill").range, 0..1);
        assert_eq!(fault("distill[method]").range, 7..15);
        assert_eq!(fault("distill[a=1,a=2]").message, "the same axis is given twice");
        assert_eq!(fault("distill[a=1").message, "the bracket is not closed");
        assert_eq!(fault("distill[a=1].x").range, 12..14);
        assert_eq!(fault("").message, "the name of a stage is missing");
    }
}
