//! Lists the stage kinds for `registry.rs`; compiles the C++ files of this package against libtorch's headers; and lets
//! the tests of this package find libtorch by themselves: its folder becomes a run path of what is linked here. A package
//! that links this one reads that folder as `DEP_DDPIPE_NATIVE_LIBTORCH`, to do the same.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    registry()?;
    // Set by torch-sys (`links = "tch"`), wherever it found libtorch.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:libtorch={lib}");
        println!("cargo:rustc-env=DDPIPE_LIBTORCH_LIB={lib}");
        native(Path::new(&lib));
    }
    Ok(())
}

/// Writes `kind!(name, declaration, module)` for every folder with a `stage.toml`: `distill/feature_matching/dm` is the kind
/// `distill.dm`, module `distill::feature_matching::dm`.
fn registry() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut kinds = Vec::new();
    collect(&root, &mut Vec::new(), &mut kinds)?;
    kinds.sort();
    let mut list = String::from("&[\n");
    for (name, path) in kinds {
        let file = root.join(path.join("/")).join("stage.toml");
        let _ = writeln!(list, "    kind!({name:?}, {:?}, {}),", file.display().to_string(), path.join("::"));
    }
    list.push_str("]\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("kinds.rs"), list)
}

/// Collects names and paths of the kinds below a folder, and says whether there are any. A new kind is noticed by the line
/// for it in the `mod.rs` above it.
fn collect(folder: &Path, path: &mut Vec<String>, kinds: &mut Vec<(String, Vec<String>)>) -> io::Result<bool> {
    if let [group, .., kind] = path.as_slice()
        && folder.join("stage.toml").is_file()
    {
        kinds.push((format!("{group}.{kind}"), path.clone()));
        return Ok(true);
    }
    let mut any = false;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            path.push(entry.file_name().to_string_lossy().into_owned());
            any |= collect(&entry.path(), path, kinds)?;
            path.pop();
        }
    }
    if any {
        let index = folder.join(if path.is_empty() { "lib.rs" } else { "mod.rs" });
        println!("cargo:rerun-if-changed={}", index.display());
    }
    Ok(any)
}

/// With the same choices as torch-sys makes for its own C++.
fn native(lib: &Path) {
    for name in ["LIBTORCH_INCLUDE", "LIBTORCH_CXX11_ABI"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=native");
    let beside = std::env::var_os("LIBTORCH_INCLUDE").map_or_else(|| lib.join(".."), PathBuf::from);
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    cc::Build::new()
        .cpp(true)
        .warnings(false)
        .include(beside.join("include"))
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .file("native/device_memory.cpp")
        .file("native/launches.cpp")
        .compile("ddpipe_native");
}
