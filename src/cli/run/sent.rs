//! Pilots whose nodes share no folder with this machine: in the command that starts them, what they need is sent to the remote; in
//! a pilot it is laid out on its node.

use super::Args;
use super::on::On;
use crate::cli::project::{Invocation, Project};
use crate::event::Observer;
use crate::exit::Fault;
use crate::sent::{self, Parcel, SentTo, Unpacked};
use crate::sources::Sources;
use crate::trust;
use ddpipe_cache::shared::{Notes, Patience};
use ddpipe_cache::{Cache, Commit, Key};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// These processes have no other place to meet: the remote is waited for that long in all.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// What a pilot found in the remote.
pub struct LaidOut {
    /// What it is to run.
    pub invocation: Invocation,
    /// The state of the git repository that this comes from.
    pub commit: Option<Commit>,
    /// The run that it is a part of.
    pub run: String,
}

/// In a pilot that shares no folder: lays out on this node what was sent, and works there from now on. None in other processes.
///
/// # Errors
/// It cannot be had; then the command that started the pilot is told why.
pub fn lay_out(args: &mut Args) -> Result<Option<LaidOut>, Fault> {
    let (Some(digest), Some(local), Some(run)) = (args.sent, &args.local, args.manifest.from_run.clone()) else {
        return Ok(None);
    };
    let words = args.manifest.remote.bare()?.notes(&run);
    let local = local.clone();
    let mut laid_out = || {
        let place = sent::folder(&local)?;
        let root = place.join("cache");
        args.manifest.cache = Some(root.clone());
        args.manifest.remote.patience = Some(PATIENCE);
        let cache = Cache::open_sharing(&root, None, args.manifest.remote.open(Patience::default())?)?;
        let notes = cache.notes(&run);
        let notes = notes.ok_or_else(|| Fault::usage("a pilot that shares no folder needs --remote"))?;
        let spec = sent::fetch(&notes, digest)?;
        args.manifest.remote.trust.clone_from(&spec.trust);
        args.manifest.remote.config()?;
        let unpacked = Unpacked::lay_out(&spec, digest, &cache, &place)?;
        let Unpacked { manifest, overrides, select, commit, project } = unpacked;
        std::env::set_current_dir(&project).map_err(|error| Fault::io("enter", &project, &error))?;
        Ok(Some(LaidOut { invocation: Invocation { manifest, overrides, select }, commit, run: run.clone() }))
    };
    laid_out().inspect_err(|fault: &Fault| {
        let number = args.pilot.unwrap_or_default();
        if let Err(error) = words.put(&format!("pilots/{number}.log"), fault.message.as_bytes()) {
            tracing::warn!(%error, "nobody is told why this pilot ends");
        }
    })
}

/// What the run is, for its pilots.
pub struct Sending<'a> {
    pub project: &'a Project,
    pub sources: &'a Sources,
    /// The records that the pilots build on.
    pub fresh: &'a [Key],
    pub commit: Option<&'a Commit>,
    pub args: &'a Args,
}

impl Sending<'_> {
    /// Sends everything that the pilots of the run in this folder need, and notes there where it is.
    ///
    /// # Errors
    /// The remote does not take it, or it is not to be sent.
    pub fn send(&self, notes: &Notes, folder: &Path, observer: &mut dyn Observer) -> Result<SentTo, Fault> {
        let Sending { project, sources, commit, .. } = *self;
        let cache = &project.cache;
        cache.push(Some(self.fresh), &mut |_, _| {})?;
        let trust = trust::told(&self.args.manifest.remote.config()?)?;
        let (overrides, select) = (&project.invocation.overrides, project.invocation.select.as_slice());
        let trust = trust.as_ref();
        let parcel = Parcel { pipeline: &project.pipeline, overrides, select, sources, commit, trust, cache };
        let spec = parcel.send(notes, observer)?;
        let sent = SentTo { remote: cache.remote_url().unwrap_or_default().to_string(), spec };
        sent.note(folder)?;
        Ok(sent)
    }
}

/// Whether the pilots of this machine share no folder with this one.
pub fn is_far(on: Option<&On>) -> bool {
    on.is_some_and(|on| on.machine.local.is_some())
}

/// Makes sure that pilots without a shared folder can work for this project.
///
/// # Errors
/// They cannot.
pub fn check(project: &Project, args: &Args) -> Result<(), Fault> {
    if project.cache.remote_url().is_none() {
        let message = "the machine has the setting `local`: its nodes share no folder with this one, and a remote has to carry what \
                       they need\n  name one with --remote s3://BUCKET/PREFIX, or in the settings";
        return Err(Fault::usage(message));
    }
    if args.manifest.cache_from.is_some() {
        let message = "--cache-from names a folder that the nodes of the machine do not have\n  send it with `ddpipe cache push \
                       --cache DIR --remote URL`, and leave it out";
        return Err(Fault::usage(message));
    }
    Ok(())
}

/// Where a pilot keeps its copy of what the processes of the run tell each other, and what its own part is called elsewhere:
/// parts of different nodes may begin in the same moment.
pub fn copies(part: &Path, name: &str, pilot: usize) -> (PathBuf, String) {
    (part.join("run"), format!("{name}-p{pilot}"))
}
