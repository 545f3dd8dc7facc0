//! What decides the bits of a result beside its key: libraries, instruction sets, threads, device. Two results of one key
//! whose numerics are equal have the same bytes; those of different numerics may differ in their last bits.

use crate::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The numerics of one computation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numerics {
    /// The version of libtorch.
    pub libtorch: String,
    /// The build of libtorch: BLAKE3 over its description of itself (compilers, libraries, their versions).
    pub build: Digest,
    /// The instruction set of libtorch's own kernels: `AVX2`, `AVX512`, `DEFAULT`.
    pub cpu_capability: String,
    /// The instruction set that oneDNN may use at most, from `ONEDNN_MAX_CPU_ISA`; `default` where it is not set.
    pub onednn: String,
    /// The processor's vector instruction sets, which both libraries choose from.
    pub cpu: String,
    /// The number of threads that one operation may use: one, but for programs of a project's own kinds.
    pub threads: u16,
    /// `cpu`, or the GPU with its compute capability: `NVIDIA H100 80GB HBM3 sm_90`.
    pub device: String,
    /// Whether libtorch was asked for deterministic algorithms.
    pub deterministic: bool,
    /// BLAKE3 of the worker program.
    pub worker: Digest,
}

impl Numerics {
    /// The numerics as text, without the worker program: what a strict key holds. Versions of stage kinds stand for the
    /// code of the worker.
    pub fn canonical(&self) -> String {
        let Numerics { libtorch, build, cpu_capability, onednn, cpu, threads, device, deterministic, worker: _ } = self;
        format!(
            "libtorch {libtorch} build {} kernels {cpu_capability} onednn {onednn} cpu {cpu} threads {threads} device \
             {device} deterministic {deterministic}",
            build.short()
        )
    }

    /// Whether the same action has the same bytes under both.
    pub fn agrees_with(&self, other: &Numerics) -> bool {
        self.canonical() == other.canonical()
    }
}

impl fmt::Display for Numerics {
    /// The numerics in a few words: `libtorch 2.11.0, AVX512, oneDNN default, 2 threads, cpu`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Numerics { libtorch, cpu_capability, onednn, threads, device, .. } = self;
        let threads = if *threads == 1 { "1 thread".to_string() } else { format!("{threads} threads") };
        write!(f, "libtorch {libtorch}, {cpu_capability}, oneDNN {onednn}, {threads}, {device}")
    }
}
