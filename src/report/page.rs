//! The frame of a page: one file that asks for nothing, whatever it holds. What a name or a log line could smuggle in arrives
//! as text: markup is escaped by the templates, and characters that are obeyed instead of shown are written out in the whole.

use crate::visible::visible;
use crate::when;
use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::time::SystemTime;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    policy: String,
    version: &'static str,
    title: &'a str,
    style: &'static str,
    script: &'static str,
    body: &'a str,
    made: String,
}

/// A whole page around a body, which is HTML.
pub fn around(title: &str, body: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    // Nothing is asked for and nothing runs but the one script above.
    let policy = format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let page = Page {
        policy,
        version: env!("CARGO_PKG_VERSION"),
        title,
        style: STYLE,
        script: SCRIPT,
        body,
        made: when::long(SystemTime::now()),
    };
    visible(&filled(&page)).into_owned()
}

/// A template as text. Filling one in cannot fail: its values are texts and numbers.
pub fn filled(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}
