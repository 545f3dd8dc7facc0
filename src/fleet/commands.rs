//! Pilots as jobs of any batch system, by commands of the settings: lists of words with placeholders, no shell.

use super::batch::Batch;
use super::call::{CallError, QUESTION, SUBMISSION, call};
use super::fill::{Filled, fill};
use super::script::{self, Warned, early};
use super::{How, JobState, PilotJob, PilotOrder};
use crate::machine::{IdIn, Machine, PilotType};
use std::collections::{HashMap, HashSet};
use std::fs;

/// A job that so many answers in a row do not have, and none had before, is gone.
const MISSED: usize = 3;

/// The commands of the settings.
#[derive(Debug)]
pub struct Commands {
    machine: Machine,
    pilot: PilotType,
    variables: Vec<(String, String)>,
    run: String,
    /// The pilots by id.
    names: HashMap<String, PilotOrder>,
    /// Those that were in a list once.
    listed: HashSet<String>,
    /// How often the others were not in a list that could be had.
    missed: HashMap<String, usize>,
}

impl Commands {
    /// Pilots of this type.
    pub fn new(machine: &Machine, pilot: &PilotType, variables: Vec<(String, String)>, run: &str) -> Self {
        let (machine, pilot, run) = (machine.clone(), pilot.clone(), run.to_string());
        Commands {
            machine,
            pilot,
            variables,
            run,
            names: HashMap::new(),
            listed: HashSet::new(),
            missed: HashMap::new(),
        }
    }

    /// The values of placeholders.
    fn values<'a>(&'a self, order: &'a PilotOrder, id: Option<&'a str>) -> Filled<'a> {
        Filled { machine: &self.machine, pilot: &self.pilot, order, variables: &self.variables, id }
    }

    /// The words of a command with everything filled in; the type's options stand for the word `{options}`.
    pub fn words(&self, command: &[String], order: &PilotOrder, id: Option<&str>) -> Result<Vec<String>, String> {
        let mut words = Vec::with_capacity(command.len());
        for word in command {
            match word.as_str() {
                "{options}" => words.extend(self.pilot.options.iter().cloned()),
                word => words.push(fill(word, &self.values(order, id))?),
            }
        }
        Ok(words)
    }

    /// The order of a pilot, or what is known of one that another command started.
    fn order(&self, job: &PilotJob) -> PilotOrder {
        self.names.get(&job.id).cloned().unwrap_or_else(|| PilotOrder::named(job.number, &self.run))
    }

    fn call(&self, command: Option<&Vec<String>>, order: &PilotOrder, id: Option<&str>) -> Result<String, CallError> {
        let words = self.words(command.map_or(&[][..], Vec::as_slice), order, id)?;
        call(&self.machine.via, &words, "", if id.is_none() { SUBMISSION } else { QUESTION })
    }
}

impl Batch for Commands {
    fn script(&self, order: &PilotOrder) -> Result<String, String> {
        let seconds = self.pilot.time.as_secs();
        Ok(script::script(&self.machine, order, &self.variables, Warned::After(seconds - early(seconds))))
    }

    fn submit(&mut self, order: &PilotOrder) -> Result<String, String> {
        if let Some(template) = &self.machine.template {
            let failed =
                |what: &str, error: std::io::Error| format!("could not {what} {}: {error}", template.display());
            let text = fs::read_to_string(template).map_err(|error| failed("read", error))?;
            let text =
                fill(&text, &self.values(order, None)).map_err(|error| format!("{}: {error}", template.display()))?;
            fs::write(order.template_file(), text).map_err(|error| failed("fill in", error))?;
        }
        let answer = self.call(self.machine.submit.as_ref(), order, None)?;
        let id = id(self.machine.id, &answer, &order.name());
        let id = id.ok_or_else(|| {
            format!(
                "its answer has no id: {:?}; if it has started a job, that one goes on and nobody counts on it",
                answer.trim()
            )
        })?;
        self.names.insert(id.clone(), order.clone());
        Ok(id)
    }

    fn look(&mut self, jobs: &[(PilotJob, String)]) -> Result<HashMap<String, JobState>, String> {
        let mut states = HashMap::new();
        for (job, _) in jobs {
            let order = self.order(job);
            // One that is asked about after it is forgotten is an error for many: then the pilot's own word counts.
            let state = match self.call(self.machine.status.as_ref(), &order, Some(&job.id)) {
                Ok(answer) => match state(&self.machine, &answer, &job.id) {
                    // Some forget a job as soon as it is over, and list a new one late.
                    JobState::Unknown => {
                        let missed = self.missed.entry(job.id.clone()).or_default();
                        *missed += 1;
                        let is_gone = self.listed.contains(&job.id) || *missed >= MISSED;
                        if is_gone { JobState::Ended(How::Itself) } else { JobState::Unknown }
                    }
                    state => {
                        if matches!(state, JobState::Ended(How::Lost(_))) {
                            // It may stay in the list until somebody cancels it.
                            let _ = self.cancel(job);
                        }
                        state
                    }
                },
                // The questions about the others would hang likewise.
                Err(error) if error.hung => return Err(error.into()),
                Err(error) => {
                    tracing::info!(%error, "pilot {} is not known", job.number);
                    JobState::Unknown
                }
            };
            if !matches!(state, JobState::Unknown) {
                self.listed.insert(job.id.clone());
            }
            states.insert(job.id.clone(), state);
        }
        Ok(states)
    }

    fn cancel(&mut self, job: &PilotJob) -> Result<(), String> {
        self.call(self.machine.cancel.as_ref(), &self.order(job), Some(&job.id)).map(drop).map_err(Into::into)
    }
}

