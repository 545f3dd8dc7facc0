//! A machine as the settings name it: what starts pilots there, and what each of them gets. Knows no run.

use crate::size;
use crate::slots::Slots;
use ddpipe_interface::Value;
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The machine that needs no settings: this one.
pub const HERE: &str = "here";
/// The programs of Slurm that are called.
const SLURM: [&str; 3] = ["sbatch", "squeue", "scancel"];

/// What `[machines.NAME]` says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// What starts its pilots.
    pub queue: QueueKind,
    /// The program as the nodes see it, with `ddpipe-worker` beside it. This one, where nothing is said.
    pub ddpipe: Option<PathBuf>,
    /// Lines of `sh` before the pilot.
    #[serde(default)]
    pub setup: Vec<String>,
    /// Words before the program: a container.
    #[serde(default)]
    pub wrap: Vec<String>,
    /// Variables of the pilots.
    #[serde(default)]
    pub env: IndexMap<String, String>,
    /// Nodes share no folder with this machine: the folder of a node for what it gets from the remote and for its cache, with
    /// variables of the node.
    pub local: Option<String>,
    /// Words before the programs of the batch system: `ssh` and a host.
    #[serde(default)]
    pub via: Vec<String>,
    /// More pilots are never started.
    #[serde(default = "sixteen")]
    pub max_pilots: usize,
    /// The types of pilots.
    pub pilots: IndexMap<String, PilotType>,
    /// How a pilot is submitted; of `commands` alone, as what follows.
    pub submit: Option<Vec<String>>,
    /// What the answer says of its id.
    #[serde(default)]
    pub id: IdIn,
    /// How its state is asked for.
    pub status: Option<Vec<String>>,
    /// Which word of a line of the answer is the state, from 1 on; the first that `states` names, where nothing is said.
    pub column: Option<usize>,
    /// The words of the answer.
    #[serde(default)]
    pub states: States,
    /// How it is ended.
    pub cancel: Option<Vec<String>>,
    /// A file that is submitted with its placeholders filled in, as `{template}`.
    pub template: Option<PathBuf>,
}

/// What starts pilots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueKind {
    /// Slurm.
    Slurm,
    /// Any other batch system, by its commands.
    Commands,
}

/// Where the answer to a submission has the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdIn {
    /// The last line as a whole.
    Whole,
    /// Its first word.
    FirstWord,
    /// Its last word.
    LastWord,
    /// The first number in it.
    #[default]
    FirstNumber,
    /// Not at all: it is the job's name.
    Name,
}

/// The words that say what a job does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct States {
    /// It waits.
    #[serde(default)]
    pub queued: Vec<String>,
    /// It runs.
    #[serde(default)]
    pub running: Vec<String>,
    /// It is over.
    #[serde(default)]
    pub ended: Vec<String>,
    /// It cannot run, or did not run well; it is cancelled then.
    #[serde(default)]
    pub failed: Vec<String>,
}

/// What one pilot gets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PilotType {
    /// What it computes on.
    #[serde(default)]
    pub device: Device,
    /// Stages at once: GPUs, or parts of the cores.
    #[serde(default = "one")]
    pub slots: usize,
    /// Cores.
    #[serde(default = "one")]
    pub cpus: usize,
    /// GPUs; one for each slot where nothing is said, none on a CPU.
    pub gpus: Option<usize>,
    /// Memory in bytes.
    #[serde(deserialize_with = "bytes")]
    pub memory: u64,
    /// For so long.
    #[serde(deserialize_with = "duration")]
    pub time: Duration,
    /// Further words for the submission.
    #[serde(default)]
    pub options: Vec<String>,
}

/// What a pilot computes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// GPUs.
    #[default]
    Cuda,
    /// The processor.
    Cpu,
}

