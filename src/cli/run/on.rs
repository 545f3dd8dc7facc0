//! The machine that `--on` names, and which pilots a run has there, and how many. Knows no queue's words and starts nothing.

use super::Args;
use crate::cli::remote::RemoteArgs;
use crate::estimate::Estimate;
use crate::exit::Fault;
use crate::fleet::size::{self, Work};
use crate::fleet::{self, Queue};
use crate::graph::Graph;
use crate::machine::{Device, HERE, Machine, PilotType};
use crate::pipeline::{NodeId, Pipeline};
use crate::program::on_path;
use crate::slots::Slots;
use indexmap::IndexMap;
use std::path::Path;

/// Variables of this command that pilots get too.
const HANDED_ON: [&str; 4] = ["DDPIPE_WORKER", "DDPIPE_HEARTBEAT_SECONDS", "DDPIPE_CHECKPOINT_SECONDS", "DDPIPE_LOG"];

/// A machine of the settings, with the type of pilots that is meant.
#[derive(Clone, Debug)]
pub struct On {
    /// Its name.
    pub name: String,
    /// What the settings say of it.
    pub machine: Machine,
    /// What a pilot gets there, of the type that is meant or, until it is known how much memory is needed, of the smallest.
    pub pilot: PilotType,
    /// The types that may be taken, the one with the least memory first.
    types: Vec<(String, PilotType)>,
}

impl On {
    /// The machine of this name, `slurm` or `slurm:gpu`; none for this one.
    ///
    /// # Errors
    /// The settings have none of this name, or cannot be read.
    pub fn find(named: &str, settings: &RemoteArgs) -> Result<Option<Self>, Fault> {
        if named == HERE {
            return Ok(None);
        }
        let (name, pilot) = named.split_once(':').map_or((named, None), |(name, pilot)| (name, Some(pilot)));
        let mut machines = settings.config()?.machines;
        let known = machines.keys().cloned().collect::<Vec<_>>().join(", ");
        let machine = machines.swap_remove(name).ok_or_else(|| {
            let known = if known.is_empty() { String::new() } else { format!("; there are {known}") };
            Fault::usage(format!(
                "--on {named}: the settings have no [machines.{name}]{known}\n  docs/machines.md has one for each batch system; \
                 it goes into ~/.config/ddpipe/config.toml"
            ))
        })?;
        let types = machine.pilot_types(pilot);
        let types = types.map_err(|why| Fault::usage(format!("--on {named}: machines.{name} has {why}")))?;
        let Some((_, pilot)) = types.first().cloned() else { return Ok(None) };
        let is_there = |program: &&str| Path::new(program).is_file() || on_path(program).is_some();
        if let Some(missing) = machine.programs().into_iter().find(|program| !is_there(program)) {
            return Err(Fault::usage(format!(
                "--on {named}: there is no program {missing} here, which machines.{name} needs\n  call ddpipe where its programs are, \
                 or name the way there, as in `via = [\"ssh\", \"login.cluster\"]`"
            )));
        }
        Ok(Some(On { name: name.to_string(), machine, pilot, types }))
    }

    /// With the smallest type of pilots that has the memory which is expected to be needed; the largest where none has it for as
    /// many stages as run at once.
    ///
    /// # Errors
    /// A single stage is expected to need more than that.
    pub fn fit(&self, pipeline: &Pipeline, guesses: &[(NodeId, Option<Estimate>)]) -> Result<Self, Fault> {
        if self.pilot.device != Device::Cpu {
            return Ok(self.clone());
        }
        let memory = |guess: &Option<Estimate>| guess.as_ref().and_then(|guess| guess.memory);
        let stages: Vec<u64> = guesses.iter().map(|(_, guess)| memory(guess).unwrap_or(size::UNKNOWN_MEMORY)).collect();
        let has_room = |(_, pilot): &&(String, PilotType)| size::memory(&stages, pilot.slots) <= pilot.memory;
        let Some((name, pilot)) = self.types.iter().find(has_room).or(self.types.last()) else {
            return Ok(self.clone());
        };
        let known = guesses.iter().filter_map(|(node, guess)| Some((memory(guess)?, *node)));
        if let Some((most, node)) = known.max().filter(|(most, _)| size::memory(&[*most], 1) > pilot.memory) {
            let (node, machine) = (pipeline.node(node).address(), &self.name);
            let (most, has) = (crate::size::show(most), crate::size::show(pilot.memory));
            return Err(Fault::usage(format!(
                "--on {machine}: {node} is expected to take {most}, by earlier results, and a pilot of {machine}:{name} has {has}, of which \
                 a fifth is kept free\n  raise `memory` of [machines.{machine}.pilots.{name}], or add a type with more"
            )));
        }
        Ok(On { pilot: pilot.clone(), types: vec![(name.clone(), pilot.clone())], ..self.clone() })
    }

    /// The machine and the type of its pilots: `slurm:gpu`.
    pub fn address(&self) -> String {
        self.types.first().map_or(self.name.clone(), |(name, _)| format!("{}:{name}", self.name))
    }

    /// What starts the pilots of a run there, with the folder of their logs.
    pub fn queue(&self, run: &str, logs: &Path) -> Box<dyn Queue> {
        let handed_on = HANDED_ON.iter().filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?)));
        let own = self.machine.env.iter().map(|(name, value)| (name.clone(), value.clone()));
        fleet::queue(&self.name, &self.machine, &self.pilot, handed_on.chain(own).collect(), run, logs)
    }

    /// How many pilots work of this size wants.
    pub fn pilots(&self, work: Work, asked: Option<usize>, within: Option<std::time::Duration>) -> usize {
        let most = self.machine.max_pilots;
        let wanted =
            asked.unwrap_or_else(|| size::pilots(work, self.pilot.slots, most, within.unwrap_or(size::WITHIN)));
        wanted.min(most)
    }
}

/// What has to be computed, by what is expected of each node.
pub fn work(graph: &Graph, expected: &IndexMap<NodeId, Option<f64>>) -> Work {
    let mut known: Vec<f64> = expected.values().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let middle = known.get(known.len() / 2).copied().unwrap_or(size::UNKNOWN);
    let seconds = |node: NodeId| expected.get(&node).map_or(0.0, |seconds| seconds.unwrap_or(middle));
    let longest = graph.longest_path(seconds).into_iter().fold(0.0, f64::max);
    Work { nodes: expected.len(), seconds: expected.keys().map(|node| seconds(*node)).sum(), longest }
}

/// The slots of each pilot of a run.
pub fn shares(on: Option<&On>, args: &Args, slots: &Slots, work: Work) -> Vec<Slots> {
    let asked = args.pilots.map(usize::from);
    match on {
        Some(on) => vec![on.pilot.slots(); on.pilots(work, asked, args.within)],
        None => fleet::share(slots, asked.unwrap_or(slots.names.len())),
    }
}
