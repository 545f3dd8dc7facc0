//! Manifests that must be rejected, each with the message that it gets beside it.

#![allow(clippy::unwrap_used)]

mod manifest_support;

use manifest_support::{catalog, differs, manifests, overrides};
use std::fs;

#[test]
fn each_bad_manifest_gets_its_message() {
    let paths = manifests("bad");
    assert!(paths.len() >= 45, "only {} manifests", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        match ddpipe::load(&path, &overrides(&text), catalog()) {
            Ok(_) => wrong.push(format!("{} was accepted", path.display())),
            Err(report) => {
                assert!(!report.is_empty(), "{}", path.display());
                wrong.extend(differs(&path, &report.render(false)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn colour_changes_no_word() {
    let path = manifests("bad").into_iter().next().unwrap();
    let report = ddpipe::load(&path, &overrides(&fs::read_to_string(&path).unwrap()), catalog()).unwrap_err();
    let coloured = report.render(true);
    assert!(coloured.contains("\u{1b}["));
    let mut bare = String::new();
    for (index, piece) in coloured.split("\u{1b}[").enumerate() {
        bare.push_str(if index == 0 { piece } else { piece.split_once('m').unwrap().1 });
    }
    assert_eq!(bare, report.render(false));
}
