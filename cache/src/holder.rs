//! Who holds a claim, written into the lock file for people to read. Nothing correct rests on it: the operating
//! system's lock decides.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Who holds a claim, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// The process on its machine; `None` while the holder has not written it yet.
    pub pid: Option<u32>,
    /// The machine.
    pub host: String,
    /// The node that it runs the key for.
    pub node: String,
    /// Since when, in seconds since 1970.
    pub since_unix: f64,
}

impl Holder {
    /// This process, now, for this node.
    pub(crate) fn me(node: &str) -> Self {
        let since_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Holder { pid: Some(std::process::id()), host: host(), node: node.to_string(), since_unix }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            None => f.write_str("another process"),
            Some(pid) => write!(f, "process {pid} on {} ({})", self.host, self.node),
        }
    }
}

/// This machine's name, or `unknown`.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_string())
}
