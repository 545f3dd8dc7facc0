//! Texts that nobody would write, given to everything that reads text of a user, a stranger or a server: no panic, and no
//! hang. `PROPTEST_CASES` sets how many.

#![allow(clippy::unwrap_used)]

mod manifest_support;

use ddpipe::download::ContentRange;
use ddpipe::selector::Selector;
use ddpipe::{Overrides, load};
use ddpipe_interface::Value;
use manifest_support::{catalog, manifests};
use proptest::prelude::*;
use std::fs;

/// Letters that mean something to one of the readers, among any others.
fn letters(meaning: &'static str, most: usize) -> impl Strategy<Value = String> {
    let meaning: Vec<char> = meaning.chars().collect();
    let letter = prop_oneof![8 => proptest::sample::select(meaning), 1 => any::<char>()];
    proptest::collection::vec(letter, 0..most).prop_map(|letters| letters.into_iter().collect())
}

/// Lines of manifests that are good, bad or hostile, in any order, with other lines between them.
fn shuffled() -> impl Strategy<Value = String> {
    let texts = ["good", "bad", "hostile"].iter().flat_map(|folder| manifests(folder));
    let texts = texts.map(|path| fs::read_to_string(path).unwrap());
    let lines: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>()).collect();
    let line = prop_oneof![
        12 => proptest::sample::select(lines),
        1 => letters("[]{}\"'=.#$\\ax_0-9 \n", 60),
        1 => Just("[pipeline]\nname = \"x\"".to_string()),
    ];
    proptest::collection::vec(line, 0..60).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_manifest_is_loaded_or_refused(text in shuffled()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("any.toml");
        fs::write(&file, &text).unwrap();
        if let Err(report) = load(&file, &Overrides::default(), catalog()) {
            prop_assert!(!report.is_empty());
            let shown = report.render(false);
            let hidden = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
            prop_assert!(!shown.contains(hidden), "{shown:?}");
        }
    }

    #[test]
    fn a_selector_is_read_back(text in letters("ab*_09[]=,.\" ", 80), stage in "[ab_]{0,40}", value in any::<String>()) {
        let axes = [("a".to_string(), Value::String(value))].into_iter().collect();
        match text.parse::<Selector>() {
            Ok(selector) => {
                selector.matches(&stage, &axes);
                let again: Selector = selector.to_string().parse().unwrap();
                prop_assert_eq!(again, selector);
            }
            Err(fault) => prop_assert!(text.get(fault.range.clone()).is_some(), "{:?} of {text:?}", fault.range),
        }
    }

    #[test]
    fn a_pattern_matches_as_its_pieces_do(pattern in "[ab*]{1,12}", stage in "[ab]{0,12}") {
        let selector: Selector = pattern.parse().unwrap();
        prop_assert_eq!(selector.matches_stage(&stage), slowly(&pattern, &stage), "{} {}", pattern, stage);
    }

    #[test]
    fn a_content_range_means_what_it_says(text in letters("bytes 0123456789-/*", 40), first: u64, last: u64, total: u64) {
        let _ = text.parse::<ContentRange>();
        let read = format!("bytes {first}-{last}/{total}").parse::<ContentRange>();
        let holds = first <= last && last < total && last < u64::MAX;
        prop_assert_eq!(read.is_ok(), holds);
        if let Ok(range) = read {
            prop_assert_eq!(range, ContentRange { bytes: Some((first, last)), total: Some(total) });
        }
    }
}

/// What a pattern means, by its definition.
fn slowly(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => {
            text.strip_prefix(head).is_some_and(|text| (0..=text.len()).any(|at| slowly(rest, &text[at..])))
        }
    }
}
