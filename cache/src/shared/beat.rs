//! Who is alive. Every holder writes one object again and again; a holder is dead when that did not change for long while
//! somebody watched. No two machines' clocks are compared: only this machine's own counts, and from its first look on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The folder of heartbeats in a store.
pub const FOLDER: &str = "beats-v1";

/// So many looks at least, before a holder is dead: this process may have been stopped itself.
const LOOKS: u32 = 3;

/// The name of a holder's heartbeat.
pub fn object(holder: &str) -> String {
    format!("{FOLDER}/{holder}")
}

/// What was seen of the heartbeats of others.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<String, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// What tells one writing from the next; none where there is no heartbeat.
    version: Option<u64>,
    since: Instant,
    looks: u32,
    last: Instant,
}

impl Watch {
    /// Takes in what one look showed of a holder. False when the holder is dead: its heartbeat has not changed for `ttl`,
    /// and it was looked at often enough meanwhile, at most `ttl` apart.
    pub fn is_alive(&mut self, holder: &str, version: Option<u64>, now: Instant, ttl: Duration) -> bool {
        let first = Seen { version, since: now, looks: 1, last: now };
        let seen = self.seen.entry(holder.to_string()).or_insert(first);
        if seen.version != version || now.duration_since(seen.last) > ttl {
            // It changed, or this process was not looking: counted from here on.
            *seen = first;
            return true;
        }
        if now > seen.last {
            seen.looks += 1;
            seen.last = now;
        }
        now.duration_since(seen.since) < ttl || seen.looks < LOOKS
    }

    /// Forgets everybody who is not named.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.seen.retain(|holder, _| is_there(holder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(90);

    #[test]
    fn a_holder_is_dead_only_after_it_was_watched_for_long() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let mut watch = Watch::default();
        // Seen for the first time, however old its heartbeat is.
        assert!(watch.is_alive("a", Some(1), at(0), TTL));
        assert!(watch.is_alive("a", Some(1), at(60), TTL));
        assert!(watch.is_alive("a", Some(2), at(80), TTL), "it beats");
        assert!(watch.is_alive("a", Some(2), at(140), TTL));
        assert!(!watch.is_alive("a", Some(2), at(175), TTL), "90 s without a beat, three looks");
        assert!(watch.is_alive("a", Some(3), at(176), TTL), "it was paused");
        // One that never wrote a heartbeat is watched too.
        assert!(watch.is_alive("b", None, at(0), TTL) && watch.is_alive("b", None, at(50), TTL));
        assert!(!watch.is_alive("b", None, at(100), TTL));
        // Who was stopped for hours has watched nobody.
        assert!(watch.is_alive("c", Some(1), at(0), TTL) && watch.is_alive("c", Some(1), at(9000), TTL));
        assert!(watch.is_alive("c", Some(1), at(9050), TTL));
        assert!(!watch.is_alive("c", Some(1), at(9095), TTL));
    }

    #[test]
    fn two_looks_are_not_enough() {
        let begin = Instant::now();
        let mut watch = Watch::default();
        assert!(watch.is_alive("a", Some(1), begin, TTL));
        assert!(watch.is_alive("a", Some(1), begin + TTL, TTL));
        assert!(!watch.is_alive("a", Some(1), begin + TTL + Duration::from_secs(1), TTL));
    }
}
