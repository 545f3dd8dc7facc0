//! What the bytes of each kind depend on beside its key: the number of threads, the instruction set of libtorch's kernels
//! and that of oneDNN. Each setting gets a process of its own, since libraries choose once. In the quick form one other
//! instruction set and the kinds that must not depend on it; with `DDPIPE_SOAK` all settings and all kinds, and the table
//! for docs/cache.md, which is printed.

use super::promises;
use crate::host::THREADS;
use crate::host::small::{Made, Small, differing};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::atomic::Ordering;

/// The variable that names the file into which a process writes the digests of what its small stages made.
const DIGESTS: &str = "DDPIPE_TEST_SETTING";
/// The variable that says on how many threads it makes them.
const ON_THREADS: &str = "DDPIPE_TEST_THREADS";
const KERNELS: &str = "ATEN_CPU_CAPABILITY";
const ONEDNN: &str = "ONEDNN_MAX_CPU_ISA";

/// Kinds that train no network and yet add up floating-point numbers in an order that the instruction set decides.
const ROUNDED: &[&str] = &["select.coreset", "label.synthetic"];

/// What a process is told: the threads, and each variable's value, where it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    threads: usize,
    kernels: Option<&'static str>,
    onednn: Option<&'static str>,
}

const USUAL: Setting = Setting { threads: 2, kernels: None, onednn: None };

impl Setting {
    /// The usual setting, and all that differ from it in one thing.
    fn all() -> Vec<Setting> {
        let kernels = ["avx2", "default"].map(|kernels| Setting { kernels: Some(kernels), ..USUAL });
        let onednn = ["AVX2", "SSE41"].map(|onednn| Setting { onednn: Some(onednn), ..USUAL });
        [USUAL, Setting { threads: 1, ..USUAL }].into_iter().chain(kernels).chain(onednn).collect()
    }

    /// What the small stages make in this setting, as digests by name: this test again, in a process of its own.
    fn made(self, test: &str) -> BTreeMap<String, Made> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("digests.json");
        let module = module_path!().split_once("::").unwrap().1;
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", &format!("{module}::{test}")]);
        program.env(DIGESTS, &path).env(ON_THREADS, self.threads.to_string());
        for (name, value) in [(KERNELS, self.kernels), (ONEDNN, self.onednn)] {
            match value {
                Some(value) => program.env(name, value),
                None => program.env_remove(name),
            };
        }
        let run = program.output().unwrap();
        assert!(run.status.success(), "{self:?}: {}", String::from_utf8_lossy(&run.stdout));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

/// In a process that was told a setting: makes the small stages, and says that it has.
fn told(all: &[Small]) -> bool {
    let Some(path) = std::env::var_os(DIGESTS) else { return false };
    let threads = std::env::var(ON_THREADS).unwrap().parse().unwrap();
    THREADS.store(threads, Ordering::SeqCst);
    std::fs::write(path, serde_json::to_vec(&promises::digests(all)).unwrap()).unwrap();
    true
}

/// What differs between two settings, by small stage.
fn between(one: &BTreeMap<String, Made>, other: &BTreeMap<String, Made>) -> BTreeMap<String, Vec<String>> {
    assert!(one.len() > 10 && one.keys().eq(other.keys()), "{:?}", other.keys());
    let pairs = one.iter().map(|(name, made)| (name.clone(), differing(made, &other[name])));
    pairs.filter(|(_, names)| !names.is_empty()).collect()
}

#[test]
fn libtorchs_kernels_change_nothing_where_no_network_is_trained() {
    let mut all = promises::all();
    all.retain(|small| !promises::ROUNDED_BY_KERNELS.contains(&small.kind()) && !ROUNDED.contains(&small.kind()));
    if told(&all) {
        return;
    }
    let test = "libtorchs_kernels_change_nothing_where_no_network_is_trained";
    let other = Setting { kernels: Some("avx2"), ..USUAL };
    let differ = between(&USUAL.made(test), &other.made(test));
    assert!(differ.is_empty(), "made otherwise with {other:?}: {differ:#?}");
}

/// Of each kind, whether its bytes change with the threads, with libtorch's kernels and with oneDNN, whatever the others
/// are. Minutes long, hence only in a soak.
#[test]
fn what_the_bytes_of_each_kind_depend_on() {
    let all = promises::all();
    if told(&all) || std::env::var_os("DDPIPE_SOAK").is_none() {
        return;
    }
    let test = "what_the_bytes_of_each_kind_depend_on";
    let made: Vec<_> = Setting::all().into_iter().map(|setting| (setting, setting.made(test))).collect();
    let mut kinds: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for small in &all {
        kinds.entry(small.kind().to_string()).or_default();
    }
    for (one, of_one) in &made {
        for (other, of_other) in &made {
            // Two settings that differ in one thing.
            let threads = Setting { threads: other.threads, ..*one } == *other;
            let kernels = Setting { kernels: other.kernels, ..*one } == *other;
            let onednn = Setting { onednn: other.onednn, ..*one } == *other;
            let what = match (one == other, threads, kernels, onednn) {
                (true, ..) => continue,
                (_, true, _, _) => "threads",
                (_, _, true, _) => "kernels",
                (_, _, _, true) => "oneDNN",
                _ => continue,
            };
            for name in between(of_one, of_other).keys() {
                let kind = name.split(' ').next().unwrap();
                kinds.get_mut(kind).unwrap().insert(what);
            }
        }
    }
    println!("soak: determinism: {} settings, {} kinds", made.len(), kinds.len());
    println!("| kind | threads | `{KERNELS}` | `{ONEDNN}` |\n|---|---|---|---|");
    for (kind, on) in &kinds {
        let says = |what: &str| if on.contains(what) { "changes" } else { "same" };
        println!("| `{kind}` | {} | {} | {} |", says("threads"), says("kernels"), says("oneDNN"));
    }
    let wrong: Vec<_> = kinds
        .iter()
        .filter(|(kind, on)| !promises::ROUNDED_BY_KERNELS.contains(&kind.as_str()) && on.contains("threads"))
        .collect();
    assert!(wrong.is_empty(), "these must not depend on the number of threads: {wrong:?}");
}
