//! `ddpipe ledger`: what is published beside what is on record. Computes nothing.

use super::project::{PlanArgs, Planned, Project};
use super::{Cli, Command, Done, print};
use crate::catalog::Catalog;
use crate::exit::{Exit, Fault};
use crate::ledger::{self, Ledger, PageError};
use crate::load::load;
use crate::pipeline::NodeId;
use crate::plan::{Plan, Verdict};
use crate::results::write_whole;
use crate::selection;
use crate::visible::visible;
use clap::Parser as _;
use ddpipe_cache::Record;
use std::path::{Path, PathBuf};

/// The largest kept ledger, and the largest document, that is read.
const LARGEST: u64 = 64 << 20;

/// Set the published figures of a manifest beside what is on record: mean and deviation, the difference with its 95 % interval,
/// and a verdict.
///
/// A figure is *reproduced* where the whole interval falls short of it by no more than the margin, *not reproduced* where it
/// falls short by more, and *cannot say* in between. What was measured with other parameters than the manifest as written has
/// (a profile, --set) is *other protocol*, whatever came out.
#[derive(Debug, clap::Args)]
#[command(mut_arg("manifest", |arg| arg.required_unless_present_any(["kept", "update"])))]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// Show this ledger, which --format json wrote, instead of making one
    #[arg(long = "from", value_name = "FILE", conflicts_with_all = ["manifest", "from_run", "margin"])]
    kept: Option<PathBuf>,
    /// How to print it [default: as the ending of --out says, else text]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// A difference up to this one counts as reproduced where a figure does not say it, in the metric's unit [default: 0.01 of
    /// shares, 1 % of others]
    #[arg(long, value_name = "NUMBER", value_parser = margin)]
    margin: Option<f64>,
    /// Write it to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make the ledgers in this Markdown file anew: what stands between `<!-- ddpipe ledger ARGUMENTS -->` and `<!-- end of
    /// ledger -->`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["manifest", "from_run", "kept", "format", "margin", "out"])]
    update: Option<PathBuf>,
    /// With --update: write nothing; exit code 1 if the file would change
    #[arg(long, requires = "update")]
    check: bool,
}

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// In columns, for people.
    Text,
    /// Markdown.
    Markdown,
    /// Comma-separated values, unrounded.
    Csv,
    /// JSON, which --from reads.
    Json,
}

impl Format {
    fn of_file(file: &Path) -> Option<Self> {
        Some(match file.extension()?.to_str()? {
            "txt" => Format::Text,
            "md" => Format::Markdown,
            "csv" => Format::Csv,
            "json" => Format::Json,
            _ => return None,
        })
    }

    fn write(self, ledger: &Ledger) -> Result<String, Fault> {
        Ok(match self {
            Format::Text => visible(&ledger.text()).into_owned(),
            Format::Markdown => ledger.markdown(),
            Format::Csv => ledger.csv(),
            Format::Json => ledger.json().map_err(|error| Fault::from(std::io::Error::from(error)))?,
        })
    }
}

fn margin(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "a margin is a number from 0, such as 0.01".to_string())
}

pub(super) fn run(args: Args) -> Done {
    if let Some(page) = &args.update {
        return update(page, args.check);
    }
    let file = args.out.as_ref().filter(|out| out.as_os_str() != "-");
    let format = args.format.or_else(|| file.and_then(|file| Format::of_file(file))).unwrap_or(Format::Text);
    let text = format.write(&args.ledger()?)?;
    match file {
        Some(file) => {
            write_whole(file, text.as_bytes())?;
            print(&visible(&format!("{}\n", file.display())))
        }
        None => print(&text),
    }
}

impl Args {
    /// The ledger that is asked for.
    fn ledger(&self) -> Result<Ledger, Fault> {
        match &self.kept {
            Some(kept) => read_kept(kept),
            None => made(&self.plan.open()?, self.margin),
        }
    }
}

/// The ledger of the records that are there.
fn made(project: &Project, margin: Option<f64>) -> Result<Ledger, Fault> {
    if project.pipeline.published.is_empty() {
        let message = format!("{} has no published figures for what is in it", project.invocation.manifest.display());
        return Err(Fault::usage(format!("{message}\n  state them as [[published]], or include a file that does")));
    }
    let Planned { plan, .. } = project.planned()?;
    of_plan(project, &plan, margin)
}

/// The ledger of what a plan found on record. Without figures it has no rows.
pub(super) fn of_plan(project: &Project, plan: &Plan, margin: Option<f64>) -> Result<Ledger, Fault> {
    let pipeline = &project.pipeline;
    let overrides = &project.invocation.overrides;
    let written = match overrides.changes_values() && !pipeline.published.is_empty() {
        true => Some(load(&project.invocation.manifest, &overrides.as_written(), Catalog::built_in()?)?),
        false => None,
    };
    let record = |id: NodeId| -> Option<&Record> {
        match plan.verdicts.get(id.index()) {
            Some(Verdict::Fresh(record)) => Some(record),
            _ => None,
        }
    };
    let select = &project.choice.select;
    let named = selection::selected(pipeline, &project.graph, select);
    let wanted = |id: NodeId| select.is_empty() || named.contains(&id);
    let rows = ledger::make(pipeline, written.as_ref(), &wanted, &record, margin);
    Ok(Ledger { pipeline: pipeline.name.clone(), command: project.invocation.command(), rows })
}

fn read_kept(file: &Path) -> Result<Ledger, Fault> {
    let text = text_of(file)?;
    Ledger::read(&text).map_err(|error| {
        let message = format!("{} is no ledger: {error}", file.display());
        Fault::usage(format!("{message}\n  `ddpipe ledger MANIFEST --format json` writes one"))
    })
}

fn text_of(file: &Path) -> Result<String, Fault> {
    let fault = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::Usage } else { Exit::Cache };
        Fault { exit, message: format!("could not read {}: {error}", file.display()) }
    };
    let seen = std::fs::metadata(file).map_err(fault)?;
    if seen.len() > LARGEST {
        let (file, bytes) = (file.display(), seen.len());
        return Err(Fault::usage(format!("{file} has {bytes} bytes; up to {LARGEST} are read")));
    }
    std::fs::read_to_string(file).map_err(fault)
}

/// Makes the ledgers of a document anew; says whether it changed.
fn update(page: &Path, check: bool) -> Done {
    let text = text_of(page)?;
    let mut make = |words: &[&str]| -> Result<String, Fault> {
        let line = ["ddpipe", "ledger"].iter().chain(words);
        let cli = Cli::try_parse_from(line).map_err(|error| Fault::usage(error.to_string().trim_end().to_string()))?;
        match cli.command {
            Command::Ledger(args) if args.update.is_none() && args.out.is_none() => {
                args.format.unwrap_or(Format::Markdown).write(&args.ledger()?)
            }
            _ => Err(Fault::usage("a mark in a document states a ledger, without --update and --out")),
        }
    };
    let fresh = ledger::replaced(&text, &mut make).map_err(|error| {
        let exit = if let PageError::Made(_, fault) = &error { fault.exit } else { Exit::Usage };
        Fault { exit, message: format!("{}: {error}", page.display()) }
    })?;
    let name = page.display();
    if fresh == text {
        return print(&visible(&format!("{name}: as it is\n")));
    }
    if check {
        let message = format!("{name} is not what its ledgers give\n  `ddpipe ledger --update {name}` makes them anew");
        return Err(Fault { exit: Exit::Stage, message });
    }
    write_whole(page, fresh.as_bytes())?;
    print(&visible(&format!("{name}: written\n")))
}
