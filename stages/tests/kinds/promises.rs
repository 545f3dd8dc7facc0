//! What every kind promises: that a run repeats, that a run which was interrupted ends with the same bytes, and, where no
//! network is trained, that the number of threads does not matter. Each kind of the registry is held to it by its small
//! stages, which its own file of tests declares; a kind without one fails.

use super::*;
use crate::host::THREADS;
use crate::host::small::{Made, Small, differing};
use ddpipe_cache::Digest;
use ddpipe_stages::registry::{self, KINDS};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::Ordering;

/// The small stages of all kinds.
pub fn all() -> Vec<Small> {
    let lists = [
        arrays::small,
        classifiers::small,
        compare_table::small,
        condensed_sets::small,
        continual::small,
        coresets::small,
        data_path::small,
        decode_arrays::small,
        decode_folder::small,
        difficulty::small,
        feature_regression::small,
        gradient_matching::small,
        held_out::small,
        knowledge::small,
        labels::small,
        matching::small,
        private_sets::small,
        ranking::small,
        report_curve::small,
        report_table::small,
        sample_digits::small,
        sample_polyps::small,
        search_ipc::small,
        searches::small,
        split_mhist::small,
        trajectories::small,
        tuning::small,
    ];
    lists.into_iter().flat_map(|list| list()).collect()
}

#[test]
fn every_kind_has_a_small_stage() {
    let all = all();
    let without: Vec<&str> =
        KINDS.iter().map(|kind| kind.name).filter(|name| all.iter().all(|small| small.kind() != *name)).collect();
    assert!(
        without.is_empty(),
        "kinds without a small stage: {without:?}; add one to the function `small` of the kind's file of tests, and that \
         function to `all` in kinds/promises.rs"
    );
    let mut names: Vec<String> = all.iter().map(Small::name).collect();
    names.sort();
    let twice: Vec<&String> = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(twice.is_empty(), "two small stages of one name: {twice:?}");
}

#[test]
fn a_distillation_repeats_and_ends_with_the_same_bytes_when_it_was_interrupted() {
    hold(|kind| kind.starts_with("distill."));
}

#[test]
fn every_other_run_repeats_and_ends_with_the_same_bytes_when_it_was_interrupted() {
    hold(|kind| !kind.starts_with("distill."));
}

/// Holds the small stages of these kinds to their promises; in two parts, which run beside each other.
fn hold(wanted: impl Fn(&str) -> bool) {
    let mut all = all();
    all.retain(|small| wanted(small.kind()));
    let broken: Vec<String> = all.iter().filter_map(|small| small.keeps_its_promises().err()).collect();
    assert!(broken.is_empty(), "{} small stages:\n{}", broken.len(), broken.join("\n"));
}

/// The variable that names the file into which a process writes the digests of what its small stages made.
const DIGESTS: &str = "DDPIPE_TEST_DIGESTS";

/// The kinds whose bytes depend on the instruction set: they compute gradients or train networks, whose sums are added up
/// in another order with another one, and rounded otherwise.
pub const ROUNDED_BY_KERNELS: &[&str] = &[
    "distill.datadam",
    "distill.datm",
    "distill.dc",
    "distill.dm",
    "distill.dsa",
    "distill.frepo",
    "distill.idc",
    "distill.knowledge",
    "distill.mtt",
    "distill.pad",
    "distill.psg",
    "evaluate.classifier",
    "learn.continual",
    "score.difficulty",
    "search.candidates",
    "train.classifier",
    "train.experts",
    "train.teacher",
];

/// Every kind makes the same bytes on one thread and on several. The number of threads belongs to the process, so one
/// thread gets a process of its own: this test again, told where to leave what it finds.
#[test]
fn the_number_of_threads_changes_nothing() {
    let all = all();
    if let Some(path) = std::env::var_os(DIGESTS) {
        THREADS.store(1, Ordering::SeqCst);
        return std::fs::write(path, serde_json::to_vec(&digests(&all)).unwrap()).unwrap();
    }
    assert!(ROUNDED_BY_KERNELS.iter().all(|name| registry::find(name).is_some()), "a kind that is not there");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("digests.json");
    let module = module_path!().split_once("::").unwrap().1;
    let name = format!("{module}::the_number_of_threads_changes_nothing");
    let mut program = Command::new(std::env::current_exe().unwrap());
    let run = program.args(["--exact", &name]).env(DIGESTS, &path).output().unwrap();
    assert!(run.status.success(), "on one thread: {}", String::from_utf8_lossy(&run.stdout));
    let one: BTreeMap<String, Made> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let several = digests(&all);
    assert!(one.len() > 10 && one.keys().eq(several.keys()), "{:?}", several.keys());
    let differing = one.iter().map(|(name, made)| (name, differing(made, &several[name])));
    let differing: Vec<_> = differing.filter(|(_, outputs)| !outputs.is_empty()).collect();
    assert!(differing.is_empty(), "made otherwise on several threads: {differing:#?}");
}

/// The digests of what these small stages make, by name.
pub fn digests(all: &[Small]) -> BTreeMap<String, Made> {
    let digest = |bytes: &Vec<u8>| Digest::of(bytes).to_string().into_bytes();
    let digests = |made: Made| made.iter().map(|(name, bytes)| (name.clone(), digest(bytes))).collect();
    all.iter().map(|small| (small.name(), digests(small.made().unwrap()))).collect()
}
