//! What every command that names a manifest needs: the manifest's pipeline, its graph, and the cache it uses.

use super::complete;
use super::place::CacheArgs;
use super::remote::RemoteArgs;
use crate::catalog::Catalog;
use crate::command;
use crate::diagnostic::Report;
use crate::estimate::{Estimate, Estimates};
use crate::exit::Fault;
use crate::graph::Graph;
use crate::load::load;
use crate::manifest::Overrides;
use crate::numerics;
use crate::pipeline::{NodeId, NumericsMode, Pipeline};
use crate::place;
use crate::plan::{Choice, Plan, Planner, Verdict};
use crate::program::Program;
use crate::selection::{self, Pick};
use crate::selector::Selector;
use crate::slots::{self, Slots};
use crate::sources::{self, Sources};
use crate::started::Started;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use ddpipe_cache::Cache;
use ddpipe_cache::shared::Patience;
use std::ffi::OsString;
use std::path::PathBuf;

/// Records that are read to tell how long nodes will take.
const RECENT: usize = 1000;

/// The arguments that choose and adjust a manifest.
#[derive(Clone, Debug, clap::Args)]
pub struct ManifestArgs {
    /// The manifest
    #[arg(required_unless_present = "from_run", add = ArgValueCompleter::new(complete::manifests()))]
    pub manifest: Option<PathBuf>,
    /// Take the manifest's files, profiles, overrides and selection as they were in this run (`ddpipe runs` lists them; the
    /// cache is `--cache`, or the nearest .ddpipe from this folder upwards)
    #[arg(long, value_name = "ID", conflicts_with_all = ["profile", "set", "select"])]
    #[arg(add = ArgValueCandidates::new(complete::runs))]
    pub from_run: Option<String>,
    #[command(flatten)]
    pub over: OverArgs,
    /// The cache's folder [default: .ddpipe in the project's folder]
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE")]
    pub cache: Option<PathBuf>,
    /// A second cache, which is only read: what the first lacks is copied from it
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE_FROM")]
    pub cache_from: Option<PathBuf>,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub picks: PickArgs,
    /// Whether libraries, instruction set, threads and device enter the keys [default: as the manifest says]
    #[arg(long, value_name = "MODE")]
    pub numerics: Option<NumericsMode>,
}

/// The arguments that lay something over a manifest.
#[derive(Clone, Debug, clap::Args)]
pub struct OverArgs {
    /// Apply this profile of the manifest; several in order
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(complete::profiles))]
    pub profile: Vec<String>,
    /// Set a var, param or source field: vars.ipc=50, stages.distill.params.iterations=5
    #[arg(long, value_name = "PATH=VALUE", add = ArgValueCandidates::new(complete::sets))]
    pub set: Vec<String>,
    /// Let sources be downloaded to any folder that the manifest names; DDPIPE_DATA=DIR allows that folder alone
    #[arg(long)]
    pub allow_outside: bool,
}

/// The arguments that choose nodes.
#[derive(Clone, Debug, clap::Args)]
pub struct PickArgs {
    /// Only these nodes and what they need: evaluate[method=dm], report_*; distill+ with all that comes after it; !pictures
    /// leaves nodes out, and what reads them
    #[arg(long, value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
    pub select: Vec<String>,
    /// Run these nodes even if they are on record; named as for --select
    #[arg(long, value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
    pub force: Vec<String>,
}

/// The arguments of the commands that look at a plan and run nothing.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Plan for this device: auto, cpu, cuda, cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "DDPIPE_DEVICE")]
    device: String,
}

/// What a run would do now.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Per node, whether it is selected or needed by one that is.
    pub needed: Vec<bool>,
    /// The files from outside.
    pub sources: Sources,
}

impl PlanArgs {
    /// The node that is asked about, the second argument; with `--from-run` it is the first one.
    pub fn node(&mut self, second: Option<String>) -> Result<String, Fault> {
        let node = self.manifest.node(second);
        node.ok_or_else(|| Fault::usage("name a node behind the manifest\n  `ddpipe graph MANIFEST` lists the nodes"))
    }

    /// The arguments that name settings.
    pub fn settings(&self) -> &RemoteArgs {
        &self.manifest.remote
    }

    /// As [`PlanArgs::open`], for slots of another machine.
    pub fn open_on(&self, slots: &Slots) -> Result<Project, Fault> {
        self.manifest.open(slots)
    }

    /// Loads the manifest and opens its cache.
    pub fn open(&self) -> Result<Project, Fault> {
        let slots = slots::find(&self.device, None, None)?;
        if let Err(fault) = slots.check_devices() {
            // A plan for another machine is a plan.
            crate::note::say(format_args!("warning: {fault}"));
        }
        self.manifest.open(&slots)
    }
}

