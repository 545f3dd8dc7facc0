//! The clock of the file system that a cache lies in. Times of files are compared with it, and not with the clock of this
//! machine: a file server's may be another. Knows not what is compared.

use crate::aside::Aside;
use crate::layout::Layout;
use crate::{Cache, disk};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// No clock of a file system goes in larger steps than this, but those that count whole seconds.
pub(crate) const STEP: Duration = Duration::from_millis(10);

/// By how much that clock is ahead of this machine's, or behind. Found out once in a process.
#[derive(Debug, Default)]
pub(crate) struct Clock(OnceLock<Offset>);

#[derive(Clone, Copy, Debug)]
enum Offset {
    Ahead(Duration),
    Behind(Duration),
}

impl Clock {
    /// Notes what the time was when a file was written a moment ago, which saves writing one.
    pub fn saw(&self, written: &Path) {
        if self.0.get().is_none()
            && let Some(offset) = seen(written, SystemTime::now())
        {
            let _ = self.0.set(offset);
        }
    }

    /// What the time is there. Where nothing can be written, this machine's time.
    pub fn now(&self, layout: &Layout) -> SystemTime {
        let offset = *self.0.get_or_init(|| measured(layout).unwrap_or(Offset::Ahead(Duration::ZERO)));
        let now = SystemTime::now();
        match offset {
            Offset::Ahead(by) => now.checked_add(by).unwrap_or(now),
            Offset::Behind(by) => now.checked_sub(by).unwrap_or(now),
        }
    }
}

/// Writes a file and looks at its time.
fn measured(layout: &Layout) -> Option<Offset> {
    let mut aside = Aside::new(&layout.records_tmp()).ok()?;
    aside.write(b"now").ok()?;
    seen(aside.path(), SystemTime::now())
}

fn seen(written: &Path, now: SystemTime) -> Option<Offset> {
    let time = disk::look(written).ok()?.modified().ok()?;
    Some(match time.duration_since(now) {
        Ok(ahead) => Offset::Ahead(ahead),
        // The time of a file is that of the last step of the clock.
        Err(behind) if behind.duration() < STEP => Offset::Ahead(Duration::ZERO),
        Err(behind) => Offset::Behind(behind.duration()),
    })
}

impl Cache {
    /// What the time is in the file system of the cache.
    pub(crate) fn now(&self) -> SystemTime {
        self.clock().now(self.layout())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_server_whose_clock_is_off_decides_what_the_time_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("written");
        let layout = Layout::new(folder.path()).unwrap();
        let day = Duration::from_secs(86_400);
        for (time, is_ahead) in [(SystemTime::now() + day, true), (SystemTime::now() - day, false)] {
            File::create(&path).unwrap().set_modified(time).unwrap();
            let clock = Clock::default();
            clock.saw(&path);
            let (there, here) = (clock.now(&layout), SystemTime::now());
            let apart = if is_ahead { there.duration_since(here) } else { here.duration_since(there) };
            assert!(apart.unwrap() > day / 2);
        }
    }
}
