//! How deep the brackets of a TOML text nest. The parser bounds its depth, but goes on after faults, and brackets that close
//! what they did not open make it lose count: a text of a stranger could overflow the stack.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Far above what the parser takes, and far below what a stack takes.
const DEEPEST: usize = 500;

/// Whether brackets nest deeper than any TOML document's, or more of them than that close what they did not open: such a
/// text is no TOML and must not be parsed.
pub fn is_too_deep(text: &str) -> bool {
    let (mut open, mut strays) = (Vec::new(), 0);
    for token in Source::new(text).lex() {
        match token.kind() {
            kind @ (TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket) => open.push(kind),
            TokenKind::RightSquareBracket if open.last() == Some(&TokenKind::LeftSquareBracket) => drop(open.pop()),
            TokenKind::RightCurlyBracket if open.last() == Some(&TokenKind::LeftCurlyBracket) => drop(open.pop()),
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => strays += 1,
            _ => {}
        }
        if open.len().max(strays) > DEEPEST {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let text = format!("a = \"{}\" # {}\nb = [{{ c = [1] }}]\n", "{".repeat(9000), "[".repeat(9000));
        assert!(!is_too_deep(&text) && !is_too_deep(&"[a]\n".repeat(9000)));
        for deep in ["[", "a = {", "]", "x = { y = 1, z\"]\n[i]\n"] {
            assert!(is_too_deep(&deep.repeat(9000)), "{deep}");
        }
    }
}
