//! `ddpipe export`: a run, or what is on record for a manifest, in the forms of other programs.

use super::project::selectors;
use super::subject::SubjectArgs;
use super::{Done, complete, print};
use crate::exit::{Exit, Fault};
use crate::export::{Chosen, arrays, hugging_face, mlflow, pictures, ro_crate, tensorboard};
use crate::pipeline::NodeId;
use crate::report::Subject;
use crate::visible::visible;
use clap_complete::engine::ArgValueCandidates;
use std::path::{Path, PathBuf};

/// The forms that sets of images are written in.
const SETS: &str = "sets";

/// Write a run, or what is on record for a manifest, in the forms of other programs.
#[derive(Debug, clap::Args)]
#[command(after_help = super::examples::EXPORT, group = clap::ArgGroup::new(SETS).multiple(true))]
pub struct Args {
    #[command(flatten)]
    of: SubjectArgs,
    #[command(flatten)]
    forms: Forms,
    /// The sets of these nodes, real ones too; without it all synthetic sets
    #[arg(long, value_name = "NODE", requires = SETS, add = ArgValueCandidates::new(complete::nodes))]
    select: Vec<String>,
}

/// What is written, and into which folder.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Forms {
    /// Event files of TensorBoard: a folder for each node
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// A file store of MLflow: a run for the run, and one for each node
    #[arg(long, value_name = "DIR")]
    mlflow: Option<PathBuf>,
    /// A Workflow Run RO-Crate: manifest, results, software, digests of what was read
    #[arg(long = "crate", value_name = "DIR")]
    ro_crate: Option<PathBuf>,
    /// Synthetic sets as Parquet in the layout of the Hugging Face Hub
    #[arg(long, value_name = "DIR", group = SETS)]
    huggingface: Option<PathBuf>,
    /// Synthetic sets as files of NumPy (.npz)
    #[arg(long, value_name = "DIR", group = SETS)]
    npz: Option<PathBuf>,
    /// Synthetic sets as folders of PNG pictures with a table of their classes
    #[arg(long, value_name = "DIR", group = SETS)]
    pictures: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Done {
    let lines = args.of.with(&|subject| args.written(subject))?;
    print(&visible(&lines))?;
    Ok(Exit::Ok)
}

impl Args {
    /// Writes every form that was asked for, and says so in a line for each.
    fn written(&self, subject: &Subject) -> Result<String, Fault> {
        let Forms { tensorboard, mlflow, ro_crate, .. } = &self.forms;
        let mut lines = String::new();
        let mut say = |folder: &Path, count: usize, what: &str| {
            let s = if count == 1 { "" } else { "s" };
            lines.push_str(&format!("{}: {count} {what}{s}\n", folder.display()));
        };
        if let Some(folder) = tensorboard {
            say(folder, tensorboard::write(subject, folder)?, "event file");
        }
        if let Some(folder) = mlflow {
            say(folder, mlflow::write(subject, folder)?, "run");
        }
        if let Some(folder) = ro_crate {
            let name = ro_crate::name(subject);
            if let Some(other) = ro_crate::described(folder).filter(|other| *other != name) {
                let folder = folder.display();
                return Err(Fault::usage(format!(
                    "{folder} describes {other}, and not {name}\n  name a folder of its own"
                )));
            }
            say(folder, ro_crate::write(subject, folder)?, "action");
        }
        let wanted = selectors(subject.pipeline, &self.select, "select")?;
        let is_chosen = |id: NodeId| wanted.iter().any(|selector| subject.pipeline.node(id).matches(selector));
        let chosen: Chosen = if wanted.is_empty() { None } else { Some(&is_chosen) };
        if let Some(folder) = &self.forms.huggingface {
            say(folder, hugging_face::write(subject, chosen, folder)?, "set");
        }
        if let Some(folder) = &self.forms.npz {
            say(folder, arrays::write(subject, chosen, folder)?, "set");
        }
        if let Some(folder) = &self.forms.pictures {
            say(folder, pictures::write(subject, chosen, folder)?, "set");
        }
        Ok(lines)
    }
}
