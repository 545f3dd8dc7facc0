//! The last results of a run on their way to the remote: waited for at its end, but not after Ctrl-C.

use crate::event::{Event, Observer};
use crate::exit::Fault;
use crate::schedule::Interrupts;
use crate::size;
use ddpipe_cache::shared::{Brought, Unsent};
use ddpipe_cache::{Cache, RunDir};
use std::time::{Duration, Instant};

/// After so long it is said for what the command waits.
const PATIENT: Duration = Duration::from_secs(2);

/// Waits until everything is sent, or the user wants to go. Says what is left.
pub fn finish(cache: &Cache, run: &RunDir, interrupts: &Interrupts, observers: &mut dyn Observer) -> Result<(), Fault> {
    if !cache.is_shared() {
        return Ok(());
    }
    // A folder that several machines open has none.
    let url = cache.remote_url().unwrap_or_default();
    let (begun, mut is_said) = (Instant::now(), false);
    let unsent = cache.finish_sending(&mut || {
        if begun.elapsed() > PATIENT && !std::mem::replace(&mut is_said, true) {
            let what = cache.unsent().map_or("results".to_string(), in_words);
            let text = format!("{what} are being sent to {url}; Ctrl-C leaves them for `ddpipe cache push`");
            observers.on_event(&Event::Warning { text });
        }
        interrupts.count() == 0
    })?;
    if interrupts.count() == 0
        && let Err(error) = cache.pack(run)
    {
        tracing::debug!(%error, "what the run reached was not packed");
    }
    if unsent != Unsent::default() {
        let text = format!("{} wait for `ddpipe cache push --remote {url}`", in_words(unsent));
        observers.on_event(&Event::Warning { text });
    }
    Ok(())
}

/// What came from the remote, in words; nothing where nothing did.
pub fn brought(cache: &Cache) -> Option<String> {
    let Brought { records, outputs } = cache.brought();
    let noun = |count: u64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let bytes = size::show(outputs.bytes);
    let words = [
        (!records.is_empty()).then(|| noun(records.len() as u64, "result")),
        (outputs.files > 0).then(|| format!("the bytes of {} ({bytes})", noun(outputs.files, "output"))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| format!("{} came from {}", words.join(" and "), cache.remote_url().unwrap_or_default()))
}

fn in_words(unsent: Unsent) -> String {
    let noun = if unsent.records == 1 { "result" } else { "results" };
    format!("{} {noun} ({})", unsent.records, size::show(unsent.bytes))
}
