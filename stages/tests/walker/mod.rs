//! The harness of the golden cases: finds them, loads them, compares what was computed with what is expected, and
//! reports every failure of a family together. `DDPIPE_GOLDEN` names another folder than `stages/golden`; whatever
//! cases lie in it are run, of whatever sizes and settings. It knows no method: each family's test file does the sums.

pub mod augmentation;
mod case;
mod fill;
pub mod network;
mod report;
pub mod trajectory;

pub use case::Case;
pub use fill::filled;
pub use report::Report;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// The folder of the cases: `DDPIPE_GOLDEN`, else `golden` beside the crate's manifest.
pub fn folder() -> PathBuf {
    match std::env::var_os("DDPIPE_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden"),
    }
}

/// Runs `check` on every case of a family, in the order of their names, then panics with all failures, if any: those
/// reported, a panic inside `check`, an expected tensor that `check` neither compared nor left out with a reason, and
/// a family without a case.
pub fn run(family: &str, check: impl Fn(&Case, &mut Report)) {
    run_where(family, |_| true, check);
}

/// [`run`] on the cases that `wanted` picks, for a family whose cases are of several forms.
pub fn run_where(family: &str, wanted: impl Fn(&Case) -> bool, check: impl Fn(&Case, &mut Report)) {
    let mut report = Report::default();
    let mut found = 0;
    for path in paths(family) {
        let case = match Case::load(&path) {
            Ok(case) => case,
            Err(why) => {
                report.fail_at(&path.display().to_string(), why);
                continue;
            }
        };
        if !wanted(&case) {
            continue;
        }
        found += 1;
        report.begin(&case);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&case, &mut report))) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)");
            report.fail(&case, format!("panicked: {text}"));
        }
        report.end(&case);
    }
    assert!(found > 0, "no golden case of family {family:?} in {}", folder().join(family).display());
    report.finish(family, found);
}

/// The description files of a family, sorted.
fn paths(family: &str) -> Vec<PathBuf> {
    let folder = folder().join(family);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("could not list {}: {why}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths
}
