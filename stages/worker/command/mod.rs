//! Stages that a project brings along as programs: a folder with the inputs, a process group of its own, and what it
//! leaves in `outputs/`. `folder.rs` is the files' side and `json.rs` how it reads JSON, `child.rs` the process's side,
//! `environment.rs` what it sees of the environment, `unchanged.rs` that it is what the run was planned with.
//!
//! The program runs in that folder (also named by `DDPIPE_DIR`). It finds `inputs/<name>.<ext>` (an input that takes
//! many: `inputs/<name>.<index>.<ext>`), `inputs.json` (every input's file, labels and metrics) and `params.json`
//! (`params`, `seed`, `device`). It leaves `outputs/<name>.<ext>`; scalars may stand in `outputs/metrics.json` under
//! `metrics`. On stdout, `progress 3/10 loss 0.5` is progress; every other line is logged.

mod child;
mod environment;
mod folder;
mod json;
mod unchanged;

use crate::context::Artifacts as _;
use crate::context::{Context, Outputs};
use crate::worker::inputs::Reader;
use crate::worker::scratch::ScratchLock;
use anyhow::{Context as _, Result, bail};
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::{Command, Job};
use folder::Folder;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What a program runs under.
pub struct Surroundings<'a> {
    /// The stage's context.
    pub ctx: &'a Context,
    /// Reads the inputs.
    pub reader: &'a Reader,
    /// The lock on the scratch folder, which the program inherits.
    pub lock: &'a ScratchLock,
    /// Whether the engine is gone: then the program is ended at once.
    pub abandoned: &'a dyn Fn() -> bool,
    /// Threads for computing.
    pub threads: u16,
}

/// Runs a project's own stage.
pub fn run(job: &Job, program: &Command, around: &Surroundings<'_>) -> Result<Outputs> {
    let Surroundings { ctx, reader, lock, abandoned, threads } = *around;
    unchanged::check(program)?;
    let folder = Folder::create(&job.scratch)?;
    let params = json!({ "params": job.params, "seed": job.seed, "device": device(ctx.device) });
    folder.lay_out(job, params, reader)?;
    let mut command = command(program)?;
    environment::set(&mut command, &program.env);
    command.current_dir(folder.path()).env("DDPIPE_DIR", folder.path()).env("OMP_NUM_THREADS", threads.to_string());
    // Python holds back what it prints to a pipe; progress would come at the end.
    command.env("PYTHONUNBUFFERED", "1");
    child::run(command, ctx, lock, abandoned)?;
    // Whatever changed while the program ran, nobody knows what it has read.
    unchanged::check(program)?;
    for input in job.inputs.values().flatten().filter(|input| input.artifact == ArtifactType::Folder) {
        reader.folder(input)?;
    }
    folder.collect(&job.outputs, ctx.device)
}

/// The program with its arguments. Whatever names a file of the kind's folder is taken from there.
fn command(program: &Command) -> Result<std::process::Command> {
    let Some((name, arguments)) = program.argv.split_first() else { bail!("`command` is empty") };
    let local = |text: &str| -> Option<PathBuf> {
        let path = program.folder.join(text);
        (Path::new(text).is_relative() && !text.is_empty() && path.is_file()).then(|| std::path::absolute(path).ok())?
    };
    // A bare name is looked up in PATH, as everywhere; "./name" is the folder's own.
    let mut command = match name.contains('/') {
        true => {
            let own = local(name).or(Some(PathBuf::from(name)).filter(|path| path.is_absolute()));
            std::process::Command::new(
                own.with_context(|| format!("{name}: no such file in {}", program.folder.display()))?,
            )
        }
        false => std::process::Command::new(name),
    };
    command.args(arguments.iter().map(|text| local(text).map_or_else(|| text.into(), PathBuf::into_os_string)));
    Ok(command)
}

fn device(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    }
}
