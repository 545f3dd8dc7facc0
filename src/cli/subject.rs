//! What a command tells of: a run, or what is on record for a manifest, with what both stand beside.

use super::complete;
use super::place::CacheArgs;
use super::project::{Invocation, ManifestArgs, OverArgs, PickArgs};
use super::remote::RemoteArgs;
use crate::baseline::{self, Comparison, compare, gather};
use crate::catalog::Catalog;
use crate::commit;
use crate::exit::Fault;
use crate::history::{self, Past};
use crate::ledger;
use crate::load::load;
use crate::pipeline::NodeId;
use crate::place;
use crate::report::{Call, Subject};
use crate::resolve::project_of;
use crate::slots;
use crate::started::Started;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use ddpipe_cache::Cache;
use std::path::{Path, PathBuf};

/// The arguments that choose a run, or what is on record.
#[derive(Debug, clap::Args)]
pub struct SubjectArgs {
    /// The manifest; its newest run is taken, or what is on record for it where it has none
    #[arg(required_unless_present = "run", add = ArgValueCompleter::new(complete::manifests()))]
    manifest: Option<PathBuf>,
    /// The run: the first letters of its id, its name, or last
    #[arg(long, value_name = "ID", add = ArgValueCandidates::new(complete::runs))]
    run: Option<String>,
    /// What is on record for the manifest as it is now, whatever runs there were
    #[arg(long, conflicts_with = "run")]
    now: bool,
    #[command(flatten)]
    over: OverArgs,
    /// The cache's folder [default: .ddpipe in the project's folder]
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE")]
    cache: Option<PathBuf>,
}

/// What is done with a run, or with what is on record.
type Make<'a, T> = &'a dyn Fn(&Subject) -> Result<T, Fault>;

impl SubjectArgs {
    /// Does something with the run, or with what is on record.
    pub(super) fn with<T>(&self, make: Make<'_, T>) -> Result<T, Fault> {
        if self.manifest.as_ref().is_some_and(|manifest| !manifest.exists()) {
            return self.of_plan(make);
        }
        let cache = self.cache()?;
        let run = match (&self.run, &self.manifest) {
            (Some(wanted), _) => Some(history::find(&cache, wanted)?),
            (None, Some(manifest)) if !self.now => self.newest(&cache, manifest)?,
            _ => None,
        };
        match run {
            Some(run) => of_run(&cache, Past::of(run), self.over.allow_outside, self.manifest.as_deref(), make),
            None => self.of_plan(make),
        }
    }

    /// The cache that is named, or that of the manifest's project; with a run alone, the nearest one.
    fn cache(&self) -> Result<Cache, Fault> {
        match (&self.cache, &self.manifest) {
            (None, Some(manifest)) => Ok(Cache::open(&project_of(manifest).join(place::FOLDER))?),
            (given, _) => CacheArgs::named(given.clone()).open(),
        }
    }

    /// The newest run of this manifest that was called with the same profiles and overrides, or any where none are given.
    fn newest(&self, cache: &Cache, manifest: &Path) -> Result<Option<ddpipe_cache::RunSeen>, Fault> {
        let over = self.over.overrides()?;
        let given = !over.profile.is_empty() || !over.sets.is_empty();
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let wanted = real(manifest);
        let is_ours = |started: &Started| {
            let same = started.profile == over.profile && started.sets == over.sets;
            real(&started.manifest) == wanted && (same || !given)
        };
        let runs = history::whole(cache)?.into_iter().rev();
        Ok(runs.into_iter().find(|run| Started::in_folder(&run.path).is_ok_and(|started| is_ours(&started))))
    }

    fn of_plan<T>(&self, make: Make<'_, T>) -> Result<T, Fault> {
        let manifest = ManifestArgs {
            manifest: self.manifest.clone(),
            from_run: None,
            over: self.over.clone(),
            cache: self.cache.clone(),
            cache_from: None,
            remote: RemoteArgs::default(),
            picks: PickArgs { select: Vec::new(), force: Vec::new() },
            numerics: None,
        };
        let project = manifest.open(&slots::find("auto", None, None)?)?;
        let planned = project.planned()?;
        let (pipeline, commit) = (&project.pipeline, commit::of(&project.pipeline.root));
        let call = Call::of_overrides(&project.invocation.overrides);
        let mut subject =
            Subject::of_plan(pipeline, &project.graph, &project.cache, &planned.plan, &planned.sources, commit, call);
        subject.baseline = beside_baseline(&subject);
        subject.published = published(&subject, &project.invocation);
        make(&subject)
    }
}

/// A run, with the manifest as it was then.
fn of_run<T>(
    cache: &Cache,
    past: Past,
    allow_outside: bool,
    manifest: Option<&Path>,
    make: Make<'_, T>,
) -> Result<T, Fault> {
    let started = Started::in_folder(&past.seen.path)?;
    if !allow_outside {
        started.check_project(cache)?;
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if let Some(manifest) = manifest.filter(|manifest| real(manifest) != real(&started.manifest)) {
        let (id, manifest, other) = (&past.seen.id, manifest.display(), started.manifest.display());
        return Err(Fault::usage(format!(
            "run {id} is not one of {manifest}, but of {other}\n  `ddpipe runs` lists them"
        )));
    }
    let overrides = started.overrides(allow_outside);
    let invocation = Invocation { manifest: started.manifest, overrides, select: started.select };
    let loaded = invocation.load(&[])?;
    let mut subject = Subject::of_run(&loaded.pipeline, &loaded.graph, cache, past);
    subject.baseline = beside_baseline(&subject);
    subject.published = published(&subject, &invocation);
    make(&subject)
}

/// A run whose pipeline is loaded already.
pub(super) fn of_own(project: &super::project::Project, past: Past) -> Subject<'_> {
    let mut subject = Subject::of_run(&project.pipeline, &project.graph, &project.cache, past);
    subject.baseline = beside_baseline(&subject);
    subject.published = published(&subject, &project.invocation);
    subject
}

/// What is published for the cells of the pipeline beside what is on record. Verdicts need the manifest as it is written; where
/// that cannot be read there are none.
fn published(subject: &Subject, invocation: &Invocation) -> Vec<ledger::Row> {
    let (pipeline, overrides) = (subject.pipeline, &invocation.overrides);
    if pipeline.published.is_empty() {
        return Vec::new();
    }
    let as_written = || load(&invocation.manifest, &overrides.as_written(), Catalog::built_in().ok()?).ok();
    let written = match overrides.changes_values() {
        true => match as_written() {
            Some(written) => Some(written),
            None => return Vec::new(),
        },
        false => None,
    };
    let record = |id: NodeId| subject.record(id).map(|record| &**record);
    ledger::make(pipeline, written.as_ref(), &|_| true, &record, None)
}

/// What comparing with the project's baseline `main` comes to. A report is no place to find fault with the file.
fn beside_baseline(subject: &Subject) -> Option<Comparison> {
    let baseline = super::baseline::named(subject.pipeline, baseline::MAIN).ok()?;
    let in_run = |id: NodeId| subject.record(id).is_some();
    let now = gather(subject.pipeline, &in_run, &|id| subject.record(id).map(|record| &**record));
    Some(compare(baseline::MAIN, &baseline, &now, false))
}