/// The id in the answer to a submission.
fn id(place: IdIn, answer: &str, name: &str) -> Option<String> {
    let line = answer.trim().lines().last().unwrap_or_default().trim();
    let id = match place {
        IdIn::Whole => line,
        IdIn::FirstWord => line.split_whitespace().next().unwrap_or_default(),
        IdIn::LastWord => line.split_whitespace().last().unwrap_or_default(),
        IdIn::FirstNumber => {
            line.split(|letter: char| !letter.is_ascii_digit()).find(|digits| !digits.is_empty()).unwrap_or_default()
        }
        IdIn::Name => name,
    };
    Some(id.to_string()).filter(|id| !id.is_empty())
}

/// The state of a job: the first word that the settings name, in a line that has the id; or that in the column that they name.
fn state(machine: &Machine, answer: &str, id: &str) -> JobState {
    let (states, column) = (&machine.states, machine.column);
    for line in answer.lines().filter(|line| has(line, id)) {
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let line =
            column.map_or(line, |column| line.split_whitespace().nth(column.saturating_sub(1)).unwrap_or_default());
        for word in line.split(|letter: char| !word(letter)) {
            let is_in = |words: &Vec<String>| words.iter().any(|known| known == word);
            if is_in(&states.failed) {
                return JobState::Ended(How::Lost(format!("the batch system says {word}")));
            }
            if is_in(&states.queued) {
                return JobState::Queued(word.to_string());
            }
            if is_in(&states.running) {
                return JobState::Running;
            }
            if is_in(&states.ended) {
                return JobState::Ended(How::Itself);
            }
        }
    }
    JobState::Unknown
}

/// Whether a line has an id that is not a part of a longer word; what is named after it, with a hyphen behind, counts. A number
/// has to be the first word: dates and counts have numbers too.
fn has(line: &str, id: &str) -> bool {
    if id.chars().all(|letter| letter.is_ascii_digit()) {
        let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        return words.next() == Some(id);
    }
    let inside = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    line.match_indices(id).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + id.len()..].chars().next());
        !before.is_some_and(inside) && !after.is_some_and(|letter| letter.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::machine::States;

    #[test]
    fn ids_are_found_where_the_settings_say() {
        let found = |place, answer| id(place, answer, "ddpipe-x-1").unwrap_or_default();
        assert_eq!(found(IdIn::FirstWord, "1234.pbs01\n"), "1234.pbs01");
        assert_eq!(found(IdIn::FirstNumber, "Job <1234> is submitted to queue <gpu>."), "1234");
        assert_eq!(found(IdIn::FirstNumber, "Your job 17 (\"ddpipe-x-1\") has been submitted"), "17");
        assert_eq!(found(IdIn::LastWord, "hello\nJob submitted successfully, job ID: 5"), "5");
        assert_eq!(found(IdIn::Whole, " f3aBc \n"), "f3aBc");
        assert_eq!(found(IdIn::Name, "job.batch/x created"), "ddpipe-x-1");
        assert_eq!(id(IdIn::FirstNumber, "refused", ""), None);
    }

    #[test]
    fn a_column_of_the_answer_says_the_state_and_failed_jobs_are_lost() {
        let text = "queue = \"commands\"\ncolumn = 5\nstates = { queued = [\"qw\"], running = [\"r\"], failed = [\"Eqw\"] }\n[pilots]\n";
        let machine: Machine = toml::from_str(text).unwrap();
        let seen = |answer| state(&machine, answer, "29");
        assert_eq!(
            seen("     29 0.5 ddpipe-202 r            qw    11/29/2026 15:48:16"),
            JobState::Queued("qw".into())
        );
        assert_eq!(seen("     29 0.5 ddpipe-202 ada          r     11/29/2026 15:48:16 all.q@vm 1"), JobState::Running);
        let lost = JobState::Ended(How::Lost("the batch system says Eqw".into()));
        assert_eq!(seen("     29 0.5 ddpipe-202 ada          Eqw   11/29/2026"), lost);
    }

    #[test]
    fn a_state_is_the_first_known_word_in_a_line_with_the_id() {
        let words = |text: &str| text.split(' ').map(str::to_string).collect();
        let states = States { queued: words("Q H"), running: words("R E"), ended: words("F"), failed: Vec::new() };
        let mut machine: Machine = toml::from_str("queue = \"commands\"\n[pilots]\n").unwrap();
        machine.states = states;
        let seen = |answer| state(&machine, answer, "17.pbs");
        assert_eq!(seen("Job id  Name  S Queue\n16.pbs x R q\n17.pbs x Q q\n"), JobState::Queued("Q".into()));
        assert_eq!(seen("17.pbs  ddpipe  ada 00:00:10 R gpu"), JobState::Running);
        assert_eq!(seen("17.pbs  ddpipe  ada 00:00:10 F gpu"), JobState::Ended(How::Itself));
        assert!(has("| 1 | ddpipe-x-2 | RUNNING |", "1") && !has("| 2 | ddpipe-x-1 | RUNNING |", "1"));
        assert!(!has("  30 0.5 ddpipe-x-2 ada r 11/29/2026 15:29:16", "29") && has(" 29 0.5 ddpipe ada r", "29"));
        assert!(has("ddpipe-x-1-k2x9d  1/1  Running", "ddpipe-x-1") && !has("ddpipe-x-12-k2x9d", "ddpipe-x-1"));
        assert_eq!(
            [seen(""), seen("16.pbs x R q"), seen("17.pbs x Z q")],
            [JobState::Unknown, JobState::Unknown, JobState::Unknown]
        );
    }
}
