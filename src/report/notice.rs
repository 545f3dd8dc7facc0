//! A page of a run of which nothing is known but a message: it has only been called, or its manifest is at fault.

use super::page;
use askama::Template;

#[derive(Template)]
#[template(path = "notice.html")]
struct Document<'a> {
    name: &'a str,
    class: &'static str,
    outcome: &'a str,
    message: &'a str,
}

/// The page of a run that has been called.
pub fn called(name: &str) -> String {
    let outcome = "Nothing of this run is known yet: it looks at its manifest and its sources, or was stopped before anything ran.";
    of(&Document { name, class: "work", outcome, message: "" })
}

/// The page of a run that could not begin.
pub fn at_fault(name: &str, message: &str) -> String {
    of(&Document { name, class: "failed", outcome: "Nothing was run.", message })
}

fn of(document: &Document) -> String {
    page::around(&format!("{} – ddpipe report", document.name), &page::filled(document))
}
