//! `ddpipe table NODE`: a table of the manifest once more, sorted, folded or set in another way. Only the table's own stage
//! runs, and only if this very table is not on record; it leaves nothing in `results/` and is no run of the pipeline.

mod format;
mod make;
mod options;

use self::format::Format;
use self::options::Wanted;
use super::allow::Commands;
use super::project::ManifestArgs;
use super::{Done, listed, print};
use crate::exit::{Exit, Fault};
use crate::ledger::beside_table;
use crate::pipeline::{Node, NodeId, Pipeline};
use crate::results;
use crate::selector::Selector;
use crate::terminal::Style;
use crate::{selection, slots};
use clap_complete::engine::ArgValueCandidates;
use ddpipe_interface::Declaration;
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Make a table once more, with other rows, columns, value or format. The results that it shows have to be on record.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The table's node; may be left out where the manifest has one table
    #[arg(add = ArgValueCandidates::new(super::complete::nodes))]
    node: Option<String>,
    #[command(flatten)]
    wanted: Wanted,
    /// How to print it [default: as the ending of --out says, else text]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write it to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The device for which the results were computed: auto, cpu, cuda, cuda:0
    #[arg(long, value_name = "DEVICE", default_value = "auto", env = "DDPIPE_DEVICE")]
    device: String,
    /// Let a kind of the project's own run its program: all, or only those accepted with `ddpipe allow`
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    allow_commands: Option<Commands>,
}

pub(super) fn run(mut args: Args) -> Done {
    let second = args.node.take();
    let node = args.manifest.node(second);
    let file = args.out.as_ref().filter(|out| out.as_os_str() != "-");
    let format = args.format.or_else(|| file.and_then(|file| Format::of_file(file))).unwrap_or(Format::Text);

    let mut invocation = args.manifest.invocation()?;
    let as_written = invocation.load(&[])?.pipeline;
    let table = the_table(&as_written, node.as_deref())?;
    let kind = declaration(&as_written, table)?;
    let output = format.output(kind)?.to_string();
    invocation.overrides.options = args.wanted.options(&table.stage, kind)?;
    invocation.select = vec![table.address()];

    let mut slots = slots::find(&args.device, Some(1), None)?;
    slots.check_devices()?;
    slots.names.truncate(1);
    let project = args.manifest.open_as(invocation, &slots)?;
    let record = make::record(&project, &table.address(), slots, args.allow_commands)?;
    let made = record.outputs.get(&output).ok_or_else(|| Fault {
        exit: Exit::Cache,
        message: format!("{}: there is no output {output:?} on record", table.address()),
    })?;
    let mut bytes = project.cache.blobs().read_verified(made.digest)?;
    if let (Format::Text | Format::Markdown, Some(node)) = (format, node_of(&project.pipeline, &table.address())) {
        let published = beside_table(&project.pipeline, node).map(|text| format!("\n{text}"));
        bytes.extend(published.unwrap_or_default().into_bytes());
    }
    match file {
        Some(file) => {
            results::write_whole(file, &format.for_file(bytes))?;
            print(&crate::visible::visible(&format!("{}\n", file.display())))
        }
        None => format.print(bytes, Style::of_stdout(), std::io::stdout().is_terminal()),
    }
}

/// The node of this address.
fn node_of(pipeline: &Pipeline, address: &str) -> Option<NodeId> {
    pipeline.nodes.iter().find(|node| node.address() == address).map(|node| node.id)
}

/// Whether a kind sorts what is connected into the cells of a table.
fn makes_tables(kind: &Declaration) -> bool {
    kind.inputs.values().any(|input| input.cells.is_some())
}

fn declaration<'a>(pipeline: &'a Pipeline, node: &Node) -> Result<&'a Declaration, Fault> {
    let kind = pipeline.catalog.declaration(&node.kind);
    kind.ok_or_else(|| Fault::usage(format!("kind {:?} is not known", node.kind)))
}

/// The table that is meant: the one of this name, or the only one.
fn the_table<'a>(pipeline: &'a Pipeline, named: Option<&str>) -> Result<&'a Node, Fault> {
    let is_table = |node: &&Node| pipeline.catalog.declaration(&node.kind).is_some_and(makes_tables);
    let names = |nodes: &[&Node]| listed(&nodes.iter().map(|node| node.address()).collect::<Vec<_>>());
    let tables: Vec<&Node> = pipeline.nodes.iter().filter(is_table).collect();
    let there = match tables.as_slice() {
        [] => "the manifest has no table".to_string(),
        [one] => format!("the manifest has one table: {}", one.address()),
        several => format!("the tables of the manifest are {}", names(several)),
    };
    let Some(named) = named else {
        return match tables.as_slice() {
            [one] => Ok(one),
            [] => Err(Fault::usage(there)),
            _ => Err(Fault::usage(format!("name one of the tables\n  {there}"))),
        };
    };
    let selector: Selector = named.parse().map_err(|error| Fault::usage(format!("table {named}: {error}")))?;
    selection::check(pipeline, &selector, &format!("table {named}")).map_err(Fault::usage)?;
    let meant: Vec<&Node> = pipeline.nodes.iter().filter(|node| node.matches(&selector)).collect();
    match meant.as_slice() {
        [one] if is_table(one) => Ok(one),
        [one] => {
            Err(Fault::usage(format!("{} is of kind {}, which makes no table\n  {there}", one.address(), one.kind)))
        }
        several => {
            Err(Fault::usage(format!("{named} may be any of {}\n  name one of them, with its axes", names(several))))
        }
    }
}
