//! Ledgers inside a document: what stands between two marks is made by the command that the first of them names, so that no
//! figure is typed. Knows not how a ledger is made.
//!
//! ```text
//! <!-- ddpipe ledger --from docs/ledgers/mnist.json -->
//! …
//! <!-- end of ledger -->
//! ```

/// Before and behind the arguments of the first mark.
const OPEN: (&str, &str) = ("<!-- ddpipe ledger", "-->");
/// The second mark.
const CLOSE: &str = "<!-- end of ledger -->";

/// What is wrong with a document, or with what one of its marks asks for.
#[derive(Debug, thiserror::Error)]
pub enum PageError<E> {
    /// A mark stands alone. The line, from 1.
    #[error("line {0}: the mark has no `<!-- end of ledger -->` behind it")]
    Open(usize),
    /// There is no mark.
    #[error(
        "it has no mark; write `<!-- ddpipe ledger MANIFEST -->` and `<!-- end of ledger -->` where the table belongs"
    )]
    None,
    /// What a mark asks for could not be made. The line, from 1.
    #[error("line {0}: {1}")]
    Made(usize, E),
}

/// The document with what `make` gives for the arguments of each mark.
///
/// # Errors
/// A mark stands alone, there is none, or `make` fails.
pub fn replaced<E>(page: &str, make: &mut dyn FnMut(&[&str]) -> Result<String, E>) -> Result<String, PageError<E>> {
    let (mut done, mut rest) = (String::with_capacity(page.len()), page);
    let mut found = false;
    while let Some(at) = start(rest) {
        let line = 1 + page.len().checked_sub(rest.len()).map_or(0, |read| lines(page, read + at));
        let (before, from) = rest.split_at(at);
        let (mark, behind) = from.split_once('\n').ok_or(PageError::Open(line))?;
        let next = start(behind).unwrap_or(behind.len());
        let end = behind.find(CLOSE).filter(|end| *end < next).ok_or(PageError::Open(line))?;
        let words = mark.trim_end().trim_start_matches(OPEN.0).trim_end_matches(OPEN.1);
        let words: Vec<&str> = words.split_whitespace().collect();
        let made = make(&words).map_err(|error| PageError::Made(line, error))?;
        done.push_str(&format!("{before}{mark}\n{}\n{CLOSE}", made.trim_end()));
        rest = behind.get(end + CLOSE.len()..).unwrap_or_default();
        found = true;
    }
    done.push_str(rest);
    if found { Ok(done) } else { Err(PageError::None) }
}

/// Where the next mark begins: at the start of a line.
fn start(text: &str) -> Option<usize> {
    if text.starts_with(OPEN.0) { Some(0) } else { text.find(&format!("\n{}", OPEN.0)).map(|at| at + 1) }
}

/// How many lines end before this byte.
fn lines(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_made_anew() {
        let page = "# a\n<!-- ddpipe ledger --from x.json -->\nold\n<!-- end of ledger -->\nb\n\
            <!-- ddpipe ledger m.toml -->\n<!-- end of ledger -->\n";
        let mut make = |words: &[&str]| Ok::<_, String>(format!("{}\n", words.join("+")));
        let once = replaced(page, &mut make).unwrap();
        assert!(once.contains("-->\n--from+x.json\n<!-- end of ledger -->\nb\n") && once.contains("-->\nm.toml\n<!--"));
        assert_eq!(replaced(&once, &mut make).unwrap(), once);
    }

    #[test]
    fn a_mark_that_stands_alone_is_an_error_with_its_line() {
        let mut make = |_: &[&str]| Ok::<_, String>(String::new());
        let open = "a\n<!-- ddpipe ledger x -->\n<!-- ddpipe ledger y -->\n<!-- end of ledger -->\n";
        assert!(matches!(replaced(open, &mut make), Err(PageError::Open(2))));
        assert!(matches!(replaced("nothing\n", &mut make), Err(PageError::None)));
        let mut fails = |_: &[&str]| Err("no such file".to_string());
        let marked = "a\n\n<!-- ddpipe ledger x -->\n<!-- end of ledger -->";
        assert_eq!(replaced(marked, &mut fails).unwrap_err().to_string(), "line 3: no such file");
    }
}
