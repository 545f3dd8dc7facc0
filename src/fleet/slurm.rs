//! Pilots as jobs of Slurm: `sbatch`, `squeue`, `scancel`, and nothing of Slurm that sites restrict or that differs between
//! its versions: no accounting, no JSON. One job for each pilot.

use super::batch::{Batch, Seen};
use super::call::{QUESTION, SUBMISSION, call};
use super::script::{Warned, early, script};
use super::{How, JobState, PilotJob, PilotOrder};
use crate::machine::{Machine, PilotType};
use std::collections::HashMap;

/// The form of the queue's list. What may have commas comes last.
const FORM: &str = "%F,%T,%j,%r";

/// The calls of Slurm.
#[derive(Debug)]
pub struct Slurm {
    machine: Machine,
    pilot: PilotType,
    variables: Vec<(String, String)>,
}

impl Slurm {
    /// Pilots of this type.
    pub fn new(machine: &Machine, pilot: &PilotType, variables: Vec<(String, String)>) -> Self {
        Slurm { machine: machine.clone(), pilot: pilot.clone(), variables }
    }

    fn call(&self, words: &[String], input: &str) -> Result<String, String> {
        let limit = if input.is_empty() { QUESTION } else { SUBMISSION };
        Ok(call(&self.machine.via, words, input, limit)?)
    }

    fn queue(&self, names: &[String]) -> Result<HashMap<String, Seen>, String> {
        let words = ["squeue", "-h", "-t", "all", "-n", &names.join(","), "-o", FORM].map(str::to_string);
        Ok(listed(&self.call(&words, "")?))
    }
}

impl Batch for Slurm {
    fn script(&self, order: &PilotOrder) -> Result<String, String> {
        Ok(script(&self.machine, order, &self.variables, Warned::BySlurm))
    }

    fn submit(&mut self, order: &PilotOrder) -> Result<String, String> {
        let words = submission(&self.machine, &self.pilot, order);
        match self.call(&words, &self.script(order)?) {
            Ok(answer) => id(&answer).ok_or_else(|| format!("sbatch gave no job id, but {:?}", answer.trim())),
            Err(error) => {
                // It may have arrived, and only the answer be lost. What was refused stands in the queue too, as a job that failed.
                let arrived = self.queue(&[order.name()]).unwrap_or_default();
                let lives = |seen: &Seen| seen.name == order.name() && !matches!(seen.state, JobState::Ended(_));
                arrived.into_iter().find(|(_, seen)| lives(seen)).map(|(id, _)| id).ok_or(error)
            }
        }
    }

    fn look(&mut self, jobs: &[(PilotJob, String)]) -> Result<HashMap<String, JobState>, String> {
        let names: Vec<String> = jobs.iter().map(|(_, name)| name.clone()).collect();
        let seen = self.queue(&names)?;
        let state = |job: &PilotJob| seen.get(&job.id).map_or(JobState::Ended(How::Itself), |seen| seen.state.clone());
        Ok(jobs.iter().map(|(job, _)| (job.id.clone(), state(job))).collect())
    }

    fn cancel(&mut self, job: &PilotJob) -> Result<(), String> {
        self.call(&["scancel".to_string(), job.id.clone()], "").map(drop)
    }
}

/// The words that submit a pilot; its script goes to their standard input.
fn submission(machine: &Machine, pilot: &PilotType, order: &PilotOrder) -> Vec<String> {
    let seconds = pilot.time.as_secs();
    // Where nodes share no folder, the file is in the folder that the job is started in there.
    let log = if machine.local.is_none() { order.log.display().to_string() } else { format!("{}.log", order.name()) };
    let mut words: Vec<String> = ["sbatch", "--parsable", "--nodes=1", "--ntasks=1", "--requeue", "--open-mode=append"]
        .map(str::to_string)
        .to_vec();
    words.extend([
        format!("--job-name={}", order.name()),
        format!("--cpus-per-task={}", pilot.cpus),
        format!("--mem={}M", pilot.memory_mib()),
        format!("--time={}", seconds.div_ceil(60)),
        format!("--signal=B:USR1@{}", early(seconds)),
        format!("--output={log}"),
    ]);
    words.extend(pilot.options.iter().cloned());
    words
}

/// The number at the start of the answer's last line: sites print words of their own before it, and a cluster's name follows.
fn id(answer: &str) -> Option<String> {
    let line = answer.trim().lines().last()?.trim();
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    let rest = &line[digits.len()..];
    (!digits.is_empty() && (rest.is_empty() || rest.starts_with(';'))).then_some(digits)
}

