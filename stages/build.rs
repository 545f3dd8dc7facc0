//! Compiles the one C++ file of this package against libtorch's headers, and lets the tests of this package find libtorch
//! by themselves: its folder becomes a run path of what is linked here. A package that links this one reads that folder
//! as `DEP_DDPIPE_NATIVE_LIBTORCH`, to do the same.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Set by torch-sys (`links = "tch"`), wherever it found libtorch.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:libtorch={lib}");
        println!("cargo:rustc-env=DDPIPE_LIBTORCH_LIB={lib}");
        native(Path::new(&lib));
    }
}

/// With the same choices as torch-sys makes for its own C++.
fn native(lib: &Path) {
    for name in ["LIBTORCH_INCLUDE", "LIBTORCH_CXX11_ABI"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    println!("cargo:rerun-if-changed=native/device_memory.cpp");
    let beside = std::env::var_os("LIBTORCH_INCLUDE").map_or_else(|| lib.join(".."), PathBuf::from);
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    cc::Build::new()
        .cpp(true)
        .warnings(false)
        .include(beside.join("include"))
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", abi.as_str())
        .file("native/device_memory.cpp")
        .compile("ddpipe_native");
}
