//! The peak memory of one job: of this process or of a program that it started, as the kernel counts it, and of tensors
//! on a GPU, as libtorch counts them. What other stages left in memory is not the job's own, and is taken off.

use crate::device_memory;
use nix::sys::resource::{UsageWho, getrusage};
use tch::Device;

/// Measures from its creation on.
pub struct Peak {
    /// The device that tensors are kept on between jobs.
    kept_on: Device,
    /// Whether the kernel forgot the peak of earlier jobs.
    fresh: bool,
    children: i64,
}

/// What a job needed at most, in bytes, where it can be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Resident memory of the process that computed.
    pub host: Option<u64>,
    /// Tensors on the GPU.
    pub device: Option<u64>,
}

impl Peak {
    /// Starts measuring, in a worker that keeps tensors on this device.
    pub fn start(kept_on: Device) -> Self {
        give_back();
        device_memory::reset_peak(kept_on);
        // "5" resets the high-water mark to what is resident now (proc_pid_clear_refs(5)).
        Peak { kept_on, fresh: std::fs::write("/proc/self/clear_refs", "5").is_ok(), children: children() }
    }

    /// The peak of a job that computed in this process, on this device. `others` is how many bytes of tensors were
    /// kept all the while for other stages.
    pub fn of_job(&self, computed_on: Device, others: u64) -> Measured {
        let on_host = if self.kept_on == Device::Cpu { others } else { 0 };
        let host = self.of_process().map(|bytes| bytes.saturating_sub(on_host));
        let device = device_memory::peak_bytes(computed_on).map(|bytes| bytes.saturating_sub(others));
        Measured { host, device }
    }

    /// The peak of a program that was started and has ended since the start. The kernel keeps one maximum for all
    /// children; when it did not rise, this job's own peak is not known.
    pub fn of_program(&self) -> Measured {
        let now = children();
        Measured { host: (now > self.children).then_some((now as u64) << 10), device: None }
    }

    fn of_process(&self) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok().filter(|_| self.fresh)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes << 10)
    }
}

/// Memory that earlier jobs freed still counts as resident while the allocator holds on to it.
fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: may be called at any time; it touches free memory only.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

fn children() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many small pieces, the last of which outlives the others: the allocator cannot give the heap back by itself.
    #[test]
    fn a_large_allocation_shows_in_its_own_job_only() {
        let first = Peak::start(Device::Cpu);
        let mut pieces: Vec<Vec<u8>> = (0..65_536).map(|_| std::hint::black_box(vec![1u8; 1024])).collect();
        let last = pieces.pop();
        let with = first.of_job(Device::Cpu, 0);
        drop(pieces);
        let second = Peak::start(Device::Cpu);
        let without = second.of_job(Device::Cpu, 0);
        if let (Some(with), Some(without)) = (with.host, without.host) {
            assert!(with >= without + (48 << 20), "{with} with 64 MiB in use, {without} after");
        }
        drop(last);
    }

    #[test]
    fn what_is_kept_for_others_is_taken_off_where_it_lies() {
        let peak = Peak::start(Device::Cpu);
        let large = std::hint::black_box(vec![1u8; 64 << 20]);
        let (all, own) = (peak.of_job(Device::Cpu, 0), peak.of_job(Device::Cpu, 64 << 20));
        drop(large);
        if let (Some(all), Some(own)) = (all.host, own.host) {
            assert!(all - own >= 60 << 20 && own > 0, "{all} in all, {own} its own");
        }
        assert_eq!((all.device, peak.of_job(Device::Cpu, u64::MAX).host.unwrap_or(0)), (None, 0));
    }
}