/// Reads the queue's list.
fn listed(text: &str) -> HashMap<String, Seen> {
    let mut seen = HashMap::new();
    for line in text.lines() {
        let mut fields = line.trim().splitn(4, ',');
        if let (Some(id), Some(word), Some(name)) = (fields.next(), fields.next(), fields.next()) {
            let state = state(word, fields.next().unwrap_or_default());
            seen.insert(id.to_string(), Seen { name: name.to_string(), state });
        }
    }
    seen
}

/// What a state of Slurm means for a pilot.
fn state(word: &str, reason: &str) -> JobState {
    let lost = |why: &str| JobState::Ended(How::Lost(why.to_string()));
    match word {
        "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD" => {
            JobState::Queued(reason.to_string())
        }
        "RUNNING" | "COMPLETING" | "SIGNALING" | "STAGE_OUT" | "RESIZING" | "SUSPENDED" | "STOPPED" => {
            JobState::Running
        }
        "COMPLETED" | "FAILED" => JobState::Ended(How::Itself),
        "TIMEOUT" => lost("its time was up"),
        "OUT_OF_MEMORY" => lost("it was out of memory; raise `memory` of its type"),
        "NODE_FAIL" | "BOOT_FAIL" => lost("its node failed"),
        "PREEMPTED" => lost("it was preempted"),
        "DEADLINE" | "REVOKED" => lost("the batch system took it away"),
        word if word.starts_with("CANCELLED") => JobState::Ended(How::Cancelled),
        _ => JobState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_answer_to_a_submission_has_the_id_in_its_last_line() {
        assert_eq!(id("4711\n").as_deref(), Some("4711"));
        assert_eq!(id("Your project has 12 h left.\n4711;cluster\n").as_deref(), Some("4711"));
        assert_eq!([id("Submitted batch job 4711"), id(""), id("12 h left")], [None, None, None]);
    }

    #[test]
    fn states_of_slurm_are_read() {
        let seen = listed(
            "7,PENDING,ddpipe-r-1,Priority\n8,RUNNING,ddpipe-r-2,None\n9,PENDING,ddpipe-r-3,(ReqNodeNotAvail, UnavailableNodes:n2)\n",
        );
        assert_eq!(seen["7"].state, JobState::Queued("Priority".into()));
        assert_eq!(seen["8"], Seen { name: "ddpipe-r-2".into(), state: JobState::Running });
        assert_eq!(seen["9"].state, JobState::Queued("(ReqNodeNotAvail, UnavailableNodes:n2)".into()));
        assert_eq!(state("CANCELLED by 1001", ""), JobState::Ended(How::Cancelled));
        assert_eq!(state("FAILED", "NonZeroExitCode"), JobState::Ended(How::Itself));
        for word in ["TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "REVOKED"] {
            assert!(matches!(state(word, ""), JobState::Ended(How::Lost(_))), "{word}");
        }
        assert_eq!(state("A_STATE_OF_LATER", ""), JobState::Unknown);
        assert!(listed("").is_empty() && listed("slurm_load_jobs error").is_empty());
    }

    #[test]
    fn a_submission_asks_for_what_the_type_says() {
        let told = "device = \"cuda\"\ncpus = 8\nmemory = \"32GiB\"\ntime = \"8h\"\noptions = [\"--partition=gpu\"]\n";
        let mut machine: Machine = toml::from_str("queue = \"slurm\"\n[pilots]\n").unwrap();
        let pilot = toml::from_str(told).unwrap();
        let words = submission(&machine, &pilot, &PilotOrder::sample());
        let expected = "sbatch --parsable --nodes=1 --ntasks=1 --requeue --open-mode=append --job-name=ddpipe-20261129t1200-x-2 \
                        --cpus-per-task=8 --mem=32768M --time=480 --signal=B:USR1@120 \
                        --output=/lab/p/.ddpipe/runs/20261129T1200-x/pilots/2.log --partition=gpu";
        assert_eq!(words.join(" "), expected);
        machine.local = Some("$TMPDIR/ddpipe".into());
        let words = submission(&machine, &pilot, &PilotOrder::sample());
        assert!(words.contains(&"--output=ddpipe-20261129t1200-x-2.log".to_string()), "{words:?}");
    }
}
