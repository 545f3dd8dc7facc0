//! Which devices a run computes on, and how many stages at once. Looks at what the system says of GPUs; links no CUDA.

use crate::exit::Fault;
use std::path::Path;

/// The slots of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// One device name per slot.
    pub names: Vec<String>,
    /// Computing threads per slot.
    pub threads: usize,
}

impl Slots {
    /// The class of the devices: `cpu` or `cuda`.
    pub fn class(&self) -> &str {
        self.names.first().and_then(|name| name.split(':').next()).unwrap_or("cpu")
    }
}

/// Reads `--device` and spreads `--jobs` over the devices it names.
pub fn find(device: &str, jobs: Option<usize>, threads: Option<usize>) -> Result<Slots, Fault> {
    let gpus = gpus();
    let mut devices: Vec<String> = Vec::new();
    for name in device.split(',').map(str::trim) {
        match name {
            "auto" if gpus == 0 => devices.push("cpu".into()),
            "auto" | "cuda" => devices.extend((0..gpus.max(1)).map(|index| format!("cuda:{index}"))),
            "cpu" => devices.push("cpu".into()),
            other => match other.strip_prefix("cuda:").map(str::parse::<usize>) {
                Some(Ok(_)) => devices.push(other.into()),
                _ => {
                    let message = format!("--device {other}: expected auto, cpu, cuda or cuda:N");
                    return Err(Fault::usage(message));
                }
            },
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    // One stage fills a GPU. On a CPU two that run side by side finish sooner than one after the other with all cores.
    let on_cpu = devices.iter().all(|name| name == "cpu");
    let jobs = jobs.unwrap_or(if on_cpu { cores.min(2) } else { devices.len() });
    let names: Vec<String> = devices.iter().cycle().take(jobs).cloned().collect();
    let threads = threads.unwrap_or_else(|| (cores / jobs.max(1)).max(1));
    Ok(Slots { names, threads })
}

/// How many NVIDIA GPUs the driver shows.
fn gpus() -> usize {
    let numbered = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        name.to_str().and_then(|name| name.strip_prefix("nvidia")).is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    let entries = std::fs::read_dir(Path::new("/dev")).into_iter().flatten().flatten();
    entries.filter(numbered).count()
}
