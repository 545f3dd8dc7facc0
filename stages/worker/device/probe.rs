//! What `ddpipe doctor` wants to know of this machine: one line of JSON. Nothing here fails for want of a GPU.

use super::{cuda, driver, libtorch};
use anyhow::Result;
use serde::Serialize;

#[derive(Serialize)]
struct Probe {
    libtorch: String,
    /// The folder it was loaded from.
    libtorch_path: Option<String>,
    /// The folder that the build linked against.
    built_against: Option<&'static str>,
    cpu: String,
    cpu_capability: String,
    cores: usize,
    cuda: Cuda,
}

#[derive(Serialize)]
struct Cuda {
    /// Whether stages can run there.
    usable: bool,
    /// The library that was loaded.
    library: Option<String>,
    /// Why the library is not usable.
    library_error: Option<String>,
    /// The devices that the driver offers.
    devices: Vec<driver::Gpu>,
    /// Why the driver offers no device.
    driver_error: Option<String>,
    cudnn: bool,
}

/// The line.
pub fn probe() -> Result<String> {
    let (devices, driver_error) = match driver::devices() {
        Ok(devices) if devices.is_empty() => (devices, Some("the NVIDIA driver sees no device".into())),
        Ok(devices) => (devices, None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    let (library, library_error) = match cuda::load() {
        Ok(path) => (Some(path.display().to_string()), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    // The first questions to libtorch come last: it looks for CUDA once only.
    let usable = library.is_some() && tch::Cuda::device_count() > 0;
    let cuda = Cuda {
        usable,
        library,
        library_error,
        devices,
        driver_error,
        cudnn: usable && tch::Cuda::cudnn_is_available(),
    };
    Ok(serde_json::to_string(&Probe {
        libtorch: libtorch::version(),
        libtorch_path: libtorch::folder().map(|folder| folder.display().to_string()),
        built_against: libtorch::BUILT_AGAINST,
        cpu: super::processor(),
        cpu_capability: libtorch::cpu_capability(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        cuda,
    })?)
}
