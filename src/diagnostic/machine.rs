//! A diagnostic in the form that programs read: the same message, place and way out in fields of their own. Knows not who
//! prints it.

use super::{Diagnostic, Place};
use serde::Serialize;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing runs until it is mended.
    Error,
    /// Worth knowing; the pipeline can run.
    Warning,
}

/// One diagnostic for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosed {
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where; absent when it concerns a whole file that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceSeen>,
    /// What the marked text is at fault with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Another place that the fault involves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<PlaceSeen>,
    /// All of it as people read it, with the lines of the file.
    pub text: String,
}

/// A place for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceSeen {
    /// The file, or the part of the command line or environment: `--set`.
    pub source: String,
    /// What was written there, outside of files: `vars.ipc=50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    /// The line, from 1; absent outside of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1; absent outside of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What the place has to do with the fault, where it is the second one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl PlaceSeen {
    fn of(place: &Place, label: Option<String>) -> Self {
        let in_file = |number: usize| place.source.is_file.then_some(number);
        PlaceSeen {
            source: place.source.name.clone(),
            argument: (!place.source.is_file).then(|| place.source.text.clone()),
            line: in_file(place.line()),
            column: in_file(place.column()),
            label,
        }
    }
}

impl Diagnostic {
    /// This diagnostic for programs.
    pub fn for_programs(&self, severity: Severity) -> Diagnosed {
        Diagnosed {
            severity,
            message: self.message.clone(),
            place: self.place.as_ref().map(|place| PlaceSeen::of(place, None)),
            label: self.label.clone(),
            help: self.help.clone(),
            other: self.other.as_ref().map(|(place, label)| PlaceSeen::of(place, Some(label.clone()))),
            text: self.render(false).trim_end().to_string(),
        }
    }
}
