//! Results that a table shows as missing: those of nodes that failed or were left out, and those without the metric.

use super::plain;
use ddpipe_interface::Value;
use indexmap::IndexMap;
use serde::Deserialize;

/// Named at most; the others are a number.
const NAMED: usize = 5;

/// What a table does when some of the gathered results are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// There is no table.
    #[default]
    Fail,
    /// The table has the others, and its note names the missing ones.
    Show,
}

/// The missing results in words, for the note below a table: `missing: lr_img=1e30 (3 results), …`. Those that differ in
/// folded axes alone are named once. Empty if nothing is missing.
pub fn words<'a>(missing: impl Iterator<Item = &'a IndexMap<String, Value>>, folded: &[String]) -> String {
    let mut named: IndexMap<String, usize> = IndexMap::new();
    for labels in missing {
        let labels = labels.iter().filter(|(label, _)| !folded.contains(label));
        let labels: Vec<String> = labels.map(|(label, value)| format!("{label}={}", plain(value))).collect();
        let name = if labels.is_empty() { "results".to_string() } else { labels.join(",") };
        *named.entry(name).or_default() += 1;
    }
    if named.is_empty() {
        return String::new();
    }
    let count = |count: usize| if count == 1 { String::new() } else { format!(" ({count} results)") };
    let mut words: Vec<String> =
        named.iter().take(NAMED).map(|(name, times)| format!("{name}{}", count(*times))).collect();
    if named.len() > NAMED {
        words.push(format!("{} more", named.len() - NAMED));
    }
    format!("missing: {}", words.join(", "))
}
