//! A comparison in words: for a terminal, and as Markdown.

use super::{Compared, Comparison, Side, Verdict};

/// In the order in which they matter.
const VERDICTS: [Verdict; 4] = [Verdict::Worse, Verdict::CannotSay, Verdict::Better, Verdict::Same];

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Worse => "worse",
            Verdict::CannotSay => "cannot say",
            Verdict::Better => "better",
            Verdict::Same => "same",
        }
    }
}

impl Side {
    /// `0.8100 ± 0.0100 (n 3)`.
    pub fn words(&self) -> String {
        let spread = self.deviation.map_or(String::new(), |deviation| format!(" ± {}", number(deviation)));
        format!("{}{spread} (n {})", number(self.mean), self.n)
    }
}

impl Compared {
    /// `0.8100 (n 1) -> 0.7000 (n 1)`.
    pub fn values(&self) -> String {
        let now = self.now.as_ref().map_or("none".to_string(), Side::words);
        format!("{} -> {now}", self.was.words())
    }
}

impl Comparison {
    /// `2 worse, 1 cannot say, 7 same`.
    pub fn counts(&self) -> String {
        let counts = VERDICTS.iter().map(|verdict| (self.count(*verdict), verdict.words()));
        let words: Vec<String> =
            counts.filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
        if words.is_empty() { "nothing to compare".into() } else { words.join(", ") }
    }

    /// Where the baseline comes from: `main of 2026-11-28T13:54:42Z, commit 0123456789`.
    pub fn origin(&self) -> String {
        let commit = self.commit.as_ref().map_or(String::new(), |commit| {
            let changed = if commit.dirty { " with changes" } else { "" };
            format!(", commit {}{changed}", commit.hash.chars().take(10).collect::<String>())
        });
        format!("{} of {}{commit}", self.name, self.recorded)
    }

    /// For a terminal: the counts, and a line for everything that is not the same.
    pub fn text(&self) -> String {
        let mut text = format!("\nbaseline {}: {}\n", self.origin(), self.counts());
        for verdict in VERDICTS.into_iter().filter(|verdict| *verdict != Verdict::Same) {
            for row in self.rows.iter().filter(|row| row.verdict == verdict) {
                let words = if verdict == Verdict::Worse { "WORSE" } else { verdict.words() };
                text.push_str(&format!("  {words}: {}.{}: {} ({})\n", row.node, row.metric, row.values(), row.why));
            }
        }
        if self.left_out > 0 {
            text.push_str(&format!("  left out: {} of nodes that were not selected\n", self.left_out));
        }
        if !self.new.is_empty() {
            text.push_str(&format!("  not in the baseline: {}\n", few(&self.new)));
        }
        text
    }
}

/// The first names, and how many more there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{shown} and {more} more"),
        None => shown,
    }
}

/// Four digits, or the exponent.
fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) { format!("{value:.4}") } else { format!("{value:.3e}") }
}
