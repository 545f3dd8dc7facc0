//! `ddpipe check`: everything that can be said about a manifest without reading data.

use super::project::ManifestArgs;
use super::{Done, print};
use crate::visible::visible;

/// Check a manifest.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
}

pub(super) fn run(args: Args) -> Done {
    let pipeline = args.manifest.load()?;
    for warning in &pipeline.warnings {
        crate::note::say(warning.render(false).trim_end());
    }
    let (nodes, sources) = (pipeline.nodes.len(), pipeline.sources.len());
    print(&visible(&format!("{}: ok, {nodes} nodes, {sources} sources\n", pipeline.name)))
}
