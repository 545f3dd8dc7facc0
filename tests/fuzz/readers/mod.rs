//! One function for each reader: it takes any bytes and returns. What is read is held to what the reader promises of it.

#![allow(clippy::unwrap_used, dead_code)]

pub mod cache;
pub mod folder;
pub mod protocol;

use ddpipe::allowed::Allowed;
use ddpipe::catalog::Catalog;
use ddpipe::download::ContentRange;
use ddpipe::selector::Selector;
use ddpipe::sources::lock::Lock;
use ddpipe::{Overrides, load};
use ddpipe_interface::{Declaration, Value};
use indexmap::IndexMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = temporary();
}

/// A folder in memory, where the system has such: files are written thousands of times.
fn temporary() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

/// Does it with a folder that this thread keeps.
fn with_folder(action: impl FnOnce(&Path)) {
    FOLDER.with(|folder| action(folder.path()));
}

/// A manifest with nothing around it. A report is never empty and shows nothing that a terminal obeys.
pub fn manifest(data: &[u8]) {
    static KINDS: OnceLock<Catalog> = OnceLock::new();
    let kinds = KINDS.get_or_init(|| Catalog::built_in().unwrap_or_else(|_| panic!("the kinds are sound")));
    with_folder(|folder| {
        let file = folder.join("any.toml");
        fs::write(&file, data).unwrap();
        if let Err(report) = load(&file, &Overrides::default(), kinds.clone()) {
            assert!(!report.is_empty());
            let shown = report.render(false);
            let hidden = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
            assert!(!shown.contains(hidden), "{shown:?}");
        }
    });
}

/// A selector is read back from its own text; a fault is a place in the text.
pub fn selector(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let axes = [("method".to_string(), Value::String("dm".into()))].into_iter().collect();
    match text.parse::<Selector>() {
        Ok(selector) => {
            selector.matches("distill", &axes);
            selector.matches_stage(&text);
            let again: Selector = selector.to_string().parse().unwrap();
            assert_eq!(again, selector);
        }
        Err(fault) => assert!(text.get(fault.range.clone()).is_some(), "{:?} of {text:?}", fault.range),
    }
}

/// What a server says of the bytes that it sends.
pub fn content_range(data: &[u8]) {
    if let Ok(ContentRange { bytes: Some((first, last)), total }) = String::from_utf8_lossy(data).parse() {
        assert!(first <= last && total.is_none_or(|total| last < total));
    }
}

/// The `stage.toml` of a project's own kind.
pub fn declaration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Declaration::parse(&text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(declaration) => {
            let defaults = declaration.params.iter().filter_map(|(name, param)| Some((name, param.default.clone()?)));
            let defaults: IndexMap<String, Value> = defaults.map(|(name, value)| (name.clone(), value)).collect();
            assert!(declaration.main_output().is_some());
            for (name, value) in &defaults {
                assert!(declaration.params[name].accept(value.clone()).is_ok(), "the default of {name}");
            }
            declaration.metric_names(&defaults);
            declaration.inputs.keys().for_each(|input| drop(declaration.measured_at(input, &defaults)));
        }
    }
}

/// The digests of first downloads, beside a manifest.
pub fn lock_file(data: &[u8]) {
    with_folder(|folder| {
        let manifest = folder.join("any.toml");
        fs::write(folder.join("any.lock"), data).unwrap();
        match Lock::read(&manifest) {
            Ok(mut lock) => {
                let known = lock.digest("raw", "one.bin");
                let digest = known.unwrap_or(ddpipe_cache::Digest::of(data));
                lock.note("raw", "one.bin", digest).unwrap();
                assert_eq!(Lock::read(&manifest).unwrap().digest("raw", "one.bin"), Some(digest));
            }
            Err(words) => assert!(words.contains("any.lock"), "{words}"),
        }
    });
}

/// The list of accepted programs.
pub fn allowed(data: &[u8]) {
    with_folder(|folder| {
        let file = folder.join("allowed.json");
        fs::write(&file, data).unwrap();
        if let Ok(list) = Allowed::read(&file) {
            list.contains("own.slow", ddpipe_cache::Digest::of(data));
            list.write(&file).unwrap();
            assert_eq!(Allowed::read(&file).unwrap(), list);
        }
    });
}
