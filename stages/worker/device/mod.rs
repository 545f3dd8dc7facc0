//! The device that a worker computes on, opened once. CUDA comes in here, or a clear word on why it does not.

mod cuda;
mod driver;
mod libtorch;
mod numerics;
mod probe;

pub use probe::probe;

use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::Numerics;
use tch::Device;

/// An opened device, in words.
pub struct Opened {
    /// `cpu`, `cuda:0`, …
    pub slot: String,
    /// The processor or the GPU, by its maker's name.
    pub name: String,
    /// The version of libtorch.
    pub libtorch: String,
    /// What decides the bits of results on it.
    pub numerics: Numerics,
}

/// Sets what the CUDA libraries read from the environment. To be called before any thread exists.
pub fn set_environment() {
    // SAFETY: the process has one thread. Which passes take TF32 is said by stages; this variable would overrule them. cuBLAS
    // gives the same bits every time only with a fixed workspace.
    unsafe {
        std::env::remove_var("NVIDIA_TF32_OVERRIDE");
        std::env::set_var("CUBLAS_WORKSPACE_CONFIG", ":4096:8");
    }
}

/// Gets the device ready. Must come before everything else that touches libtorch: CUDA is only seen by its first call.
pub fn open(device: Device, threads: u16) -> Result<Opened> {
    let (slot, name, described) = match device {
        Device::Cuda(index) => {
            let slot = format!("cuda:{index}");
            let gpu = cuda(index).with_context(|| slot.clone())?;
            let described = gpu.described();
            (slot, gpu.name, described)
        }
        _ => ("cpu".into(), processor(), "cpu".into()),
    };
    ddpipe_nn::pieces::use_threads(usize::from(threads));
    let numerics = numerics::of(device, &described);
    Ok(Opened { slot, name, libtorch: libtorch::version(), numerics })
}

fn cuda(index: usize) -> Result<driver::Gpu> {
    let mut devices = driver::devices()?;
    let visible =
        || std::env::var("CUDA_VISIBLE_DEVICES").map_or(String::new(), |ids| format!(" (CUDA_VISIBLE_DEVICES={ids})"));
    ensure!(index < devices.len(), "there is no such device: {} found{}", counted(devices.len()), visible());
    let library = cuda::load()?;
    tracing::info!(library = %library.display(), "CUDA loaded");
    let count = tch::Cuda::device_count();
    ensure!(
        count > index as i64,
        "libtorch sees {} where the driver sees {}",
        counted(count as usize),
        counted(devices.len())
    );
    libtorch::compute_repeatably();
    tch::Cuda::cudnn_set_benchmark(false);
    ddpipe_nn::precision::switch_tf32_with(libtorch::allow_tf32);
    let gpu = devices.swap_remove(index);
    ddpipe_nn::network::device_has(gpu.memory);
    Ok(gpu)
}

fn counted(devices: usize) -> String {
    match devices {
        0 => "no CUDA device".into(),
        1 => "only cuda:0".into(),
        n => format!("cuda:0 to cuda:{}", n - 1),
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().filter(|line| line.starts_with("model name")).find_map(|line| line.split_once(':'));
    model.map_or(std::env::consts::ARCH.into(), |(_, name)| name.trim().to_string())
}
