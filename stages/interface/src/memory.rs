//! How much memory this process and what it starts may use: the machine's, or less where a container or a batch system
//! limits it.

use std::fs;
use std::path::{Path, PathBuf};

/// The bytes of memory that may be used; none where the system does not say.
pub fn limit() -> Option<u64> {
    let machine = line(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal:");
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = cgroups(&groups, Path::new("/sys/fs/cgroup")).iter().filter_map(|file| bytes(file)).min();
    [machine, group].into_iter().flatten().min()
}

/// The bytes of memory that can still be used without taking any from others; none where the system does not say.
pub fn available() -> Option<u64> {
    let machine = line(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemAvailable:");
    let own = line(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:");
    let group = limit().zip(own).map(|(limit, own)| limit.saturating_sub(own));
    [machine, group].into_iter().flatten().min()
}

/// The kibibytes behind a name, in bytes.
fn line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The files that may hold a limit: of the process's control group and of all groups above it, in both versions.
fn cgroups(text: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (below, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            of if of.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        for folder in Path::new(group).ancestors() {
            files.push(below.join(folder.strip_prefix("/").unwrap_or(folder)).join(file));
        }
    }
    files
}

/// The number in a file; none of `max` and of the huge number that stands for it in the older version.
fn bytes(file: &Path) -> Option<u64> {
    let number = fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()?;
    (number < 1 << 60).then_some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_limit_may_stand_in_any_group_above() {
        assert_eq!(line("MemTotal:       24576 kB\nMemFree: 1 kB\n", "MemTotal:"), Some(24576 * 1024));
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("slurm/job_7/step")).unwrap();
        fs::write(root.join("slurm/job_7/memory.max"), "1073741824\n").unwrap();
        fs::write(root.join("slurm/job_7/step/memory.max"), "max\n").unwrap();
        let files = cgroups("0::/slurm/job_7/step\n", root);
        assert_eq!(files.iter().filter_map(|file| bytes(file)).min(), Some(1 << 30));
        let older = cgroups("3:cpu,memory:/docker/a\n", root);
        assert_eq!(older[0], root.join("memory/docker/a/memory.limit_in_bytes"));
    }
}
