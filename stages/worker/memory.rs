//! The peak memory of one job, as the kernel counts it.

use nix::sys::resource::{UsageWho, getrusage};

/// Measures from its creation on.
pub struct Peak {
    /// Whether the kernel forgot the peak of earlier jobs.
    fresh: bool,
    children: i64,
}

impl Peak {
    /// Starts measuring.
    pub fn start() -> Self {
        // "5" resets the high-water mark (proc_pid_clear_refs(5)).
        Peak { fresh: std::fs::write("/proc/self/clear_refs", "5").is_ok(), children: children() }
    }

    /// The largest resident memory of this process since the start, in bytes.
    pub fn of_process(&self) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok().filter(|_| self.fresh)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes << 10)
    }

    /// The largest resident memory of a process that was started and has ended since the start, in bytes. The kernel
    /// keeps one maximum for all children; when it did not rise, this job's own peak is not known.
    pub fn of_children(&self) -> Option<u64> {
        let now = children();
        (now > self.children).then_some((now as u64) << 10)
    }
}

fn children() -> i64 {
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0, |usage| usage.max_rss())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_allocation_shows_in_its_own_job_only() {
        let first = Peak::start();
        let large = std::hint::black_box(vec![1u8; 64 << 20]);
        let with = first.of_process();
        drop(large);
        let second = Peak::start();
        if let (Some(with), Some(without)) = (with, second.of_process()) {
            assert!(with >= without + (48 << 20), "{with} with 64 MiB in use, {without} after");
        }
    }
}
