//! Problems with files, collected into one error, so that the user can correct them all at once. Each text names the
//! file and the row.

use anyhow::{Result, bail};

/// The number of problems that one error shows; it counts the rest.
const SHOWN: usize = 50;

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Adds one problem.
    pub fn add(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    /// Adds several problems.
    pub fn extend(&mut self, texts: impl IntoIterator<Item = String>) {
        self.0.extend(texts);
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, one per line; after the first 50 only their number.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = self.0.iter().take(SHOWN).cloned().collect();
        if self.0.len() > SHOWN {
            lines.push(format!("and {} more", self.0.len() - SHOWN));
        }
        lines.join("\n")
    }

    /// Returns an error with all problems, if there are any.
    pub fn finish(self) -> Result<()> {
        match self.0.len() {
            0 => Ok(()),
            1 => bail!("{}", self.text()),
            many => bail!("{many} problems\n{}", self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_shown_up_to_a_limit_and_counted_beyond() {
        let mut problems = Problems::default();
        problems.extend((0..SHOWN + 7).map(|number| format!("problem {number}")));
        let text = problems.finish().unwrap_err().to_string();
        assert!(text.starts_with("57 problems\nproblem 0\n") && text.ends_with("problem 49\nand 7 more"), "{text}");
        assert!(Problems::default().finish().is_ok());
    }
}
