//! In which form a table is printed, and which output of its kind has that form. The forms are told apart by what kinds
//! declare: the ending of an output's file, or its type.

use crate::cli::{Done, print};
use crate::exit::{Exit, Fault};
use crate::results;
use crate::terminal::Style;
use crate::visible::visible;
use ddpipe_interface::{ArtifactType, Declaration};
use std::io::Write as _;
use std::path::Path;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// In columns, for people.
    Text,
    /// Markdown.
    Markdown,
    /// Comma-separated values, unrounded.
    Csv,
    /// LaTeX.
    Latex,
    /// JSON: rows, columns and cells, unrounded.
    Json,
}

impl Format {
    /// What the ending of a file stands for, if it stands for a form.
    pub fn of_file(file: &Path) -> Option<Self> {
        Some(match file.extension()?.to_str()? {
            "txt" => Format::Text,
            "md" => Format::Markdown,
            "csv" => Format::Csv,
            "tex" => Format::Latex,
            "json" => Format::Json,
            _ => return None,
        })
    }

    fn extension(self) -> Option<&'static str> {
        match self {
            Format::Text | Format::Markdown => Some("md"),
            Format::Csv => Some("csv"),
            Format::Latex => Some("tex"),
            Format::Json => None,
        }
    }

    /// The output of a kind that has this form.
    ///
    /// # Errors
    /// The kind declares none.
    pub fn output(self, kind: &Declaration) -> Result<&str, Fault> {
        let fits = |output: &ddpipe_interface::Output| match self.extension() {
            Some(extension) => output.extension.as_deref() == Some(extension),
            None => output.artifact == ArtifactType::Table,
        };
        let found = kind.outputs.iter().find(|(_, output)| fits(output)).map(|(name, _)| name.as_str());
        found.ok_or_else(|| {
            let all: Vec<&str> = kind.outputs.keys().map(String::as_str).collect();
            let form = self.extension().unwrap_or("json");
            Fault::usage(format!(
                "--format: kind {} has no output in this form (.{form})\n  its outputs are {}; `ddpipe show` writes each",
                kind.name,
                all.join(", ")
            ))
        })
    }

    /// The bytes of a file in this form.
    pub fn for_file(self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Format::Text => columns(&bytes, false).into_bytes(),
            _ => bytes,
        }
    }

    /// Prints to standard output; to a terminal nothing that it would obey.
    pub fn print(self, bytes: Vec<u8>, style: Style, is_terminal: bool) -> Done {
        if self == Format::Text {
            return print(&columns(&bytes, style.colour));
        }
        if is_terminal {
            let text = String::from_utf8_lossy(&bytes);
            return print(&format!("{}\n", visible(text.trim_end())));
        }
        let mut out = std::io::stdout().lock();
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(Exit::Ok),
        }
    }
}

fn columns(markdown: &[u8], bold: bool) -> String {
    format!("{}\n", results::in_columns(&visible(&String::from_utf8_lossy(markdown)), bold))
}
