//! What every command that names a manifest needs: the manifest's pipeline, its graph, and the cache it uses.

use super::place::CacheArgs;
use crate::catalog::Catalog;
use crate::exit::Fault;
use crate::graph::Graph;
use crate::load::load;
use crate::manifest::Overrides;
use crate::numerics;
use crate::pipeline::{NumericsMode, Pipeline};
use crate::plan::{Choice, Plan, Planner};
use crate::program::Program;
use crate::selector::Selector;
use crate::slots::{self, Slots};
use crate::sources::{self, Sources};
use crate::started::Started;
use ddpipe_cache::Cache;
use std::ffi::OsString;
use std::path::PathBuf;

/// The arguments that choose and adjust a manifest.
#[derive(Clone, Debug, clap::Args)]
pub struct ManifestArgs {
    /// The manifest
    #[arg(required_unless_present = "from_run")]
    pub manifest: Option<PathBuf>,
    /// Take the manifest's files, profiles, overrides and selection as they were in this run (`ddpipe runs` lists them; the
    /// cache is `--cache`, or the nearest .ddpipe from this folder upwards)
    #[arg(long, value_name = "ID", conflicts_with_all = ["manifest", "profile", "set", "select"])]
    pub from_run: Option<String>,
    /// Apply this profile of the manifest; several in order
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Set a var, param or source field: vars.ipc=50, stages.distill.params.iterations=5
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Let sources be downloaded to any folder that the manifest names; DDPIPE_DATA=DIR allows that folder alone
    #[arg(long)]
    pub allow_outside: bool,
    /// The cache's folder [default: .ddpipe in the project's folder]
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE")]
    pub cache: Option<PathBuf>,
    /// Only these nodes and what they need: evaluate[method=dm], report_*
    #[arg(long, value_name = "NODE")]
    pub select: Vec<String>,
    /// Run these nodes even if they are on record
    #[arg(long, value_name = "NODE")]
    pub force: Vec<String>,
    /// Whether libraries, instruction set, threads and device enter the keys [default: as the manifest says]
    #[arg(long, value_name = "MODE")]
    pub numerics: Option<NumericsMode>,
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
    /// Loads the manifest and opens its cache.
    pub fn open(&self) -> Result<Project, Fault> {
        self.manifest.open(&slots::find(&self.device, None, None)?)
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

impl ManifestArgs {
    /// Loads the manifest alone.
    pub fn load(&self) -> Result<Pipeline, Fault> {
        let Invocation { manifest, overrides, .. } = self.invocation()?;
        Ok(load(&manifest, &overrides, Catalog::built_in()?)?)
    }

    /// What is asked for: by the command line and the environment, or as in an earlier run.
    pub fn invocation(&self) -> Result<Invocation, Fault> {
        if let Some(id) = &self.from_run {
            let cache = CacheArgs::named(self.cache.clone()).open()?;
            let started = Started::read(&cache, id)?;
            if !self.allow_outside {
                started.check_project(&cache)?;
            }
            let overrides = started.overrides(self.allow_outside);
            return Ok(Invocation { manifest: started.manifest, overrides, select: started.select });
        }
        let manifest =
            self.manifest.clone().ok_or_else(|| Fault::usage("name a manifest, or a run with --from-run"))?;
        let sets: Result<Vec<(String, String)>, Fault> = self.set.iter().map(|text| split_set(text)).collect();
        let of_ours = |name: &str| name.starts_with("DDPIPE_VAR_") || name == "DDPIPE_DATA";
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let env = std::env::vars_os().filter_map(text).filter(|(name, _)| of_ours(name)).collect();
        let (profile, allow_outside) = (self.profile.clone(), self.allow_outside);
        let overrides = Overrides { profile, sets: sets?, env, allow_outside, texts: None };
        Ok(Invocation { manifest, overrides, select: self.select.clone() })
    }

    /// Loads the manifest and opens its cache, to work on these slots.
    pub fn open(&self, slots: &Slots) -> Result<Project, Fault> {
        let invocation = self.invocation()?;
        let pipeline = load(&invocation.manifest, &invocation.overrides, Catalog::built_in()?)?;
        let select = selectors(&pipeline, &invocation.select, "--select")?;
        let force = selectors(&pipeline, &self.force, "--force")?;
        let graph = Graph::link(&pipeline);
        let root = self.cache.clone().unwrap_or_else(|| pipeline.root.join(".ddpipe"));
        let cache = Cache::open(&root)?;
        let numerics = match self.numerics.unwrap_or(pipeline.numerics) {
            NumericsMode::Strict => Some(numerics::of(slots)?),
            NumericsMode::Loose => None,
        };
        let choice = Choice { select, force, device: slots.class().to_string(), numerics };
        Ok(Project { pipeline, graph, cache, choice, invocation })
    }
}

impl Project {
    /// Per node, whether it is selected or needed by one that is.
    pub fn needed(&self) -> Vec<bool> {
        let chosen = |node: &&crate::pipeline::Node| {
            self.choice.select.is_empty() || self.choice.select.iter().any(|selector| node.matches(selector))
        };
        self.graph.reached_by(self.pipeline.nodes.iter().filter(chosen).map(|node| node.id))
    }

    /// Plans a run as things stand, changing nothing.
    pub fn planned(&self) -> Result<Planned, Fault> {
        let needed = self.needed();
        let sources = sources::look(&self.pipeline, &self.cache, &needed)?;
        let plan = self.planner(&sources)?.plan();
        Ok(Planned { plan, needed, sources })
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
        if pipeline.select(&selector).next().is_none() {
            let stages = pipeline.nodes.iter().map(|node| node.stage.as_str());
            let near = crate::diagnostic::did_you_mean(&selector.stage, stages);
            let message = format!("{what} {text}: no node matches{near}\n  `ddpipe graph` lists the nodes");
            return Err(Fault::usage(message));
        }
        selectors.push(selector);
    }
    Ok(selectors)
}