/// A loaded manifest with its graph and its cache.
pub struct Project {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its graph.
    pub graph: Graph,
    /// The cache that results are kept in.
    pub cache: Cache,
    /// The selected and the forced nodes, and the device's class.
    pub choice: Choice,
    /// What was asked for.
    pub invocation: Invocation,
}

/// What decides which pipeline a command works on.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The manifest.
    pub manifest: PathBuf,
    /// What is laid over it.
    pub overrides: Overrides,
    /// Selectors as written.
    pub select: Vec<String>,
}

/// A loaded manifest with its graph and the nodes that are chosen of it.
pub struct Loaded {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its graph.
    pub graph: Graph,
    /// `--select`.
    pub select: Vec<Pick>,
    /// `--force`.
    pub force: Vec<Pick>,
}

impl Loaded {
    /// Per node, whether it is selected or may be needed by one that is.
    pub fn needed(&self) -> Vec<bool> {
        self.graph.reached_by(selection::selected(&self.pipeline, &self.graph, &self.select))
    }
}

impl Invocation {
    /// The command that runs it, as one could type it.
    pub fn command(&self) -> String {
        self.command_with(&self.select)
    }

    /// As [`Invocation::command`], of these nodes.
    pub fn command_with(&self, select: &[String]) -> String {
        let mut words = vec!["ddpipe".to_string(), "run".to_string(), self.manifest.display().to_string()];
        words.extend(self.overrides.profile.iter().flat_map(|name| ["--profile".to_string(), name.clone()]));
        let sets = self.overrides.sets.iter();
        words.extend(sets.flat_map(|(path, value)| ["--set".to_string(), format!("{path}={value}")]));
        words.extend(select.iter().flat_map(|node| ["--select".to_string(), node.clone()]));
        command::line(&words)
    }

    /// Loads the manifest and reads the selection.
    pub fn load(&self, force: &[String]) -> Result<Loaded, Fault> {
        let pipeline = load(&self.manifest, &self.overrides, Catalog::built_in()?)?;
        let graph = Graph::link(&pipeline);
        let picks = |texts, what| selection::picks(&pipeline, &graph, texts, what).map_err(Fault::usage);
        let (select, force) = (picks(&self.select, "--select")?, picks(force, "--force")?);
        Ok(Loaded { pipeline, graph, select, force })
    }

    /// What was loaded, to work with this cache on these slots.
    pub fn open(
        self,
        loaded: Loaded,
        cache: Cache,
        numerics: Option<NumericsMode>,
        slots: &Slots,
    ) -> Result<Project, Fault> {
        let Loaded { pipeline, graph, select, force } = loaded;
        let numerics = match numerics.unwrap_or(pipeline.numerics) {
            NumericsMode::Strict => Some(numerics::of(slots)?),
            NumericsMode::Loose => None,
        };
        let choice = Choice { select, force, device: slots.class().to_string(), numerics, threads: slots.threads };
        Ok(Project { pipeline, graph, cache, choice, invocation: self })
    }
}

impl OverArgs {
    /// What is laid over a manifest by the command line and the environment.
    pub fn overrides(&self) -> Result<Overrides, Fault> {
        let sets: Result<Vec<(String, String)>, Fault> = self.set.iter().map(|text| split_set(text)).collect();
        let of_ours = |name: &str| name.starts_with("DDPIPE_VAR_") || name == "DDPIPE_DATA";
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let env = std::env::vars_os().filter_map(text).filter(|(name, _)| of_ours(name)).collect();
        let (profile, allow_outside) = (self.profile.clone(), self.allow_outside);
        Ok(Overrides { profile, sets: sets?, env, allow_outside, ..Overrides::default() })
    }
}

impl ManifestArgs {
    /// The second argument, where there is one; with `--from-run`, which names the manifest, it is the first one.
    pub fn node(&mut self, second: Option<String>) -> Option<String> {
        if second.is_some() || self.from_run.is_none() {
            return second;
        }
        self.manifest.take().and_then(|first| first.into_os_string().into_string().ok())
    }

    /// Loads the manifest alone.
    pub fn load(&self) -> Result<Loaded, Fault> {
        self.invocation()?.load(&self.picks.force)
    }

    /// What is wrong with the manifest, place by place, for programs: a [`Fault`] has the text alone.
    pub fn faults(&self) -> Report {
        let loaded = |Invocation { manifest, overrides, .. }: Invocation| {
            Catalog::built_in().and_then(|catalog| load(&manifest, &overrides, catalog)).err()
        };
        self.invocation().ok().and_then(loaded).unwrap_or_default()
    }

