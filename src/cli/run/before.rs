//! What a run needs before its first node: the files from outside, the workers' settings, how it was called.

use super::Args;
use crate::cli::project::Project;
use crate::download::Offline;
use crate::event::{Event, Observer};
use crate::executor::LocalSettings;
use crate::exit::Fault;
use crate::memory;
use crate::results;
use crate::slots::{ON_A_GPU, Slots};
use crate::sources::{self, Sources, SourcesError};

/// The files from outside: what has to run and is declared with a URL is downloaded. What is on record needs no file.
pub fn obtained(
    args: &Args,
    project: &Project,
    needed: &[bool],
    observers: &mut dyn Observer,
) -> Result<Sources, Fault> {
    let Project { pipeline, cache, .. } = project;
    let mut found = sources::look(pipeline, cache, needed)?;
    if !found.missing.is_empty() {
        let mut planner = project.planner(&found)?;
        let plan = planner.plan();
        let demand = planner.demand(&plan, needed);
        let obtained = sources::obtain(pipeline, cache, &demand, Offline(args.offline), observers);
        if !obtained.faults.is_empty() {
            let fault = SourcesError::Faults(obtained.faults);
            if !args.keep_going {
                return Err(fault.into());
            }
            observers.on_event(&Event::Warning { text: fault.to_string() });
        }
        if obtained.news {
            found = sources::look(pipeline, cache, needed)?;
        }
    }
    sources::warn_of_other_copies(pipeline, &found, observers);
    Ok(found)
}

/// What the workers of a run are started with.
pub fn local(args: &Args, slots: Slots, project: &Project) -> LocalSettings {
    let seconds = std::env::var("DDPIPE_CHECKPOINT_SECONDS").ok().and_then(|text| text.parse().ok());
    let jobs = slots.names.len();
    let budget = memory::budget(jobs, if slots.for_small { ON_A_GPU } else { 1 });
    LocalSettings {
        threads: slots.threads,
        slots: slots.names,
        cache: project.cache.root().to_path_buf(),
        memory_budget: args.memory_budget.unwrap_or(budget),
        checkpoint_seconds: seconds.unwrap_or(60),
    }
}

/// How the run was called, for its results.
pub fn called(project: &Project) -> results::Called {
    let overrides = &project.invocation.overrides;
    let variables = overrides.env.iter().filter(|(name, _)| name.starts_with("DDPIPE_VAR_"));
    let variables = variables.map(|(name, value)| format!("{name}={value}"));
    let sets = overrides.sets.iter().map(|(path, value)| format!("{path}={value}"));
    let file = &project.pipeline.file;
    results::Called {
        manifest: file.strip_prefix(&project.pipeline.root).unwrap_or(file).to_path_buf(),
        profile: overrides.profile.clone(),
        set: variables.chain(sets).collect(),
        select: project.invocation.select.clone(),
        cache: project.cache.root().to_path_buf(),
    }
}
