//! What a stream can show: colours, and letters beyond ASCII. Decided by the environment, in one place.

use std::io::IsTerminal;

/// How texts are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are shown.
    pub colour: bool,
    /// Whether letters beyond ASCII are shown.
    pub unicode: bool,
}

/// The colours in use, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// What is of less interest.
    Dim,
    /// What went well.
    Green,
    /// What failed.
    Red,
    /// What deserves a look.
    Yellow,
}

impl Style {
    /// The style of standard error.
    pub fn of_stderr() -> Self {
        Style::decide(std::io::stderr().is_terminal(), |name| std::env::var(name).ok())
    }

    /// The style of standard output.
    pub fn of_stdout() -> Self {
        Style::decide(std::io::stdout().is_terminal(), |name| std::env::var(name).ok())
    }

    /// Colours on a terminal. `NO_COLOR` turns them off and `CLICOLOR_FORCE` on, wherever the text goes; `TERM=dumb` is a
    /// terminal without. Unicode where the locale is UTF-8.
    pub fn decide(terminal: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let shows = terminal && set("TERM").as_deref() != Some("dumb");
        let colour = set("NO_COLOR").is_none() && (forced || shows);
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
        Style { colour, unicode: locale.contains("utf-8") || locale.contains("utf8") }
    }

    /// The text in a colour.
    pub fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Dim => "2",
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
        };
        match self.colour && !text.is_empty() {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_string(),
        }
    }

    /// One of two signs: the second where only ASCII is shown.
    pub fn sign(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// What stands for letters that are left out.
    pub fn gap(self) -> &'static str {
        self.sign("…", "..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(terminal: bool, env: &[(&str, &str)]) -> Style {
        let find = |name: &str| env.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_string());
        Style::decide(terminal, find)
    }

    #[test]
    fn the_environment_decides_on_colours() {
        assert!(style(true, &[]).colour && !style(false, &[]).colour);
        assert!(!style(true, &[("NO_COLOR", "1")]).colour && style(true, &[("NO_COLOR", "")]).colour);
        assert!(style(false, &[("CLICOLOR_FORCE", "1")]).colour && !style(false, &[("CLICOLOR_FORCE", "0")]).colour);
        assert!(!style(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).colour);
        assert!(!style(true, &[("TERM", "dumb")]).colour);
    }

    #[test]
    fn the_locale_decides_on_letters_the_most_particular_variable_first() {
        assert!(style(true, &[("LANG", "de_DE.UTF-8")]).unicode && style(true, &[("LC_CTYPE", "C.utf8")]).unicode);
        assert!(!style(true, &[]).unicode && !style(true, &[("LANG", "C")]).unicode);
        assert!(!style(true, &[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).unicode);
    }
}
