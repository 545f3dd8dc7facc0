//! A run as Markdown for a pull request: the outcome first, then what went wrong with its way out, expectations, the
//! baseline, and the tables. Texts of strangers cannot become markup. Knows not where it is written to.

use super::{ExpectationReport, RunReport};
use crate::baseline::Verdict;
use crate::event::{Met, Status};
use crate::exit::Exit;
use crate::visible::visible;
use std::path::{Component, Path, PathBuf};

/// More rows than this of one table are counted instead.
const ROWS: usize = 100;

impl RunReport {
    /// The Markdown text. Links are relative to `folder`, in which the file lies; absolute, as are the names of the files.
    pub fn markdown(&self, folder: &Path) -> String {
        let mut page = format!("## ddpipe: {}\n\n{}\n", escaped(&self.pipeline), self.outcome());
        page.push_str(&self.origin());
        self.failures(&mut page);
        self.expectations(&mut page);
        self.baseline(&mut page);
        self.results(folder, &mut page);
        page
    }

    fn count(&self, status: Status) -> usize {
        self.nodes.iter().filter_map(|node| node.outcome.as_ref()).filter(|outcome| outcome.status == status).count()
    }

    /// The outcome in words, and the nodes by what became of them.
    fn outcome(&self) -> String {
        let outcome = match self.exit {
            _ if !self.ended => "The run has not ended, or was killed.",
            Exit::Ok if self.expectations.iter().any(|it| it.verdict == Met::Missed) => {
                "The run is complete, but expectations were missed."
            }
            Exit::Ok => "All is well.",
            Exit::Stage => "A stage failed.",
            Exit::Usage => "Nothing was run: the manifest, a source file or the command line is at fault.",
            Exit::Cache => "The cache or another file could not be used.",
            Exit::Missed if self.comparison.as_ref().is_some_and(|it| it.is_worse()) => {
                "A result is worse than its baseline."
            }
            Exit::Missed => "An expectation was missed.",
            Exit::Incomparable => "Results could not be compared.",
            Exit::Interrupted | Exit::HungUp | Exit::Terminated => {
                "The run was interrupted; the same command continues it."
            }
        };
        let statuses = [
            (Status::Ran, "ran"),
            (Status::Fresh, "on record"),
            (Status::Failed, "failed"),
            (Status::Interrupted, "interrupted"),
            (Status::Skipped, "skipped"),
            (Status::LeftOut, "left out"),
        ];
        let counts = statuses.iter().map(|(status, word)| (self.count(*status), *word));
        let mut words: Vec<String> =
            counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let left_out = self.nodes.iter().filter(|node| node.outcome.is_none()).count();
        if left_out > 0 {
            words.push(format!("{left_out} not selected"));
        }
        let words = if words.is_empty() { String::new() } else { format!(" Nodes: {}.", words.join(", ")) };
        format!("**{outcome}**{words}")
    }

    fn origin(&self) -> String {
        let mut parts = vec![format!("manifest {}", code(&self.manifest))];
        if let Some(commit) = &self.commit {
            let changed = if commit.dirty { " with uncommitted changes" } else { "" };
            parts.push(format!("commit {}{changed}", code(&commit.hash)));
        }
        if let Some(run) = &self.run {
            parts.push(format!("run {}", code(run)));
        }
        parts.push(format!("{:.1} s", self.seconds));
        format!("\n{}\n", parts.join(", "))
    }

