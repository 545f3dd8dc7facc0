//! Embeds every stage declaration (a `stage.toml` at any depth below `stages/`) in the engine, so that it validates
//! manifests without torch. Writes a list of (path, text) pairs that `catalog.rs` includes. And lets the worker find
//! libtorch.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    println!("cargo::rerun-if-changed=src/build.rs");
    let mut files = Vec::new();
    declarations(&root.join("stages"), &mut files)?;
    let mut list = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        let _ = writeln!(list, "    ({name:?}, include_str!({:?})),", file.display().to_string());
    }
    list.push_str("]\n");
    run_path();
    fs::write(out.join("declarations.rs"), list)
}

/// The worker, and the tests that link the stages, find libtorch by themselves wherever they are installed: the folder
/// that the stages were built against becomes their run path. Without the feature `worker` there is no such folder.
fn run_path() {
    if let Ok(lib) = env::var("DEP_DDPIPE_NATIVE_LIBTORCH") {
        println!("cargo::rustc-link-arg-bin=ddpipe-worker=-Wl,-rpath,{lib}");
        println!("cargo::rustc-link-arg-tests=-Wl,-rpath,{lib}");
    }
}

/// Collects the declarations below a folder but the template's, sorted, and says whether there are any. A new kind is noticed by the line for
/// it in the `mod.rs` above it.
fn declarations(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<bool> {
    if folder.ends_with("stages/TEMPLATE") {
        return Ok(false);
    }
    let file = folder.join("stage.toml");
    if file.is_file() {
        files.push(file);
        return Ok(true);
    }
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut entries = entries?;
    entries.sort();
    let mut any = false;
    for path in entries.iter().filter(|path| path.is_dir()) {
        any |= declarations(path, files)?;
    }
    for index in ["lib.rs", "mod.rs"].map(|name| folder.join(name)).iter().filter(|index| any && index.is_file()) {
        println!("cargo::rerun-if-changed={}", index.display());
    }
    Ok(any)
}
