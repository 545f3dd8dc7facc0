//! What decides the bits of results in this process: see [`Numerics`].

use super::libtorch;
use ddpipe_cache::{Digest, Numerics};
use std::path::Path;
use tch::Device;

/// The numerics of this process on a device that is described so (`cpu`, or a GPU with its compute capability). An
/// operation uses one thread; the pieces of a stage share the others ([`ddpipe_nn::pieces`]).
pub fn of(device: Device, described: &str) -> Numerics {
    let program = Digest::of_file(Path::new("/proc/self/exe")).map(|(digest, _)| digest);
    let program = program.unwrap_or_else(|error| {
        tracing::warn!(%error, "the worker program could not be read; its digest is that of no bytes");
        Digest::of(&[])
    });
    Numerics {
        libtorch: libtorch::version(),
        build: Digest::of(libtorch::build().as_bytes()),
        cpu_capability: libtorch::cpu_capability(),
        onednn: std::env::var("ONEDNN_MAX_CPU_ISA").map_or("default".into(), |isa| isa.to_uppercase()),
        cpu: vector_sets(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        threads: 1,
        device: described.to_string(),
        deterministic: device.is_cuda(),
        worker: program,
    }
}

/// The vector instruction sets among the flags of the first processor in the text of `/proc/cpuinfo`.
fn vector_sets(cpuinfo: &str) -> String {
    let of_x86 = cpuinfo.lines().find_map(|line| line.strip_prefix("flags"));
    let flags = of_x86.or_else(|| cpuinfo.lines().find_map(|line| line.strip_prefix("Features"))).unwrap_or_default();
    let vector = |flag: &&str| {
        ["sse4", "avx", "amx", "fma", "asimd", "sve", "bf16", "i8mm"].iter().any(|set| flag.starts_with(set))
    };
    let mut sets: Vec<&str> = flags.split_whitespace().filter(vector).collect();
    sets.sort_unstable();
    match sets.is_empty() {
        true => std::env::consts::ARCH.into(),
        false => sets.join("+"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_sets_of_a_processor_are_found_in_its_flags() {
        let text = "processor\t: 0\nflags\t\t: fpu vme avx2 sse4_2 avx fma\nprocessor\t: 1\n";
        assert_eq!(vector_sets(text), "avx+avx2+fma+sse4_2");
        assert_eq!(vector_sets(""), std::env::consts::ARCH);
    }
}
