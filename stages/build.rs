//! Lets the built programs find libtorch by themselves: its folder becomes a run path of what is linked here.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Set by torch-sys (`links = "tch"`), wherever it found libtorch.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:rustc-env=DDPIPE_LIBTORCH_LIB={lib}");
    }
}
