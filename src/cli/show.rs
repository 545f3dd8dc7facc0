//! `ddpipe show NODE`: a node's outputs, their sizes and shapes, and its scalar results; or the bytes of one output.

mod open;
mod picture;
mod tensors;

pub(super) use open::open_file;

use super::project::{PlanArgs, Project, selectors};
use super::{Done, absence, print};
use crate::exit::{Exit, Fault};
use crate::number::significant;
use crate::pipeline::Node;
use crate::plan::Verdict;
use crate::results;
use crate::size;
use crate::sources::Sources;
use crate::terminal::{self, Style};
use crate::when;
use ddpipe_cache::{Output, Record};
use ddpipe_interface::{ArtifactType, Value as ParamValue};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

/// Show a node's outputs. Exit code 1 when nothing of it is on record.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// The node, or a pattern
    #[arg(add = clap_complete::engine::ArgValueCandidates::new(super::complete::nodes))]
    node: Option<String>,
    /// This output alone
    #[arg(long, value_name = "NAME")]
    output: Option<String>,
    /// Write the output's bytes to this file, to a file for each node in this folder (DIR/), or to standard output (-)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "path"])]
    out: Option<PathBuf>,
    /// Print the paths of the outputs in the cache, one a line
    #[arg(long, conflicts_with = "json")]
    path: bool,
    /// Open the outputs with the programs that the desktop has for them
    #[arg(long, conflicts_with_all = ["json", "path", "out"])]
    open: bool,
    /// Draw PNG pictures in half blocks [default: auto, on a terminal that shows colours]
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_value = "auto")]
    #[arg(default_missing_value = "always", hide_default_value = true)]
    picture: When,
    /// Read the range of values of large tensors too; without it those of outputs up to 256 MiB
    #[arg(long)]
    values: bool,
    /// Print JSON, with numbers in full
    #[arg(long)]
    json: bool,
}

/// When pictures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum When {
    /// On a terminal that shows colours and letters beyond ASCII.
    Auto,
    /// Wherever the output goes, unless NO_COLOR is set.
    Always,
    /// Not at all.
    Never,
}

/// Bytes of an output whose values are read without being asked for.
const READ: u64 = 256 << 20;
/// Columns and rows of a picture where there is no terminal.
const NO_TERMINAL: (usize, usize) = (80, 40);

/// Tensors of one output that are listed before the rest is counted.
const TENSORS: usize = 8;

pub(super) fn run(mut args: Args) -> Done {
    let node = args.plan.node(args.node.take())?;
    let project = args.plan.open()?;
    let wanted = selectors(&project.pipeline, &[node], "show")?;
    let planned = project.planned()?;
    absence::say(&planned.sources);
    let nodes = project.pipeline.nodes.iter().filter(|node| wanted.iter().any(|selector| node.matches(selector)));
    let (mut shown, mut absent): (Vec<Shown>, Vec<(&Node, String)>) = (Vec::new(), Vec::new());
    for node in nodes {
        match &planned.plan.verdicts[node.id.index()] {
            Verdict::Fresh(record) => shown.push(Shown { project: &project, node, record }),
            verdict => absent.push((node, reason(verdict, &planned.sources))),
        }
    }
    if let Some(output) = &args.output {
        shown.iter().try_for_each(|shown| shown.output(output).map(|_| ()))?;
    }
    for shown in &shown {
        shown.bring(args.output.as_deref())?;
    }
    if !args.json {
        absent.iter().for_each(|(node, reason)| crate::note::say(format_args!("{}: {reason}", node.address())));
    }
    match &args.out {
        Some(out) if !shown.is_empty() => write(&shown, args.output.as_deref(), out)?,
        Some(_) => Exit::Ok,
        None if args.open => open::open(&shown, args.output.as_deref())?,
        None => print(&printed(&args, &shown, &absent))?,
    };
    Ok(if shown.is_empty() { Exit::Stage } else { Exit::Ok })
}

fn printed(args: &Args, shown: &[Shown], absent: &[(&Node, String)]) -> String {
    let only = args.output.as_deref();
    if args.json {
        let not =
            absent.iter().map(|(node, reason)| json!({ "node": node.address(), "on_record": false, "why": reason }));
        let all: Value = shown.iter().map(|shown| shown.as_json(only, args.values)).chain(not).collect();
        return format!("{all}\n");
    }
    if args.path {
        let path = |(shown, output): (&Shown, &Output)| format!("{}\n", shown.path(output).display());
        let outputs = shown.iter().flat_map(|shown| shown.outputs(only).map(move |(_, output)| (shown, output)));
        return outputs.map(path).collect();
    }
    let room = args.room_for_pictures();
    shown.iter().map(|shown| shown.in_words(only, args.values, room)).collect()
}

