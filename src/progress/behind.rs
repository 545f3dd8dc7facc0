//! Output on a thread of its own. Whoever reads it may stop for as long as they like (`| less`, Ctrl-S in a terminal): the
//! run goes on, and what waits is bounded. Progress, curves and log lines are left out when too much waits, and that is
//! said; what starts, ends and goes wrong never is.

use crate::event::{Event, Observer, Status};
use crate::schedule::Interrupts;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Events that may wait before some are left out, and the letters of a waiting log line.
const WAITING: usize = 4096;
const LETTERS: usize = 8192;
/// How long an interrupted run waits at its end for a reader that does not read.
const FAREWELL: Duration = Duration::from_secs(2);
/// The same where the user has asked twice.
const MOMENT: Duration = Duration::from_millis(300);

/// Hands events to an observer on another thread.
pub struct Behind {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    interrupts: Interrupts,
    /// Whether the observer shows anything of nodes that are on record.
    shows_fresh: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<(SystemTime, Event)>,
    left_out: u64,
    closed: bool,
}

impl Behind {
    /// Starts the thread, which makes the observer. Dropping this waits until everything is told, unless `interrupts`
    /// say that the user does not want to.
    pub fn new(make: impl FnOnce() -> Box<dyn Observer> + Send + 'static, interrupts: Interrupts) -> Self {
        let shared = Arc::new(Shared::default());
        let queue = shared.clone();
        let thread = std::thread::spawn(move || {
            let mut observer = make();
            while let Some((at, event)) = queue.next() {
                observer.on_event_at(&event, at);
            }
        });
        Behind { shared, thread: Some(thread), interrupts, shows_fresh: true }
    }

    /// The same, whose observer shows nothing of nodes that are on record: there may be very many of them.
    pub fn without_fresh(mut self) -> Self {
        self.shows_fresh = false;
        self
    }
}

impl Observer for Behind {
    fn on_event(&mut self, event: &Event) {
        if !self.shows_fresh && matches!(event, Event::Finished(outcome) if outcome.status == Status::Fresh) {
            return;
        }
        let mut queue = self.shared.lock();
        if may_be_left_out(event) && queue.events.len() >= WAITING {
            queue.left_out += 1;
            return;
        }
        queue.events.push_back((SystemTime::now(), shortened(event)));
        // The thread waits only where there is nothing.
        if queue.events.len() == 1 {
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let Some(thread) = self.thread.take() else { return };
        let mut since = None;
        while !thread.is_finished() {
            match self.interrupts.count() {
                0 => {}
                1 if since.get_or_insert_with(Instant::now).elapsed() < FAREWELL => {}
                // A moment, so that what it says does not come after the last words.
                2 if since.get_or_insert_with(Instant::now).elapsed() < MOMENT => {}
                // The thread is left behind with whoever does not read.
                _ => return,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = thread.join();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event, waiting for it; none at the end. What was left out is said as soon as there is room again.
    fn next(&self) -> Option<(SystemTime, Event)> {
        let idle = |queue: &mut Queue| queue.events.is_empty() && queue.left_out == 0 && !queue.closed;
        let mut queue = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        if queue.left_out > 0 && queue.events.len() < WAITING / 2 {
            let count = std::mem::take(&mut queue.left_out);
            let text =
                format!("{count} lines of progress and logs were left out: whoever reads this output was too slow");
            return Some((SystemTime::now(), Event::Warning { text }));
        }
        queue.events.pop_front()
    }
}

fn may_be_left_out(event: &Event) -> bool {
    match event {
        Event::Progress { .. }
        | Event::Download { .. }
        | Event::Metric { .. }
        | Event::Preview { .. }
        | Event::Log { .. }
        | Event::Silent { .. } => true,
        Event::Begun { .. }
        | Event::Expected { .. }
        | Event::Started { .. }
        | Event::Waiting { .. }
        | Event::Retried { .. }
        | Event::Pilots { .. }
        | Event::Warning { .. }
        | Event::Finished(_)
        | Event::Ended { .. }
        | Event::Diagnostic(_)
        | Event::Expectation { .. }
        | Event::Result { .. }
        | Event::Baseline(_)
        | Event::Error { .. }
        | Event::Exit { .. } => false,
    }
}

/// A line of a log may be of any length.
fn shortened(event: &Event) -> Event {
    match event {
        Event::Log { node, level, text } if text.len() > LETTERS => {
            let text = format!("{}… ({} bytes)", text.chars().take(LETTERS).collect::<String>(), text.len());
            Event::Log { node: node.clone(), level: *level, text }
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::event::Outcome;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Takes one event per message; tells which.
    struct Slow(Receiver<()>, Sender<Event>);

    impl Observer for Slow {
        fn on_event(&mut self, event: &Event) {
            let _ = self.0.recv();
            let _ = self.1.send(event.clone());
        }
    }

    fn progress(step: u64) -> Event {
        Event::Progress { node: "a".into(), step, total: 9, loss: None, unit: "steps".into() }
    }

    fn finished(node: usize) -> Event {
        Event::Finished(Outcome::of(node.to_string()))
    }

    #[test]
    fn a_reader_that_stops_costs_progress_and_no_outcome() {
        let ((go, gate), (tell, told)) = (channel(), channel());
        let mut behind = Behind::new(move || Box::new(Slow(gate, tell)), Interrupts::default());
        for step in 0..20_000 {
            behind.on_event(&progress(step));
        }
        (0..100).for_each(|node| behind.on_event(&finished(node)));
        assert!(behind.shared.lock().events.len() <= WAITING + 100);
        // The reader reads again.
        drop(go);
        drop(behind);
        let told: Vec<Event> = told.into_iter().collect();
        let count = |test: fn(&Event) -> bool| told.iter().filter(|event| test(event)).count();
        assert_eq!(count(|event| matches!(event, Event::Finished(_))), 100);
        assert_eq!(count(|event| matches!(event, Event::Warning { .. })), 1);
        assert!((WAITING..=WAITING + 1).contains(&count(|event| matches!(event, Event::Progress { .. }))));
    }

    #[test]
    fn an_interrupted_run_does_not_wait_for_a_reader_that_never_reads() {
        let ((_go, gate), (tell, _told)) = (channel::<()>(), channel());
        let interrupts = Interrupts::default();
        let mut behind = Behind::new(move || Box::new(Slow(gate, tell)), interrupts.clone());
        behind.on_event(&finished(1));
        interrupts.raise();
        interrupts.raise();
        drop(behind);
    }
}
