//! What tch does not tell or set: which libtorch is in the process, its version, and that it computes the same bits
//! every time. The functions are libtorch's own, looked up by their symbols in what is loaded already.

use libloading::os::unix::Library;
use std::ffi::c_void;
use std::path::{Path, PathBuf};

/// The folder of the libraries that the build linked against.
pub const BUILT_AGAINST: Option<&str> = option_env!("DDPIPE_LIBTORCH_LIB");

/// The folder that `libtorch_cpu.so` was really loaded from.
pub fn folder() -> Option<PathBuf> {
    loaded_from("libtorch_cpu.so")?.parent().map(Path::to_path_buf)
}

/// The file that a library of this process was loaded from.
pub fn loaded_from(name: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.into_iter().find(|path| path.file_name().is_some_and(|file| file == name)).map(Path::to_path_buf)
}

/// The version, `unknown` where libtorch does not say.
pub fn version() -> String {
    setting("TORCH_VERSION=", ",").unwrap_or_else(|| "unknown".into())
}

/// The instruction set that libtorch's kernels use on this processor.
pub fn cpu_capability() -> String {
    setting("CPU capability usage: ", "\n").unwrap_or_else(|| "unknown".into())
}

/// What libtorch says of its build: compilers, libraries and their versions, without what depends on this process.
pub fn build() -> String {
    let text = description().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.contains("CPU capability usage"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Asks for the same bits every time, as far as libtorch can give them, and for products in single precision. Where it
/// cannot, it warns and goes on.
pub fn compute_repeatably() {
    set(b"_ZN2at7Context21setDeterministicCuDNNEb\0", true);
    // It would fill fresh memory, which only hides reads of uninitialised tensors, and costs time.
    set(b"_ZN2at7Context39setDeterministicFillUninitializedMemoryEb\0", false);
    allow_tf32(false);
    type Flags = unsafe extern "C" fn(*mut c_void, bool, bool);
    with_context(b"_ZN2at7Context26setDeterministicAlgorithmsEbb\0", |set: Flags, context| {
        // SAFETY: the symbol is a method of at::Context that takes two booleans.
        unsafe { set(context, true, true) }
    });
}

/// Whether products of convolutions and matrices on a GPU may round what they multiply to TensorFloat-32.
pub fn allow_tf32(allowed: bool) {
    set(b"_ZN2at7Context17setAllowTF32CuDNNEb\0", allowed);
    set(b"_ZN2at7Context18setAllowTF32CuBLASEb\0", allowed);
}

/// Sets a flag of libtorch: `symbol` is a method of at::Context that takes one boolean.
fn set(symbol: &[u8], value: bool) {
    type Flag = unsafe extern "C" fn(*mut c_void, bool);
    // SAFETY: as the callers promise.
    with_context(symbol, |set: Flag, context| unsafe { set(context, value) });
}

/// Hands a method of at::Context, looked up by its symbol, and the global context on.
fn with_context<F: Copy>(symbol: &[u8], call: impl FnOnce(F, *mut c_void)) {
    let this = Library::this();
    // SAFETY: the symbol is at::globalContext(); that `symbol` has the type `F` is the caller's promise.
    unsafe {
        let context = this.get::<unsafe extern "C" fn() -> *mut c_void>(b"_ZN2at13globalContextEv\0");
        match (context, this.get::<F>(symbol)) {
            (Ok(context), Ok(method)) => call(*method, context()),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(%error, "this libtorch cannot be asked for repeatable results: last bits may differ");
            }
        }
    }
}

/// One entry of libtorch's description of itself.
fn setting(name: &str, end: &str) -> Option<String> {
    let text = description()?;
    let (_, rest) = text.split_once(name)?;
    rest.split(end).next().map(|value| value.trim().to_string())
}

/// `at::show_config()`.
fn description() -> Option<String> {
    /// A `std::string` of libstdc++ as it is returned: through memory, being larger than two registers.
    #[repr(C)]
    struct CppString {
        text: *const u8,
        length: usize,
        // A short text lies here, and `text` pointed here before the value was moved.
        short: [u8; 16],
    }
    // SAFETY: the symbol is `std::string at::show_config()`. Its long text stays allocated: it is asked for twice at most.
    unsafe {
        let this = Library::this();
        let show = this.get::<unsafe extern "C" fn() -> CppString>(b"_ZN2at11show_configB5cxx11Ev\0").ok()?;
        let shown = show();
        let text = if shown.length < 16 {
            &shown.short[..shown.length]
        } else {
            std::slice::from_raw_parts(shown.text, shown.length)
        };
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_tells_what_it_is() {
        let version = version();
        assert!(version.starts_with("2."), "{version}");
        assert!(["DEFAULT", "AVX2", "AVX512", "NO AVX"].contains(&cpu_capability().as_str()), "{}", cpu_capability());
        assert!(folder().unwrap().join("libc10.so").exists());
    }

    #[test]
    fn repeatable_computing_is_really_switched_on() {
        compute_repeatably();
        let this = Library::this();
        // SAFETY: const methods of at::Context without arguments.
        let get = |symbol: &[u8]| unsafe {
            let context =
                this.get::<unsafe extern "C" fn() -> *mut std::ffi::c_void>(b"_ZN2at13globalContextEv\0").unwrap();
            this.get::<unsafe extern "C" fn(*mut std::ffi::c_void) -> bool>(symbol).unwrap()(context())
        };
        assert!(get(b"_ZNK2at7Context18deterministicCuDNNEv\0"));
        assert!(get(b"_ZNK2at7Context23deterministicAlgorithmsEv\0"));
        assert!(get(b"_ZNK2at7Context31deterministicAlgorithmsWarnOnlyEv\0"));
        assert!(!get(b"_ZNK2at7Context36deterministicFillUninitializedMemoryEv\0"));
        assert!(!get(b"_ZNK2at7Context15allowTF32CuBLASEv\0"));
        allow_tf32(true);
        assert!(get(b"_ZNK2at7Context15allowTF32CuBLASEv\0"));
        allow_tf32(false);
    }
}
