//! `ddpipe allow`: accepts the programs of a project's own kinds, as they are now, and the check that every command which
//! runs nodes makes before it starts one.

use super::project::{ManifestArgs, Project};
use super::{Done, print};
use crate::allowed::{self, Allowed};
use crate::exit::Fault;
use crate::pipeline::NodeId;
use crate::program::Program;
use crate::slots;
use indexmap::IndexMap;

/// Accept the programs that the kinds of a manifest's project run, as they are now.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Only say which are accepted and which are new
    #[arg(long)]
    list: bool,
}

/// Which programs of a project's own kinds may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Commands {
    /// All of them.
    All,
    /// Those that the user has accepted with `ddpipe allow`, as long as nothing in their folders changes.
    Accepted,
}

pub(super) fn run(args: Args) -> Done {
    let project = args.manifest.open(&slots::find("cpu", None, None)?)?;
    let programs = Program::all(&project.pipeline.catalog, &project.cache)?;
    if programs.is_empty() {
        return print("the project has no kinds of its own that run a program\n");
    }
    let file = allowed::file()?;
    let mut allowed = Allowed::read(&file)?;
    let mut text = String::new();
    for (kind, program) in &programs {
        let known = if allowed.contains(kind, program.digest) { "accepted" } else { "new" };
        let state = if args.list || known == "accepted" { known } else { "now accepted" };
        let (folder, digest) = (program.folder.display(), program.digest.short());
        text.push_str(&format!("{kind}: {} in {folder} ({digest}): {state}\n", program.argv.join(" ")));
        allowed.accept(kind, program.digest);
    }
    if !args.list {
        allowed.write(&file)?;
    }
    print(&text)
}

/// Checks that the programs of these nodes may run, and gives a warning that names those that the user has not accepted
/// before. A manifest from somewhere else must not start anything by itself.
///
/// # Errors
/// A program is not allowed.
pub(super) fn check(
    project: &Project,
    commands: Option<Commands>,
    nodes: impl Iterator<Item = NodeId>,
) -> Result<Option<String>, Fault> {
    let mut needed: IndexMap<&str, String> = IndexMap::new();
    for node in nodes.map(|id| project.pipeline.node(id)) {
        let kind = project.pipeline.catalog.get(&node.kind);
        if let Some(command) = kind.and_then(|kind| kind.declaration.command.as_ref()) {
            let said = || {
                format!(
                    "{}: its kind {} runs a program of the project: {}",
                    node.address(),
                    node.kind,
                    command.join(" ")
                )
            };
            needed.entry(&node.kind).or_insert_with(said);
        }
    }
    let Some(first) = needed.values().next() else { return Ok(None) };
    let Some(commands) = commands else {
        return Err(Fault::usage(format!("{first}\n  allow it with --allow-commands, if you trust it")));
    };
    let programs = Program::all(&project.pipeline.catalog, &project.cache)?;
    let allowed = match (allowed::file().and_then(|file| Allowed::read(&file)), commands) {
        (Ok(allowed), _) => allowed,
        (Err(fault), Commands::Accepted) => return Err(fault),
        (Err(_), Commands::All) => return Ok(None),
    };
    let is_new = |kind: &&str| programs.get(*kind).is_some_and(|program| !allowed.contains(kind, program.digest));
    let new: Vec<&str> = needed.keys().copied().filter(is_new).collect();
    match (new.is_empty(), commands) {
        (true, _) => Ok(None),
        (false, Commands::Accepted) => Err(Fault::usage(format!(
            "{}: new or changed since you accepted it\n  look at its folder, and accept it with `ddpipe allow`, if you trust it",
            new.join(", ")
        ))),
        (false, Commands::All) => Ok(Some(format!(
            "runs programs that you have not accepted before: {}; `ddpipe allow` remembers them",
            new.join(", ")
        ))),
    }
}