    fn failures(&self, page: &mut String) {
        let failed: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|node| node.outcome.as_ref())
            .filter(|outcome| matches!(outcome.status, Status::Failed | Status::Interrupted))
            .collect();
        if failed.is_empty() && self.faults.is_empty() {
            return;
        }
        page.push_str("\n### What went wrong\n");
        for fault in &self.faults {
            page.push_str(&fenced(fault));
        }
        for outcome in failed.iter().take(ROWS) {
            let failure = outcome.failure.as_ref();
            let message = failure.map_or("", |failure| failure.message.as_str());
            page.push_str(&format!("\n{}\n", code(&outcome.node)));
            let mut text = message.to_string();
            for line in failure.map_or(&[][..], |failure| failure.log.as_slice()) {
                text.push_str(&format!("\n  | {line}"));
            }
            page.push_str(&fenced(&text));
            if let Some(hint) = failure.and_then(|failure| failure.hint.as_ref()) {
                page.push_str(&format!("\n{}\n", escaped(hint)));
            }
        }
        more(failed.len(), page);
    }

    fn expectations(&self, page: &mut String) {
        if self.expectations.is_empty() {
            return;
        }
        page.push_str("\n### Expectations\n\n| | expectation | value |\n|---|---|---|\n");
        let rank = |it: &&ExpectationReport| match it.verdict {
            Met::Missed => 0,
            Met::Met => 1,
            Met::NotChecked => 2,
        };
        let mut sorted: Vec<&ExpectationReport> = self.expectations.iter().collect();
        // What was missed is never among those that are only counted.
        sorted.sort_by_key(rank);
        for it in sorted.into_iter().take(ROWS) {
            let verdict = match it.verdict {
                Met::Met => "met",
                Met::Missed => "**missed**",
                Met::NotChecked => "not checked",
            };
            page.push_str(&format!("| {verdict} | {} | {} |\n", code(&it.metric), escaped(&it.words)));
        }
        more(self.expectations.len(), page);
    }

    fn baseline(&self, page: &mut String) {
        let Some(comparison) = &self.comparison else { return };
        let (origin, counts) = (escaped(&comparison.origin()), comparison.counts());
        page.push_str(&format!("\n### Compared with the baseline\n\nBaseline {origin}: {counts}.\n"));
        let changed: Vec<_> = comparison.rows.iter().filter(|row| row.verdict != Verdict::Same).collect();
        if changed.is_empty() {
            return;
        }
        page.push_str("\n| | metric | baseline | now | |\n|---|---|---|---|---|\n");
        for row in changed.iter().take(ROWS) {
            let words = row.verdict.words();
            let words = if row.verdict == Verdict::Worse { format!("**{words}**") } else { words.to_string() };
            let now = row.now.as_ref().map_or("none".to_string(), |now| now.words());
            let metric = code(&format!("{}.{}", row.node, row.metric));
            page.push_str(&format!("| {words} | {metric} | {} | {now} | {} |\n", row.was.words(), escaped(&row.why)));
        }
        more(changed.len(), page);
    }

    fn results(&self, folder: &Path, page: &mut String) {
        for (node, table) in &self.tables {
            page.push_str(&format!("\n### {}\n\n{}\n", escaped(node), visible(table.trim_end())));
        }
        if self.files.is_empty() {
            return;
        }
        page.push_str("\n### Files\n\n");
        for file in self.files.iter().take(ROWS) {
            let picture = file.extension().is_some_and(|ending| ending == "png" || ending == "svg");
            let target = link(file, folder);
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            page.push_str(&format!("- {}[{}]({target})\n", if picture { "picture " } else { "" }, escaped(&name)));
        }
        more(self.files.len(), page);
    }
}

fn more(count: usize, page: &mut String) {
    if let Some(more) = count.checked_sub(ROWS).filter(|more| *more > 0) {
        page.push_str(&format!("\n{more} more are not shown.\n"));
    }
}

/// A text in one line in which nothing is markup.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in visible(text).chars() {
        match letter {
            '\n' | '\t' => shown.push(' '),
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            // A name must not call people, either.
            '@' => shown.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => {
                shown.push('\\');
                shown.push(letter);
            }
            letter => shown.push(letter),
        }
    }
    shown
}

/// A text as code in one line; a bar would end the cell of a table.
pub fn code(text: &str) -> String {
    let text = visible(text).replace(['\n', '\t'], " ").replace('|', "\\|");
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A text as a block of code.
fn fenced(text: &str) -> String {
    let text = visible(text);
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("\n{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// The way from a folder to a file, as a link has it.
fn link(file: &Path, folder: &Path) -> String {
    let (file, folder): (Vec<Component>, Vec<Component>) = (file.components().collect(), folder.components().collect());
    let common = file.iter().zip(&folder).take_while(|(one, other)| one == other).count();
    let up = folder.iter().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(file.iter().skip(common).copied()).collect();
    let path = path.to_string_lossy().into_owned();
    let mut link = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => link.push(char::from(byte)),
            other => link.push_str(&format!("%{other:02X}")),
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_the_summarys_folder_to_the_file() {
        let from = |folder: &str| link(Path::new("/srv/p/results/a b.png"), Path::new(folder));
        assert_eq!(from("/srv/p"), "results/a%20b.png");
        assert_eq!(from("/srv/p/rep"), "../results/a%20b.png");
        assert_eq!(from("/srv/p/results"), "a%20b.png");
        assert_eq!(from("/tmp"), "../srv/p/results/a%20b.png");
    }

    #[test]
    fn nothing_of_a_strangers_text_is_markup() {
        assert_eq!(
            escaped("<b>@all</b> [x](y) a|b\u{1b}[2J\n*c*"),
            "&lt;b&gt;&#64;all&lt;/b&gt; \\[x\\](y) a\\|b\\\\u{1b}\\[2J \\*c\\*"
        );
        assert_eq!(code("a|`b`"), "`` a\\|`b` ``");
        assert_eq!(fenced("```\nx\n```"), "\n````text\n```\nx\n```\n````\n");
        assert_eq!(link(Path::new("/p/results/a b/c=1.png"), Path::new("/p")), "results/a%20b/c%3D1.png");
    }
}
