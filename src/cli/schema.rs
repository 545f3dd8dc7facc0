//! `ddpipe schema`: the JSON Schema that completes and checks manifests in an editor.

use super::{Done, print};
use crate::catalog::Catalog;
use crate::exit::Fault;
use crate::schema;

/// Print the JSON Schema of manifests.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(_: Args) -> Done {
    let catalog = Catalog::built_in().map_err(|error| Fault::usage(error.to_string()))?;
    print(&format!("{:#}\n", schema::schema(&catalog)))
}
