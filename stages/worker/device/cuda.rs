//! Brings the CUDA half of libtorch into a process that is linked with the CPU half only, so that one build serves
//! machines with and without a GPU. Finding devices is the driver's business, not this file's.

use anyhow::{Result, bail};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

const NAME: &str = "libtorch_cuda.so";

/// Opens `libtorch_cuda.so` and says which one. It registers itself with libtorch as it is loaded; libtorch asks for
/// CUDA once, at the first call, and remembers the answer: so this has to come before.
pub fn load() -> Result<PathBuf> {
    load_from(&places())
}

fn load_from(places: &[PathBuf]) -> Result<PathBuf> {
    let mut failures = Vec::new();
    for place in places.iter().filter(|place| place.is_file()) {
        match open(place, &shelves(place), &mut HashSet::new()) {
            Ok(()) => return Ok(place.clone()),
            Err(error) => failures.push(format!("{}: {error}", place.display())),
        }
    }
    // By its plain name: LD_LIBRARY_PATH, then what the system knows.
    match open(Path::new(NAME), &[], &mut HashSet::new()) {
        Ok(()) => return Ok(super::libtorch::loaded_from(NAME).unwrap_or_else(|| NAME.into())),
        Err(error) if failures.is_empty() => tracing::debug!(error),
        Err(error) => failures.push(error),
    }
    if failures.is_empty() {
        let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        bail!(
            "{NAME} is not installed: run `make setup-cuda`, or set LIBTORCH_CUDA to the file (looked for {}, and in \
             LD_LIBRARY_PATH)",
            looked.join(", ")
        );
    }
    bail!("{NAME} could not be loaded; `make setup-cuda` installs one that fits ({})", failures.join("; "))
}

/// Where the file may lie, most wanted first.
fn places() -> Vec<PathBuf> {
    // Whoever names one means that one and no other.
    if let Some(given) = std::env::var_os("LIBTORCH_CUDA").map(PathBuf::from) {
        return vec![if given.is_dir() { given.join(NAME) } else { given }];
    }
    let mut places = Vec::new();
    let folders = [super::libtorch::BUILT_AGAINST.map(PathBuf::from), super::libtorch::folder()];
    for lib in folders.into_iter().flatten() {
        places.extend(lib.parent().map(|root| root.join("cuda").join(NAME)));
        places.push(lib.join(NAME));
    }
    let mut seen = HashSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

/// Folders with the libraries that one needs: its own, and those of NVIDIA's wheels beside a torch wheel.
fn shelves(place: &Path) -> Vec<PathBuf> {
    let Some(own) = place.parent() else { return Vec::new() };
    let mut shelves = vec![own.to_path_buf()];
    let wheels = own.join("../../nvidia");
    let wheels = std::fs::read_dir(wheels).into_iter().flatten().flatten().map(|entry| entry.path().join("lib"));
    shelves.extend(wheels.filter(|lib| lib.is_dir()));
    shelves.sort_by_key(|shelf| shelf != own);
    shelves
}

/// Opens a library for the whole process. When the loader misses another one that stands on a shelf, opens that one
/// first and tries again, until it succeeds or misses something that no shelf has.
fn open(library: &Path, shelves: &[PathBuf], tried: &mut HashSet<String>) -> Result<(), String> {
    loop {
        // SAFETY: these are the libraries of libtorch and CUDA; running their initialisers is what is wanted.
        let error = match unsafe { Library::open(Some(library), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(opened) => {
                // For the life of the process: libtorch keeps pointers into it.
                std::mem::forget(opened);
                return Ok(());
            }
            Err(error) => error.to_string(),
        };
        let found = missing(&error)
            .filter(|name| tried.insert(name.to_string()))
            .and_then(|name| shelves.iter().map(|shelf| shelf.join(name)).find(|path| path.is_file()));
        match found {
            Some(path) => open(&path, shelves, tried)?,
            None => return Err(error),
        }
    }
}

/// The library that the loader's message says is missing.
fn missing(error: &str) -> Option<&str> {
    let (name, _) = error.split_once(": cannot open shared object file")?;
    (!name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_missing_library_is_named_with_the_way_out() {
        let error = load_from(&["/nowhere/libtorch_cuda.so".into()]).unwrap_err().to_string();
        assert!(error.contains("make setup-cuda") && error.contains("/nowhere/libtorch_cuda.so"), "{error}");
    }

    #[test]
    fn a_broken_library_is_told_with_the_loaders_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        std::fs::write(&path, "not a library").unwrap();
        let error = load_from(&[path]).unwrap_err().to_string();
        assert!(error.contains("could not be loaded") && error.contains("file too short"), "{error}");
    }

    /// The layouts in the field: what the library needs stands beside it, or in NVIDIA's wheels, and no run path leads
    /// there. Three libraries, each needing the next, made with the C compiler that building this crate needs anyway.
    #[test]
    fn needed_libraries_are_found_on_the_shelves_in_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("nvidia/cudnn/lib");
        let lib = folder.path().join("torch/lib");
        std::fs::create_dir_all(&wheel).unwrap();
        std::fs::create_dir_all(&lib).unwrap();
        let make = |path: &Path, needs: &[&Path]| {
            let soname = format!("-Wl,-soname,{}", path.file_name().unwrap().to_str().unwrap());
            let mut cc = Command::new("cc");
            cc.args([
                "-shared",
                "-nostdlib",
                "-Wl,--no-as-needed",
                &soname,
                "-x",
                "c",
                "/dev/null",
                "-x",
                "none",
                "-o",
            ])
            .arg(path)
            .args(needs);
            assert!(cc.status().unwrap().success());
        };
        let (ops, dnn, torch) = (wheel.join("libddpipe_ops.so.9"), lib.join("libddpipe_dnn.so"), lib.join(NAME));
        make(&ops, &[]);
        make(&dnn, &[&ops]);
        make(&torch, &[&dnn]);
        assert_eq!(load_from(std::slice::from_ref(&torch)).unwrap(), torch);
    }
}
