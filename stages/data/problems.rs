//! Problems with files, collected into one error, so that the user can correct them all at once. Files with the same fault
//! are told together: the fault once, how many there are, and the first of them.

use anyhow::{Result, bail};
use indexmap::IndexMap;

/// The number of faults that one error shows; it counts the rest.
const SHOWN: usize = 50;

/// The number of files that are named for one fault.
const NAMED: usize = 3;

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems(IndexMap<Fault, Files>);

/// What is wrong, and with what it is wrong: a folder, an archive or a table. Without it, the text says everything.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fault {
    within: String,
    text: String,
}

/// The files that have a fault.
#[derive(Debug, Default)]
struct Files {
    count: usize,
    first: Vec<String>,
    /// What else is known of the first one.
    more: String,
}

impl Problems {
    /// Adds a problem whose text says everything.
    pub fn add(&mut self, text: impl Into<String>) {
        let fault = Fault { within: String::new(), text: text.into() };
        self.0.entry(fault).or_default().count += 1;
    }

    /// Adds several of them.
    pub fn extend(&mut self, texts: impl IntoIterator<Item = String>) {
        texts.into_iter().for_each(|text| self.add(text));
    }

    /// Adds a fault of one file of the folder, archive or table `within`, or of a file whose name says where it is. Files with
    /// the same fault are told together.
    pub fn at(&mut self, within: &str, file: impl Into<String>, fault: impl Into<String>) {
        self.at_with(within, file, fault, "");
    }

    /// The same with words that are shown where no other file has the fault.
    pub fn at_with(&mut self, within: &str, file: impl Into<String>, fault: impl Into<String>, more: &str) {
        let fault = Fault { within: within.to_string(), text: fault.into() };
        let files = self.0.entry(fault).or_default();
        if files.count == 0 {
            files.more = more.to_string();
        }
        files.count += 1;
        if files.first.len() < NAMED {
            files.first.push(file.into());
        }
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of problems, every file counted.
    pub fn len(&self) -> usize {
        self.0.values().map(|files| files.count).sum()
    }

    /// The problems, one fault per line; after the first 50 only their number.
    pub fn text(&self) -> String {
        let mut lines: Vec<String> = self.0.iter().take(SHOWN).map(|(fault, files)| line(fault, files)).collect();
        let rest: usize = self.0.values().skip(SHOWN).map(|files| files.count).sum();
        if rest > 0 {
            lines.push(format!("and {rest} more"));
        }
        lines.join("\n")
    }

    /// Returns an error with all problems, if there are any.
    pub fn finish(self) -> Result<()> {
        match (self.len(), self.0.len()) {
            (0, _) => Ok(()),
            (_, 1) => bail!("{}", self.text()),
            (many, _) => bail!("{many} problems\n{}", self.text()),
        }
    }
}

fn line(Fault { within, text }: &Fault, Files { count, first, more }: &Files) -> String {
    let within = if within.is_empty() { String::new() } else { format!("{within}: ") };
    match (first.as_slice(), count) {
        ([], _) => text.clone(),
        ([file], 1) if more.is_empty() => format!("{within}{file}: {text}"),
        ([file], 1) => format!("{within}{file}: {text}: {more}"),
        (files, count) => format!("{within}{}: {text}", listed(*count, files)),
    }
}

/// `1000 files, such as a, b and c`, or all of them where there are no others.
pub fn listed(count: usize, first: &[String]) -> String {
    let named = match first {
        [] => return format!("{count} files"),
        [only] => only.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    };
    match count {
        1 => named,
        _ if count == first.len() => format!("{count} files, {named}"),
        _ => format!("{count} files, such as {named}"),
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

    #[test]
    fn a_thousand_files_of_one_fault_are_one_line() {
        let mut problems = Problems::default();
        (0..1000).for_each(|number| problems.at("pics/", format!("{number}.webp"), "convert it"));
        assert_eq!(problems.text(), "pics/: 1000 files, such as 0.webp, 1.webp and 2.webp: convert it");
        problems.at_with("pics/", "x.png", "damaged", "checksum");
        let text = problems.finish().unwrap_err().to_string();
        assert!(text.starts_with("1001 problems\n") && text.ends_with("\npics/: x.png: damaged: checksum"), "{text}");
        let mut two = Problems::default();
        two.at("a", "b", "c");
        two.at("a", "d", "c");
        assert_eq!(two.finish().unwrap_err().to_string(), "a: 2 files, b and d: c");
    }
}
