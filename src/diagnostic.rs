//! What is said about a manifest: a place in a file (or on the command line), a message and a way out. A [`Report`]
//! holds everything that was found in one go. Knows no manifest; the phases that find faults make the diagnostics.

mod machine;

pub use machine::{Diagnosed, PlaceSeen, Severity};

use crate::visible::{masked, visible as shown};
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A text that diagnostics point into: a file, or one argument of the command line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceText {
    /// How it is called: the path as the user gave it, or `--set`.
    pub name: String,
    /// The text itself.
    pub text: String,
    /// Whether it has lines: then places in it say line and column.
    pub is_file: bool,
}

/// Some bytes of a [`SourceText`].
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<SourceText>,
    /// Which bytes of it.
    pub span: Range<usize>,
}

/// One fault or warning. The message starts in lower case and can stand alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where; absent when it concerns a whole file that could not be read.
    pub place: Option<Place>,
    /// What is wrong, in one line; ends with the nearest valid name where there is one.
    pub message: String,
    /// A short text under the marked bytes.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// Another place that the fault involves, with its label.
    pub other: Option<(Place, String)>,
}

/// So many diagnostics of a report are shown; the rest is counted.
pub const MAX_SHOWN: usize = 100;

/// Names longer than this have no near ones: comparing takes time by the square of the length.
const LONGEST_NAME: usize = 100;

/// So many names are searched for a near one.
const MOST_NAMES: usize = 1000;

/// Everything that is wrong with a manifest, sorted by place. Never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The faults.
    pub diagnostics: Vec<Diagnostic>,
}

impl SourceText {
    /// The text of a file.
    pub fn file(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(SourceText { name: name.into(), text: text.into(), is_file: true })
    }

    /// One argument of the command line, or one variable of the environment.
    pub fn argument(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(SourceText { name: name.into(), text: text.into(), is_file: false })
    }
}

impl Place {
    /// These bytes of this text; kept inside it.
    pub fn new(source: &Arc<SourceText>, span: Range<usize>) -> Self {
        let end = span.end.min(source.text.len());
        Place { source: source.clone(), span: span.start.min(end)..end }
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        1 + self.before().matches('\n').count()
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> usize {
        let before = self.before();
        1 + before[before.rfind('\n').map_or(0, |at| at + 1)..].chars().count()
    }

    fn before(&self) -> &str {
        self.source.text.get(..self.span.start).unwrap_or(&self.source.text)
    }
}

/// `pipelines/dm.toml:14:9`, or `--set vars.ipc=50`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.is_file {
            write!(f, "{}:{}:{}", self.source.name, self.line(), self.column())
        } else {
            write!(f, "{} {}", self.source.name, self.source.text)
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Files before arguments, then by name, then by position.
impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |place: &Place| (!place.source.is_file, place.span.start, place.span.end);
        (!self.source.is_file, &self.source.name)
            .cmp(&(!other.source.is_file, &other.source.name))
            .then_with(|| key(self).cmp(&key(other)))
    }
}

impl Diagnostic {
    /// A fault at a place.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Diagnostic { place: Some(place.clone()), message: message.into(), label: None, help: None, other: None }
    }

    /// A fault without a place.
    pub fn general(message: impl Into<String>) -> Self {
        Diagnostic { place: None, message: message.into(), label: None, help: None, other: None }
    }

    /// Adds the text under the marked bytes.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds what to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a second place.
    pub fn and(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.other = Some((place.clone(), label.into()));
        self
    }

    /// The first line alone: place and message.
    pub fn headline(&self) -> String {
        let text = match &self.place {
            Some(place) => format!("{place}: {}", self.message),
            None => self.message.clone(),
        };
        shown(&text).into_owned()
    }

    /// The headline, the marked lines and the help; ends with a newline.
    pub fn render(&self, colour: bool) -> String {
        let mut text = match colour {
            true => format!("\u{1b}[1m{}\u{1b}[0m\n", self.headline()),
            false => format!("{}\n", self.headline()),
        };
        if let Some(place) = &self.place {
            let label = |label: &str| shown(label).into_owned();
            let mark = AnnotationKind::Primary.span(marked(place)).label(self.label.as_deref().map(label));
            let mut snippet = snippet(place).annotation(mark);
            let mut elsewhere = None;
            if let Some((other, label)) = &self.other {
                let mark = AnnotationKind::Context.span(marked(other)).label(shown(label).into_owned());
                if other.source == place.source {
                    snippet = snippet.annotation(mark);
                } else {
                    elsewhere =
                        Some(self::snippet(other).path(shown(&other.source.name).into_owned()).annotation(mark));
                }
            }
            let group = Group::with_level(Level::ERROR).element(snippet).elements(elsewhere);
            let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
            text.push_str(&renderer.decor_style(DecorStyle::Ascii).render(&[group]));
            text.push('\n');
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("  = help: {}\n", shown(help)));
        }
        text
    }
}

fn snippet<'a>(place: &Place) -> Snippet<'a, Annotation<'a>> {
    Snippet::source(masked(&place.source.text).into_owned()).line_numbering(place.source.is_file)
}

/// The span cut to its first line, so that a table of many lines is marked by its head.
fn marked(place: &Place) -> Range<usize> {
    let text = &place.source.text;
    let marked = text.get(place.span.clone()).unwrap_or("");
    let length = marked.find('\n').unwrap_or(marked.len());
    place.span.start..place.span.start + length
}

impl Report {
    /// Adds a fault.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Adds a fault that many nodes of one stage may have, unless it is among the last ones already.
    pub fn push_once(&mut self, diagnostic: Diagnostic) {
        if !self.diagnostics.iter().rev().take(64).any(|known| *known == diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether no fault was reported.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Sorts by place and drops what was found twice.
    pub fn sort(&mut self) {
        self.diagnostics
            .sort_by(|left, right| left.place.cmp(&right.place).then_with(|| left.message.cmp(&right.message)));
        self.diagnostics.dedup();
    }

    /// The diagnostics, a blank line between them; of very many the first ones.
    pub fn render(&self, colour: bool) -> String {
        let mut texts: Vec<_> = self.diagnostics.iter().take(MAX_SHOWN).map(|it| it.render(colour)).collect();
        if let Some(more) = self.diagnostics.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
            texts.push(format!("{more} more are not shown\n"));
        }
        texts.join("\n")
    }
}

/// Plain text.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// A path without `folder/..`, for messages only: with links it may lead elsewhere.
pub fn shown_path(path: &Path) -> String {
    let mut short = PathBuf::new();
    for part in path.components() {
        let inside = matches!(short.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::ParentDir if inside => {
                short.pop();
            }
            part => short.push(part),
        }
    }
    short.display().to_string()
}

/// The closest of the names, if it is close enough to be a slip of the pen.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let wanted = name.to_lowercase();
    let score = |candidate: &str| strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
    let distance = |candidate: &str| strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
    let letters = wanted.chars().count();
    let slips = if letters > 1 { 1 + letters / 4 } else { 0 };
    let names = names.into_iter().take(MOST_NAMES).filter(|candidate| candidate.len() <= LONGEST_NAME);
    names
        .map(|candidate| (distance(candidate), score(candidate), candidate))
        .filter(|(distance, score, _)| *distance <= slips || *score > 0.88)
        .min_by(|left, right| left.0.cmp(&right.0).then(right.1.total_cmp(&left.1)))
        .map(|(_, _, candidate)| candidate)
}

/// `; did you mean "distill.dm"?`, or nothing when no name is close.
pub fn did_you_mean<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, names).map_or(String::new(), |near| format!("; did you mean {near:?}?"))
}
