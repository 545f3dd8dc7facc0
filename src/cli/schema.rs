//! `ddpipe schema`: the JSON Schema that completes and checks manifests in an editor.

use super::{Done, kinds, print};
use crate::schema;
use std::path::PathBuf;

/// Print the JSON Schema of manifests.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// With the kinds of this manifest's project [default: of the project here]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    manifest: Option<PathBuf>,
    /// With the kinds in this folder; may be repeated
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    kinds: Vec<PathBuf>,
}

pub(super) fn run(args: Args) -> Done {
    let catalog = kinds::catalog(&args.kinds, args.manifest.as_deref())?;
    print(&format!("{:#}\n", schema::schema(&catalog)))
}
