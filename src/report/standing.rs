//! What became of a node, in the few words that a report has for it. Colour never says it alone: each has a word and a sign.

use crate::event::Status;

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// It failed.
    Failed,
    /// It was stopped.
    Interrupted,
    /// It could not run because of another node.
    Skipped,
    /// It is at work.
    AtWork,
    /// It has not been reached.
    Waiting,
    /// It ran in this run.
    Ran,
    /// It was on record.
    OnRecord,
    /// It needs a file of an optional source that is not there.
    LeftOut,
    /// It is not on record, and no run is reported on.
    NotOnRecord,
    /// Nobody asked for it.
    NotSelected,
}

impl Standing {
    /// All, those that a reader must see first at the front.
    pub const ALL: [Standing; 10] = [
        Standing::Failed,
        Standing::Interrupted,
        Standing::Skipped,
        Standing::AtWork,
        Standing::Waiting,
        Standing::Ran,
        Standing::OnRecord,
        Standing::LeftOut,
        Standing::NotOnRecord,
        Standing::NotSelected,
    ];

    /// That of a node that has its outcome.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Ran => Standing::Ran,
            Status::Fresh => Standing::OnRecord,
            Status::Failed => Standing::Failed,
            Status::Interrupted => Standing::Interrupted,
            Status::Skipped => Standing::Skipped,
            Status::LeftOut => Standing::LeftOut,
        }
    }

    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Failed => "failed",
            Standing::Interrupted => "interrupted",
            Standing::Skipped => "skipped",
            Standing::AtWork => "at work",
            Standing::Waiting => "waiting",
            Standing::Ran => "ran",
            Standing::OnRecord => "on record",
            Standing::LeftOut => "left out",
            Standing::NotOnRecord => "not on record",
            Standing::NotSelected => "not selected",
        }
    }

    /// The class of its colours.
    pub fn class(self) -> &'static str {
        match self {
            Standing::Failed => "failed",
            Standing::Interrupted => "interrupted",
            Standing::Skipped => "skipped",
            Standing::AtWork | Standing::Waiting => "work",
            Standing::Ran => "ran",
            Standing::OnRecord => "record",
            Standing::LeftOut | Standing::NotOnRecord | Standing::NotSelected => "none",
        }
    }

    /// A sign that tells it apart without colours.
    pub fn sign(self) -> &'static str {
        match self {
            Standing::Failed => "✕",
            Standing::Interrupted => "‖",
            Standing::Skipped => "–",
            Standing::AtWork => "▸",
            Standing::Waiting => "…",
            Standing::Ran => "✓",
            Standing::OnRecord => "=",
            Standing::LeftOut | Standing::NotOnRecord | Standing::NotSelected => "○",
        }
    }
}
