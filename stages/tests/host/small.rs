//! A small stage: quick to run, with what is needed to hold it to what every kind promises (`kinds/promises.rs`). That a
//! run repeats, and that it ends with the same bytes when it was interrupted, is checked here; a kind's tests declare its
//! small stages in a function `small`.

use super::{Event, Stage, made};
use ddpipe_stages::context::{CHECKPOINT, Interrupted, Outputs};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Everything that a run made, as bytes by name; see [`made`].
pub type Made = BTreeMap<String, Vec<u8>>;

/// A small stage and how it answers when it is asked to stop.
pub struct Small {
    stage: Stage,
    variant: String,
    stops: Stops,
    before: u64,
    at: Vec<(u64, u64)>,
}

/// How a stage can be interrupted. A stage asks its host whether to stop: once per step of its loop, if it has one.
enum Stops {
    /// It never asks: too short to be interrupted.
    Never,
    /// It stops when it is told to and keeps nothing: the next run begins anew.
    Anew,
    /// It continues from a checkpoint: stopped in every run at its question number `every`, it does so after these steps.
    Often { every: u64, steps: Vec<u64> },
}

impl Small {
    /// A stage that never asks whether to stop.
    pub fn of(stage: Stage) -> Self {
        Small { stage, variant: String::new(), stops: Stops::Never, before: 0, at: Vec::new() }
    }

    /// Which of its kind's small stages it is, for messages.
    pub fn named(mut self, variant: impl Into<String>) -> Self {
        self.variant = variant.into();
        self
    }

    /// It stops when it is told to, keeps nothing, and begins anew.
    pub fn begins_anew(mut self) -> Self {
        self.stops = Stops::Anew;
        self
    }

    /// It continues: told to stop in every run when it asks for the `every`th time, it ends after as many stops as there are
    /// `steps`, and continues after each of these in turn. At least three, so that a run is interrupted at more than its
    /// beginning and its end.
    pub fn continues(mut self, every: u64, steps: impl IntoIterator<Item = u64>) -> Self {
        let steps: Vec<u64> = steps.into_iter().collect();
        assert!(steps.len() >= 3, "{}: {} stops are too few; stop it after fewer questions", self.name(), steps.len());
        self.stops = Stops::Often { every, steps };
        self
    }

    /// So often it asks before its loop begins, in a run that does not continue an earlier one.
    pub fn asks_before(mut self, before: u64) -> Self {
        self.before = before;
        self
    }

    /// Told to stop when it asks for the `asks`th time, the next run says that it continues after step `done`.
    pub fn stopped_at(mut self, stops: &[(u64, u64)]) -> Self {
        self.at.extend(stops);
        self
    }

    /// The kind.
    pub fn kind(&self) -> &str {
        &self.stage.kind
    }

    /// Kind and variant.
    pub fn name(&self) -> String {
        if self.variant.is_empty() { self.kind().to_string() } else { format!("{} ({})", self.kind(), self.variant) }
    }

    /// Runs it from its beginning to its end.
    pub fn made(&self) -> Result<Made, String> {
        self.stage.again().run().map(|outputs| made(&outputs)).map_err(|why| format!("{}: {why:#}", self.name()))
    }

    /// Runs it, and again with interruptions, or simply again where it asks for none. What is not as declared, or not the
    /// same bytes, is the error.
    pub fn keeps_its_promises(&self) -> Result<(), String> {
        let whole = self.made()?;
        match &self.stops {
            Stops::Never => self.never_asks_and_ends_like(&whole)?,
            Stops::Anew => self.begins_anew_and_ends_like(&whole)?,
            Stops::Often { every, steps } => self.stopped_often_ends_like(&whole, *every, steps)?,
        }
        self.at.iter().try_for_each(|&(asks, done)| self.stopped_once_ends_like(&whole, asks, done))
    }

    fn never_asks_and_ends_like(&self, whole: &Made) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
        match self.part(folder.path(), Some(1))?.0 {
            Some(outputs) => self.same(whole, &made(&outputs), "a second run"),
            None => Err(format!("{} asks whether to stop: declare how it is interrupted", self.name())),
        }
    }

    fn begins_anew_and_ends_like(&self, whole: &Made) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
        if self.part(folder.path(), Some(1))?.0.is_some() {
            return Err(format!("{} never asked whether to stop", self.name()));
        }
        if folder.path().join(CHECKPOINT).exists() {
            return Err(format!("{} left a checkpoint: declare that it continues", self.name()));
        }
        let (outputs, _) = self.part(folder.path(), None)?;
        let outputs = outputs.ok_or_else(|| format!("{} was stopped by nobody", self.name()))?;
        self.same(whole, &made(&outputs), "a run after one that was stopped")
    }

    fn stopped_often_ends_like(&self, whole: &Made, every: u64, steps: &[u64]) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
        let (mut part, mut found) = (self.part(folder.path(), Some(self.before + every))?, Vec::new());
        while part.0.is_none() {
            if found.len() > 100 {
                return Err(format!("{} makes no progress when it is stopped every {every} questions", self.name()));
            }
            part = self.part(folder.path(), Some(every))?;
            found.push(part.1.ok_or_else(|| format!("{} did not continue", self.name()))?);
        }
        if found != steps {
            return Err(format!("{} continued after steps {found:?}; declared are {steps:?}", self.name()));
        }
        self.same(whole, &made(&part.0.unwrap()), &format!("a run that was stopped {} times", found.len()))
    }

    fn stopped_once_ends_like(&self, whole: &Made, asks: u64, done: u64) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|why| why.to_string())?;
        let at = format!("{}, told to stop when it asked for the {asks}. time", self.name());
        if self.part(folder.path(), Some(asks))?.0.is_some() {
            return Err(format!("{at}, ended before"));
        }
        let (outputs, continued) = self.part(folder.path(), None)?;
        if continued != Some(done) {
            return Err(format!("{at}, continued after step {continued:?}, and {done} is declared"));
        }
        let outputs = outputs.ok_or_else(|| format!("{at}, was stopped again by nobody"))?;
        self.same(whole, &made(&outputs), &at)
    }

    /// One run with this scratch folder, told to stop when it asks for the `asks`th time: what it made if it ended, and
    /// after which step it said that it continues.
    fn part(&self, folder: &Path, asks: Option<u64>) -> Result<(Option<Outputs>, Option<u64>), String> {
        let mut stage = self.stage.again().scratch(folder, Duration::from_secs(3600));
        if let Some(asks) = asks {
            stage = stage.interrupt_after(asks - 1);
        }
        let recorder = stage.recorder();
        let outputs = match stage.run() {
            Ok(outputs) => Some(outputs),
            Err(error) if error.chain().any(|cause| cause.is::<Interrupted>()) => None,
            Err(error) => return Err(format!("{}: {error:#}", self.name())),
        };
        let continued = recorder.events().iter().find_map(|event| match event {
            Event::Log(_, text) => text.strip_prefix("continues after step ")?.parse().ok(),
            _ => None,
        });
        Ok((outputs, continued))
    }

    fn same(&self, whole: &Made, other: &Made, what: &str) -> Result<(), String> {
        match differing(whole, other) {
            names if names.is_empty() => Ok(()),
            names => Err(format!("{}: {what} made another {}", self.name(), names.join(", "))),
        }
    }
}

/// The names of what two runs made differently, or only one of them made.
pub fn differing(one: &Made, other: &Made) -> Vec<String> {
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    names.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}
