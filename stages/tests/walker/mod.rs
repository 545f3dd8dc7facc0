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

use std::io::{ErrorKind, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// The project's own cases, beside the crate's manifest.
pub fn own_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The folder of the cases: `DDPIPE_GOLDEN`, else the project's own.
pub fn folder() -> PathBuf {
    std::env::var_os("DDPIPE_GOLDEN").map_or_else(own_folder, PathBuf::from)
}

/// Whether the cases are not the project's own: such a folder may lack a family, but not all.
fn is_foreign() -> bool {
    let folder = folder();
    let found =
        std::fs::canonicalize(&folder).unwrap_or_else(|why| panic!("DDPIPE_GOLDEN: {}: {why}", folder.display()));
    found != std::fs::canonicalize(own_folder()).unwrap()
}

/// Runs `check` on every case of a family, in the order of their names, then panics with all failures, if any: those
/// reported, a panic inside `check`, an expected tensor that `check` neither compared nor left out with a reason, and
/// a family without a case. In another folder than the project's own such a family is skipped, with a line that says so.
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
    if found == 0 && report.is_sound() {
        return missing(family);
    }
    report.finish(family, found);
}

/// The description files of a family, sorted; none where there is no such family.
fn paths(family: &str) -> Vec<PathBuf> {
    let folder = folder().join(family);
    let entries = match std::fs::read_dir(&folder) {
        Err(why) if why.kind() == ErrorKind::NotFound => return Vec::new(),
        entries => entries.unwrap_or_else(|why| panic!("could not list {}: {why}", folder.display())),
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths
}

/// Fails for want of cases, unless the folder is not the project's own and holds some other family.
#[expect(clippy::explicit_write, reason = "the test harness captures what eprintln! prints")]
fn missing(family: &str) {
    let folder = folder();
    let what = format!("no golden case of family {family:?} that this test takes in {}", folder.display());
    let families = std::fs::read_dir(&folder).into_iter().flatten();
    let any =
        families.flatten().any(|entry| std::fs::read_dir(entry.path()).is_ok_and(|mut cases| cases.next().is_some()));
    assert!(is_foreign() && any, "{what}");
    // Not `eprintln`, which is shown for tests that fail only.
    writeln!(std::io::stderr(), "skipped: {what}").unwrap();
}
