//! Which devices a run computes on, and how many stages at once. Looks at what the system says of GPUs; links no CUDA.

use crate::exit::Fault;
use std::path::Path;

/// The slots of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// One device name per slot.
    pub names: Vec<String>,
    /// Computing threads of each slot, which share the cores.
    pub threads: usize,
    /// Whether a GPU has more slots than it should compute large stages at once: only small ones share it then.
    pub for_small: bool,
}

/// Stages that share a GPU by default, if they are small.
pub const ON_A_GPU: usize = 4;

impl Slots {
    /// The class of the devices: `cpu` or `cuda`.
    pub fn class(&self) -> &str {
        self.names.first().and_then(|name| name.split(':').next()).unwrap_or("cpu")
    }

    /// Whether the machine has the GPUs that are named, as far as the driver's files tell. Under Windows it has none, and
    /// the worker finds out.
    ///
    /// # Errors
    /// One of the command line, with what is there.
    pub fn check_devices(&self) -> Result<(), Fault> {
        self.check(gpus(), Path::new("/dev/dxg").exists())
    }

    fn check(&self, gpus: usize, untold: bool) -> Result<(), Fault> {
        let index = |name: &String| name.strip_prefix("cuda:").and_then(|index| index.parse::<usize>().ok());
        let missing = self.names.iter().filter_map(index).find(|index| *index >= gpus);
        let Some(missing) = missing.filter(|_| !untold) else { return Ok(()) };
        let found = match gpus {
            0 if all_gpus() > 0 => "CUDA_VISIBLE_DEVICES hides all GPUs of this machine".to_string(),
            0 => "this machine shows no NVIDIA GPU (there is no /dev/nvidia0)".to_string(),
            1 => "this machine shows one NVIDIA GPU, cuda:0".to_string(),
            gpus => format!("this machine shows {gpus} NVIDIA GPUs, cuda:0 to cuda:{}", gpus - 1),
        };
        let way_out = "`ddpipe doctor` tells more; --device auto takes what is there";
        Err(Fault::usage(format!("--device cuda:{missing}: {found}\n  {way_out}")))
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
    // A large stage fills a GPU, small ones share it. One fills the cores too; a second one on a CPU uses what the first one
    // leaves while it reads and writes.
    let on_cpu = devices.iter().all(|name| name == "cpu");
    let for_small = jobs.is_none() && !on_cpu;
    let jobs = jobs.unwrap_or(if on_cpu { cores.min(2) } else { devices.len() * ON_A_GPU });
    let names: Vec<String> = devices.iter().cycle().take(jobs).cloned().collect();
    let threads = threads.unwrap_or(cores);
    Ok(Slots { names, threads, for_small })
}

/// How many NVIDIA GPUs there are for this process: those that the driver shows, as far as `CUDA_VISIBLE_DEVICES` leaves
/// them. Those are numbered anew, from `cuda:0`.
fn gpus() -> usize {
    let ids = std::env::var_os("CUDA_VISIBLE_DEVICES");
    visible(all_gpus().max(under_windows()), ids.as_ref().map(|ids| ids.to_string_lossy()).as_deref())
}

/// One where Windows lends its GPU to Linux (WSL2) and its CUDA driver with it; there are no files by which to count more.
fn under_windows() -> usize {
    usize::from(Path::new("/dev/dxg").exists() && Path::new("/usr/lib/wsl/lib/libcuda.so.1").exists())
}

/// How many of so many GPUs a list of numbers and names leaves. As in CUDA, nothing counts from the first entry on that is no
/// GPU; so an empty list and -1 leave none.
fn visible(gpus: usize, ids: Option<&str>) -> usize {
    let Some(ids) = ids else { return gpus };
    let is_gpu = |id: &&str| {
        id.starts_with("GPU-") || id.starts_with("MIG-") || id.parse::<usize>().is_ok_and(|index| index < gpus)
    };
    ids.split(',').map(str::trim).take_while(is_gpu).count().min(gpus)
}

/// How many NVIDIA GPUs the driver shows.
fn all_gpus() -> usize {
    let numbered = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        name.to_str().and_then(|name| name.strip_prefix("nvidia")).is_some_and(|rest| rest.parse::<u32>().is_ok())
    };
    let entries = std::fs::read_dir(Path::new("/dev")).into_iter().flatten().flatten();
    entries.filter(numbered).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gpus_that_the_environment_hides_are_not_counted() {
        let count = |ids| visible(4, ids);
        assert_eq!([count(None), count(Some("")), count(Some("-1")), count(Some("7"))], [4, 0, 0, 0]);
        assert_eq!(
            [count(Some("2")), count(Some("3, 1")), count(Some("0,-1,2")), count(Some("GPU-8a,1"))],
            [1, 2, 1, 2]
        );
        assert_eq!([visible(0, Some("0")), visible(0, Some("GPU-8a"))], [0, 0]);
    }

    #[test]
    fn a_gpu_that_is_not_there_is_found_before_anything_runs() {
        let slots = |names: &[&str]| Slots {
            names: names.iter().map(|name| name.to_string()).collect(),
            threads: 1,
            for_small: false,
        };
        assert!(slots(&["cpu"]).check(0, false).is_ok() && slots(&["cuda:0", "cuda:1"]).check(2, false).is_ok());
        let said = slots(&["cuda:0"]).check(0, false).unwrap_err().message;
        assert!(said.starts_with("--device cuda:0: this machine shows no NVIDIA GPU"), "{said}");
        let said = slots(&["cuda:0", "cuda:3"]).check(2, false).unwrap_err().message;
        assert!(said.starts_with("--device cuda:3: this machine shows 2 NVIDIA GPUs, cuda:0 to cuda:1"), "{said}");
        assert!(slots(&["cuda:0"]).check(0, true).is_ok());
    }
}
