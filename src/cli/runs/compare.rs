//! `ddpipe runs compare`: two runs or manifests side by side, for people or as JSON.

mod named;
mod text;

use super::super::place::CacheArgs;
use super::super::{Done, complete, print};
use crate::catalog::Catalog;
use crate::comparison::{Side, compare};
use crate::exit::Fault;
use crate::history::{self, Past};
use crate::pipeline::NumericsMode;
use crate::place;
use crate::report;
use crate::resolve::project_of;
use crate::results::write_whole;
use crate::slots;
use crate::visible::visible;
use clap_complete::engine::ArgValueCandidates;
use ddpipe_cache::Cache;
use named::Named;
use std::path::PathBuf;

/// Compare two runs, or manifests with what is on record for them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A and B are each
  a run                           the first letters of its id, its name, or `last`
  pipelines/mnist.toml            a manifest, as it is now; it ends with .toml
  pipelines/mnist.toml@cpu        with a profile; @cpu@small with several
  HEAD~2:pipelines/mnist.toml     as a git revision has it, with what it includes

Nothing is computed: a manifest is planned as `ddpipe plan` does, and compared by what is on record.")]
pub struct Args {
    /// What to compare with
    #[arg(value_name = "A", add = ArgValueCandidates::new(complete::runs))]
    a: String,
    /// The other one
    #[arg(value_name = "B", add = ArgValueCandidates::new(complete::runs))]
    b: String,
    /// Plan manifests for this device: auto, cpu, cuda, cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "DDPIPE_DEVICE")]
    device: String,
    /// Whether libraries, instruction set, threads and device enter the keys of manifests [default: as the manifest says]
    #[arg(long, value_name = "MODE")]
    numerics: Option<NumericsMode>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write it as one HTML file, with pictures side by side, and print its name
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    html: Option<PathBuf>,
}

/// A side with how it is called.
struct Titled {
    /// As it was named; of a run, its id.
    name: String,
    /// The same in a line for people.
    title: String,
    side: Side,
    /// The kinds that its manifest knows.
    catalog: Option<Catalog>,
}

pub(super) fn run(cache: &CacheArgs, args: &Args) -> Done {
    let (a, b) = (Named::read(&args.a)?, Named::read(&args.b)?);
    let cache = cache_of(cache, &[&a, &b])?;
    let (a, b) = (args.side(&cache, a)?, args.side(&cache, b)?);
    let catalog = match b.catalog.as_ref().or(a.catalog.as_ref()) {
        Some(catalog) => catalog.clone(),
        None => Catalog::built_in()?,
    };
    let found = compare(&cache, &a.side, &b.side, &catalog);
    if args.json {
        let mut value = serde_json::to_value(&found).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.shift_insert(0, "a".into(), a.name.into());
            fields.shift_insert(1, "b".into(), b.name.into());
        }
        return print(&format!("{value:#}\n"));
    }
    if let Some(file) = &args.html {
        write_whole(file, report::comparison(&a.title, &b.title, &found).as_bytes())?;
        return print(&visible(&format!("{}\n", file.display())));
    }
    print(&visible(&text::of(&a, &b, &found)))
}

/// The cache that is named; else, where a run is, the nearest one; else that of the first manifest's project.
fn cache_of(args: &CacheArgs, sides: &[&Named]) -> Result<Cache, Fault> {
    let manifest = sides.iter().find_map(|side| match side {
        Named::Manifest { path, .. } => Some(project_of(path).join(place::FOLDER)),
        Named::Run(_) => None,
    });
    let has_run = sides.iter().any(|side| matches!(side, Named::Run(_)));
    let root: PathBuf = match (manifest, args.given()) {
        (Some(_), Some(given)) => given.clone(),
        (Some(manifest), None) if !has_run || !args.folder().is_dir() => manifest,
        _ => return args.open(),
    };
    Ok(Cache::open(&root)?)
}

impl Args {
    fn side(&self, cache: &Cache, named: Named) -> Result<Titled, Fault> {
        match named {
            Named::Run(run) => {
                let past = history::find(cache, &run).map(Past::of).map_err(|fault| Fault {
                    message: format!("{fault}\n  a manifest is named by its path, which ends with .toml"),
                    ..fault
                })?;
                Ok(Titled {
                    name: past.seen.id.clone(),
                    title: text::of_run(&past),
                    side: Side::of_run(cache, &past),
                    catalog: None,
                })
            }
            Named::Manifest { revision, path, profiles } => {
                let slots = slots::find(&self.device, None, None)?;
                let name = named::written(revision.as_deref(), &path, &profiles);
                let planned = named::plan(revision.as_deref(), path, profiles, cache, self.numerics, &slots)?;
                let title = format!("{name}{}", text::on_record(&planned.side));
                Ok(Titled { name, title, side: planned.side, catalog: Some(planned.catalog) })
            }
        }
    }
}