impl Args {
    /// Columns and rows that a picture may have, if it is drawn.
    fn room_for_pictures(&self) -> Option<(usize, usize)> {
        let (style, is_terminal) = (Style::of_stdout(), std::io::stdout().is_terminal());
        let drawn = match self.picture {
            When::Never => false,
            When::Auto => is_terminal && style.colour && style.unicode,
            When::Always => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let of_terminal = || {
            let (columns, rows) = terminal::size();
            (columns.saturating_sub(1), rows.saturating_sub(4))
        };
        drawn.then(|| if is_terminal { of_terminal() } else { NO_TERMINAL })
    }
}

/// Why there is nothing to show of a node.
fn reason(verdict: &Verdict, sources: &Sources) -> String {
    match verdict {
        Verdict::Run { reasons, .. } => {
            let reasons: Vec<String> = reasons.iter().map(|reason| reason.to_string()).collect();
            format!("not on record ({}); `ddpipe run` makes it", reasons.join(", "))
        }
        Verdict::Waiting { .. } => "not on record as long as what it reads has not run; `ddpipe run` makes it".into(),
        Verdict::Missing { file } if is_known(sources, file) => {
            format!("not on record; to make it, `ddpipe run` needs the source file {file}, which is not there")
        }
        Verdict::Missing { file } => {
            format!("whether it is on record cannot be told without the source file {file}, whose digest is not known")
        }
        Verdict::LeftOut { file } => format!("left out: {file} is not there"),
        Verdict::Unreadable { error } => format!("cannot be told: {error}"),
        Verdict::NotSelected | Verdict::Fresh(_) => "not on record; nothing that is selected asked for it".into(),
    }
}

fn is_known(sources: &Sources, file: &str) -> bool {
    sources.missing.iter().any(|missing| missing.name() == file && missing.digest.is_some())
}

/// A node that is on record.
struct Shown<'a> {
    project: &'a Project,
    node: &'a Node,
    record: &'a Record,
}

impl Shown<'_> {
    fn path(&self, output: &Output) -> PathBuf {
        self.project.cache.blobs().path(output.digest)
    }

    /// Brings the outputs here that are in the remote alone.
    fn bring(&self, only: Option<&str>) -> Result<(), Fault> {
        for (_, output) in self.outputs(only) {
            self.project.cache.bring(output.digest, output.bytes)?;
        }
        Ok(())
    }

    /// The outputs, or the one of this name.
    fn outputs<'s>(&'s self, only: Option<&'s str>) -> impl Iterator<Item = (&'s String, &'s Output)> {
        self.record.outputs.iter().filter(move |(name, _)| only.is_none_or(|only| only == *name))
    }

    fn output(&self, name: &str) -> Result<&Output, Fault> {
        let fault = || {
            let near = crate::diagnostic::did_you_mean(name, self.record.outputs.keys().map(String::as_str));
            let all: Vec<&str> = self.record.outputs.keys().map(String::as_str).collect();
            let node = self.node.address();
            Fault::usage(format!("{node} has no output {name:?}{near}\n  its outputs are {}", all.join(", ")))
        };
        self.record.outputs.get(name).ok_or_else(fault)
    }

    /// What a terminal would obey is written out, but for the colours of pictures.
    fn in_words(&self, only: Option<&str>, all_values: bool, room: Option<(usize, usize)>) -> String {
        let made = &self.record.provenance;
        let address = self.node.address();
        let made_at = when::long(when::since_1970(made.started_unix));
        let mut text = visible(&format!("{address} ({}), {:.2} s on {made_at}\n", self.node.kind, made.seconds));
        for (name, output) in self.outputs(only) {
            let (kind, size, path) = (&output.artifact_type, size::show(output.bytes), self.path(output));
            text.push_str(&visible(&format!("  {name}: {kind}, {size}, {}\n", path.display())));
            let tensors = tensors::of(&path);
            for tensor in tensors.iter().take(TENSORS) {
                let values = (all_values || output.bytes <= READ).then(|| tensor.values(&path)).flatten();
                let values = values.map_or(String::new(), |values| format!("  {}", values.in_words()));
                text.push_str(&visible(&format!("    {}: {}{values}\n", tensor.name, tensor.shape)));
            }
            if tensors.len() > TENSORS {
                text.push_str(&format!("    and {} more tensors\n", tensors.len() - TENSORS));
            }
            text.push_str(&room.and_then(|room| self.picture(output, room)).unwrap_or_default());
        }
        if only.is_none() {
            for (name, value, from) in self.params() {
                let from = from.map_or(String::new(), |(selector, choice)| format!(" (from {selector} {choice})"));
                text.push_str(&visible(&format!("  param {name} = {value}{from}\n")));
            }
            for (name, value) in &self.record.numbers() {
                text.push_str(&visible(&format!("  {name} = {}\n", significant(*value))));
            }
        }
        text
    }

    /// The parameters that are not at their defaults, and what set them if a manifest did not.
    fn params(&self) -> impl Iterator<Item = (&str, &ParamValue, Option<(&str, &str)>)> {
        let kind = self.project.pipeline.catalog.declaration(&self.node.kind);
        self.node.params.iter().filter_map(move |(name, value)| {
            let default = kind.and_then(|kind| kind.params.get(name)).and_then(|param| param.default.as_ref());
            let from = kind.and_then(|kind| kind.set_by(&self.node.params, name));
            (default != Some(value)).then_some((name.as_str(), value, from))
        })
    }

    /// The output as a picture in the terminal, if it is one.
    fn picture(&self, output: &Output, room: (usize, usize)) -> Option<String> {
        if output.artifact_type != ArtifactType::Image.to_string() {
            return None;
        }
        let bytes = self.project.cache.blobs().read_verified(output.digest).ok()?;
        let drawn = || picture::draw(&bytes, picture::Colours::of_environment(), room);
        picture::is_png(&bytes).then(drawn).flatten()
    }

    fn as_json(&self, only: Option<&str>, all_values: bool) -> Value {
        let record = self.record;
        let output = |(name, output): (&String, &Output)| {
            let path = self.path(output);
            let read = tensors::of(&path);
            let tensors: serde_json::Map<String, Value> =
                read.iter().map(|tensor| (tensor.name.clone(), tensor.shape.clone().into())).collect();
            let few = if all_values || output.bytes <= READ { read.as_slice() } else { &[] };
            let values: serde_json::Map<String, Value> =
                few.iter().filter_map(|tensor| Some((tensor.name.clone(), tensor.values(&path)?.as_json()))).collect();
            let value = json!({
                "type": output.artifact_type, "bytes": output.bytes, "digest": output.digest, "path": path, "tensors": tensors,
                "values": values,
            });
            (name.clone(), value)
        };
        json!({
            "node": self.node.address(),
            "kind": self.node.kind,
            "on_record": true,
            "key": record.key,
            "started_unix": record.provenance.started_unix,
            "seconds": record.provenance.seconds,
            "params": self.params().map(|(name, value, _)| (name.to_string(), json!(value))).collect::<serde_json::Map<_, _>>(),
            "set_by": self.params().filter_map(set_by).collect::<serde_json::Map<_, _>>(),
            "outputs": self.outputs(only).map(output).collect::<serde_json::Map<String, Value>>(),
            "metrics": numbers(&record.metrics),
            "measured": numbers(&record.measured),
        })
    }
}

