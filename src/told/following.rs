//! A run that goes on, followed by what it writes into its folder: the events of its journal as they come, and the newest
//! progress of the stages at work. Knows not how that is shown.

use super::{JOURNAL, PROGRESS, Tail};
use crate::event::Event;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a run tells, from its begin.
pub struct Following {
    journal: Tail,
    progress: PathBuf,
    /// The stages at work, each with its last line of progress.
    at_work: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Line {
    /// Seconds since the run began.
    at: f64,
    #[serde(flatten)]
    event: Event,
}

impl Following {
    /// Follows the run of this folder.
    pub fn of(folder: &Path) -> Self {
        let (journal, progress) = (Tail::of(&folder.join(JOURNAL)), folder.join(PROGRESS));
        Following { journal, progress, at_work: HashMap::new() }
    }

    /// What was told since the last look, and when: the time since the run began. Lines that cannot be read are left out.
    pub fn look(&mut self) -> Vec<(Duration, Event)> {
        // Read first: progress of a stage whose end is in the journal already says nothing.
        let progress = std::fs::read_to_string(&self.progress).unwrap_or_default();
        let mut told: Vec<(Duration, Event)> = self.journal.lines().iter().filter_map(|line| read(line)).collect();
        for (_, event) in &told {
            match event {
                Event::Started { node, .. } => drop(self.at_work.insert(node.clone(), String::new())),
                Event::Retried { node, .. } => drop(self.at_work.remove(node)),
                Event::Finished(outcome) => drop(self.at_work.remove(&outcome.node)),
                _ => {}
            }
        }
        for line in progress.lines() {
            let Some((at, event)) = read(line) else { continue };
            let is_news = match &event {
                Event::Progress { node, .. } => match self.at_work.get_mut(node) {
                    Some(last) if last != line => {
                        line.clone_into(last);
                        true
                    }
                    _ => false,
                },
                Event::Download { .. } => true,
                _ => false,
            };
            if is_news {
                told.push((at, event));
            }
        }
        told
    }
}

fn read(line: &str) -> Option<(Duration, Event)> {
    let Line { at, event } = serde_json::from_str(line).ok()?;
    Some((Duration::try_from_secs_f64(at).unwrap_or_default(), event))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::event::{Failure, Headline, Outcome, Status};
    use crate::reason::Reason;
    use std::fs;

    fn line(at: f64, event: &Event) -> String {
        let mut value = serde_json::to_value(event).unwrap();
        value["at"] = at.into();
        format!("{value}\n")
    }

    fn progress(step: u64) -> Event {
        Event::Progress { node: "a".into(), step, total: 10, loss: Some(f64::NAN), unit: "steps".into() }
    }

    #[test]
    fn events_are_read_back_and_progress_is_that_of_stages_at_work() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path();
        let mut following = Following::of(folder);
        assert!(following.look().is_empty());
        let reasons = vec![Reason::NeverRan];
        let started =
            Event::Started { node: "a".into(), kind: "k".into(), slot: "cpu".into(), reasons, continues: Some(3) };
        fs::write(folder.join(JOURNAL), line(0.5, &started) + "{\"event\":\"of a later version\",\"at\":1}\nhalf")
            .unwrap();
        fs::write(folder.join(PROGRESS), line(1.5, &progress(4))).unwrap();
        let told = following.look();
        assert!(
            matches!(&told[0], (at, Event::Started { continues: Some(3), .. }) if *at == Duration::from_millis(500))
        );
        assert!(matches!(&told[1], (_, Event::Progress { step: 4, loss: None, .. })) && told.len() == 2, "{told:?}");
        assert!(following.look().is_empty(), "nothing is told twice");

        let failure = Failure { cause: None, message: "no".into(), hint: None, log: Vec::new() };
        let headline = vec![Headline { name: "loss".into(), value: f64::NAN, unit: None }];
        let metrics = [("loss".to_string(), f64::INFINITY)].into_iter().collect();
        let outcome = Outcome { status: Status::Failed, failure: Some(failure), headline, metrics, ..Outcome::of("a") };
        let counts = [(Status::Failed, 1)].into_iter().collect();
        let ended = Event::Ended { counts, seconds: 2.0 };
        fs::write(
            folder.join(JOURNAL),
            line(0.5, &started) + &line(2.0, &Event::Finished(outcome)) + &line(2.0, &ended),
        )
        .unwrap();
        fs::write(folder.join(PROGRESS), line(1.9, &progress(9))).unwrap();
        // The journal was begun anew here: its first line comes once more.
        let mut following = Following::of(folder);
        let told = following.look();
        assert!(matches!(&told[1].1, Event::Finished(outcome) if outcome.metrics["loss"].is_nan()), "{told:?}");
        assert!(matches!(&told[2].1, Event::Ended { counts, .. } if counts[&Status::Failed] == 1), "{told:?}");
        assert_eq!(told.len(), 3, "progress of a stage that has ended: {told:?}");
    }
}