    /// What is asked for: by the command line and the environment, or as in an earlier run.
    pub fn invocation(&self) -> Result<Invocation, Fault> {
        if let Some(id) = &self.from_run {
            if let Some(manifest) = &self.manifest {
                let manifest = manifest.display();
                return Err(Fault::usage(format!(
                    "--from-run {id} says which manifest; {manifest} cannot be named too"
                )));
            }
            let cache = CacheArgs::named(self.cache.clone()).open()?;
            let started = Started::read(&cache, id)?;
            if !self.over.allow_outside {
                started.check_project(&cache)?;
            }
            let overrides = started.overrides(self.over.allow_outside);
            return Ok(Invocation { manifest: started.manifest, overrides, select: started.select });
        }
        let manifest =
            self.manifest.clone().ok_or_else(|| Fault::usage("name a manifest, or a run with --from-run"))?;
        Ok(Invocation { manifest, overrides: self.over.overrides()?, select: self.picks.select.clone() })
    }

    /// Loads the manifest and opens its cache, to work on these slots.
    pub fn open(&self, slots: &Slots) -> Result<Project, Fault> {
        self.open_as(self.invocation()?, slots)
    }

    /// As [`ManifestArgs::open`], for what is asked for in another way than by these arguments alone.
    pub fn open_as(&self, invocation: Invocation, slots: &Slots) -> Result<Project, Fault> {
        let loaded = invocation.load(&self.picks.force)?;
        let root = self.cache.clone().unwrap_or_else(|| loaded.pipeline.root.join(place::FOLDER));
        let remote = self.remote.open(Patience::default())?;
        let cache = Cache::open_sharing(&root, self.cache_from.as_deref(), remote)?;
        invocation.open(loaded, cache, self.numerics, slots)
    }
}

impl Project {
    /// Per node, whether it is selected or needed by one that is.
    pub fn needed(&self) -> Vec<bool> {
        self.graph.reached_by(selection::selected(&self.pipeline, &self.graph, &self.choice.select))
    }

    /// Plans a run as things stand, changing nothing.
    pub fn planned(&self) -> Result<Planned, Fault> {
        let needed = self.needed();
        let sources = sources::look(&self.pipeline, &self.cache, &needed)?;
        let plan = self.planner(&sources)?.plan();
        self.cache.save_index();
        Ok(Planned { plan, needed, sources })
    }

    /// Plans a run of the whole pipeline, whatever is selected or forced, changing nothing. Only files that these nodes need
    /// are looked at, so that nothing is known of nodes that need others.
    pub fn planned_in_full(&self, nodes: impl IntoIterator<Item = NodeId>) -> Result<Plan, Fault> {
        let sources = sources::look(&self.pipeline, &self.cache, &self.graph.reached_by(nodes))?;
        let programs = Program::all(&self.pipeline.catalog, &self.cache)?;
        let choice = Choice { select: Vec::new(), force: Vec::new(), ..self.choice.clone() };
        Ok(Planner::new(&self.pipeline, &self.graph, &self.cache, &sources, programs, &choice).plan())
    }

    /// What is expected of the nodes that a plan runs or may run. An empty plan costs nothing.
    pub fn expected(&self, plan: &Plan) -> Vec<(NodeId, Option<Estimate>)> {
        let (run, waiting, _) = plan.counts();
        if run + waiting == 0 {
            return Vec::new();
        }
        let recent = self.cache.recent_records(RECENT).inspect_err(|error| tracing::warn!("{error}"));
        let recent = recent.unwrap_or_default();
        let fresh = plan.verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Fresh(record) => Some(&**record),
            _ => None,
        });
        Estimates::of(fresh.chain(&recent)).plan(plan, &self.pipeline, &self.choice.device)
    }

    /// The planner of a run with these files from outside.
    pub fn planner<'a>(&'a self, sources: &'a Sources) -> Result<Planner<'a>, Fault> {
        Ok(Planner::new(
            &self.pipeline,
            &self.graph,
            &self.cache,
            sources,
            Program::all(&self.pipeline.catalog, &self.cache)?,
            &self.choice,
        ))
    }
}

fn split_set(text: &str) -> Result<(String, String), Fault> {
    let split = text.split_once('=').filter(|(path, _)| !path.trim().is_empty());
    let (path, value) =
        split.ok_or_else(|| Fault::usage(format!("--set {text}: expected PATH=VALUE, as in vars.ipc=50")))?;
    Ok((path.trim().to_string(), value.trim().to_string()))
}

/// Parses selectors and makes sure that each matches something.
pub fn selectors(pipeline: &Pipeline, texts: &[String], what: &str) -> Result<Vec<Selector>, Fault> {
    let mut selectors = Vec::with_capacity(texts.len());
    for text in texts {
        let selector: Selector = text.parse().map_err(|error| Fault::usage(format!("{what} {text}: {error}")))?;
        selection::check(pipeline, &selector, &format!("{what} {text}")).map_err(Fault::usage)?;
        selectors.push(selector);
    }
    Ok(selectors)
}