impl Machine {
    /// The types of pilots that a run may have, with their names: the one of this name; else all, the one with the least memory
    /// first.
    ///
    /// # Errors
    /// There is none of this name, or none is named of several between which memory does not decide; with those that there are.
    pub fn pilot_types(&self, named: Option<&str>) -> Result<Vec<(String, PilotType)>, String> {
        let names = || self.pilots.keys().cloned().collect::<Vec<_>>().join(", ");
        if let Some(name) = named {
            let one = self.pilots.get(name).map(|pilot| vec![(name.to_string(), pilot.clone())]);
            return one.ok_or_else(|| format!("no type of pilots {name}; it has {}", names()));
        }
        if self.pilots.is_empty() {
            return Err("no type of pilots; one is `gpu = { cpus = 8, memory = \"32GiB\", time = \"8h\" }`".into());
        }
        // What stages are known to take on a GPU is its memory, and not that of the pilot.
        if self.pilots.len() > 1 && self.pilots.values().any(|pilot| pilot.device == Device::Cuda) {
            return Err(format!("several types of pilots, {}; name one of them behind a colon", names()));
        }
        let mut types: Vec<(String, PilotType)> =
            self.pilots.iter().map(|(name, pilot)| (name.clone(), pilot.clone())).collect();
        types.sort_by_key(|(_, pilot)| pilot.memory);
        Ok(types)
    }

    /// What the settings lack or have too much, in words.
    pub fn fault(&self) -> Option<String> {
        if let Some(local) = self.local.as_ref().filter(|local| !local.starts_with(['/', '$'])) {
            return Some(format!(
                "local = {local:?} is no absolute path of a node, and does not begin with a variable of it"
            ));
        }
        if self.column == Some(0) {
            return Some("column = 0: words of a line are counted from 1 on".into());
        }
        if self.max_pilots == 0 {
            return Some("max_pilots = 0 leaves no pilot".into());
        }
        let of_commands =
            [("submit", self.submit.is_some()), ("status", self.status.is_some()), ("cancel", self.cancel.is_some())];
        match self.queue {
            QueueKind::Commands => {
                let missing = of_commands.iter().find(|(_, is_set)| !is_set).map(|(name, _)| name);
                missing.map(|name| format!("queue = \"commands\" needs `{name}`, a list of words"))
            }
            QueueKind::Slurm => {
                let set = of_commands.iter().find(|(_, is_set)| *is_set).map(|(name, _)| name);
                set.map(|name| format!("`{name}` is for queue = \"commands\""))
            }
        }
    }
}

impl Machine {
    /// The programs of this machine that calls begin with; those that a settings' word names are known later.
    pub fn programs(&self) -> Vec<&str> {
        if let Some(way) = self.via.first() {
            return vec![way];
        }
        let of_commands = [&self.submit, &self.status, &self.cancel];
        let named = of_commands.into_iter().flatten().filter_map(|words| words.first()).map(String::as_str);
        match self.queue {
            QueueKind::Slurm => SLURM.to_vec(),
            QueueKind::Commands => named.filter(|word| !word.contains('{')).collect(),
        }
    }

    /// A template is named from the file of settings on.
    pub fn is_told_in(&mut self, settings: &Path) {
        if let (Some(template), Some(folder)) = (&mut self.template, settings.parent()) {
            *template = folder.join(&template);
        }
    }
}

impl PilotType {
    /// The slots of one pilot.
    pub fn slots(&self) -> Slots {
        let device = match self.device {
            Device::Cuda => "cuda",
            Device::Cpu => "cpu",
        };
        let slots = self.slots.max(1);
        Slots { names: vec![device.into(); slots], threads: (self.cpus / slots).max(1), for_small: false }
    }

    /// GPUs of one pilot.
    pub fn gpus(&self) -> usize {
        self.gpus.unwrap_or(if self.device == Device::Cuda { self.slots.max(1) } else { 0 })
    }

    /// The memory in MiB, of which batch systems take whole ones.
    pub fn memory_mib(&self) -> u64 {
        self.memory.div_ceil(1 << 20)
    }

    /// In words: `1 GPU, 8 CPUs, 32.0 GiB, 8 h`.
    pub fn words(&self) -> String {
        let gpus = match self.gpus() {
            0 => String::new(),
            1 => "1 GPU, ".into(),
            gpus => format!("{gpus} GPUs, "),
        };
        let cpus = if self.cpus == 1 { "1 CPU".to_string() } else { format!("{} CPUs", self.cpus) };
        format!("{gpus}{cpus}, {}, {:.1} h", size::show(self.memory), self.time.as_secs_f64() / 3600.0)
    }
}

fn one() -> usize {
    1
}

fn sixteen() -> usize {
    16
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    size::parse(&text(from)?).map_err(D::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    crate::limits::parse_duration(&text(from)?).map_err(D::Error::custom)
}

/// A text, or a number as one.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}