/// The choice that a parameter's value comes from: `"lr": "protocol frepo"`.
fn set_by((name, _, from): (&str, &ParamValue, Option<(&str, &str)>)) -> Option<(String, Value)> {
    from.map(|(selector, choice)| (name.to_string(), json!(format!("{selector} {choice}"))))
}

/// Numbers as JSON; those that it has no numbers for become texts, as in records.
fn numbers(numbers: &indexmap::IndexMap<String, f64>) -> Value {
    let value = |value: &f64| if value.is_finite() { json!(value) } else { json!(value.to_string()) };
    numbers
        .iter()
        .map(|(name, number)| (name.clone(), value(number)))
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

fn visible(text: &str) -> String {
    crate::visible::visible(text).into_owned()
}

/// Writes the bytes of one output of each node.
fn write(shown: &[Shown], output: Option<&str>, out: &Path) -> Done {
    let mut files = Vec::with_capacity(shown.len());
    for shown in shown {
        let name = match output {
            Some(name) => name,
            None => the_only(shown)?,
        };
        files.push((shown, name, shown.output(name)?));
    }
    let cache = &shown[0].project.cache;
    let folder = out.is_dir() || out.as_os_str().as_encoded_bytes().ends_with(b"/");
    if files.len() > 1 && !folder {
        let nodes: Vec<String> = files.iter().map(|(shown, ..)| shown.node.address()).collect();
        let all = super::listed(&nodes);
        return Err(Fault::usage(format!(
            "{} nodes match, and --out names one file: {all}\n  name one of them, or a folder: --out DIR/",
            nodes.len()
        )));
    }
    if folder {
        std::fs::create_dir_all(out).map_err(|error| Fault::io("make", out, &error))?;
    }
    for (shown, name, made) in files {
        let bytes = cache.blobs().read_verified(made.digest)?;
        if out.as_os_str() == "-" {
            let mut stdout = std::io::stdout().lock();
            return match stdout.write_all(&bytes).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
                _ => Ok(Exit::Ok),
            };
        }
        let path = match folder {
            true => out.join(file_name(shown, name, &bytes)),
            false => out.to_path_buf(),
        };
        std::fs::write(&path, bytes).map_err(|error| Fault::io("write", &path, &error))?;
        print(&crate::visible::visible(&format!("{}\n", path.display())))?;
    }
    Ok(Exit::Ok)
}

/// The output of a node that has one.
fn the_only<'s>(shown: &'s Shown) -> Result<&'s str, Fault> {
    let names: Vec<&str> = shown.record.outputs.keys().map(String::as_str).collect();
    match names.as_slice() {
        [one] => Ok(one),
        several => {
            let node = shown.node.address();
            let message =
                format!("{node} has {} outputs; name one with --output: {}", several.len(), several.join(", "));
            Err(Fault::usage(message))
        }
    }
}

fn file_name(shown: &Shown, name: &str, bytes: &[u8]) -> String {
    let kind = shown.project.pipeline.catalog.declaration(&shown.node.kind);
    match kind.and_then(|kind| kind.outputs.get(name)) {
        Some(output) => results::file_name(shown.node, name, output, bytes),
        None => format!("{}.{name}", shown.node.stage),
    }
}
