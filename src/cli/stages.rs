//! `ddpipe stages [KIND]`: the stage kinds, from their declarations alone, and which of them are asked for.

use super::{Done, complete, kinds, print};
use crate::catalog::{Catalog, Kind};
use crate::diagnostic::did_you_mean;
use crate::exit::Fault;
use crate::visible::visible;
use clap_complete::engine::ArgValueCandidates;
use ddpipe_interface::{Better, Metric, Names, Param, metric};
use std::path::PathBuf;

/// List or describe stage kinds.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Describe this kind; or list a group, or all kinds with this word in their name or help: distill, coreset
    #[arg(add = ArgValueCandidates::new(complete::kinds))]
    kind: Option<String>,
    /// Also the kinds of this manifest's project [default: of the project here]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    manifest: Option<PathBuf>,
    /// Also the kinds in this folder; may be repeated
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    kinds: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    let catalog = kinds::catalog(&args.kinds, args.manifest.as_deref())?;
    if let Some(kind) = args.kind.as_ref().and_then(|name| catalog.get(name)) {
        return match args.json {
            true => print(&format!("{:#}\n", serde_json::json!(*kind.declaration))),
            false => print(&visible(&describe(kind))),
        };
    }
    let found = matching(&catalog, args.kind.as_deref())?;
    if args.json {
        let all: Vec<_> = found.iter().map(|(_, kind)| &*kind.declaration).collect();
        return print(&format!("{:#}\n", serde_json::json!(all)));
    }
    print(&visible(&list(&found)))
}

/// The kinds of a group; else those whose name or help has this text; all of them without a text.
fn matching<'a>(catalog: &'a Catalog, text: Option<&str>) -> Result<Vec<(&'a str, &'a Kind)>, Fault> {
    let Some(text) = text else { return Ok(catalog.iter().collect()) };
    let lower = text.to_lowercase();
    let of_group: Vec<_> = catalog.iter().filter(|(name, _)| group(name) == lower).collect();
    if !of_group.is_empty() {
        return Ok(of_group);
    }
    let says =
        |(name, kind): &(&str, &Kind)| name.contains(&lower) || kind.declaration.help.to_lowercase().contains(&lower);
    let found: Vec<_> = catalog.iter().filter(says).collect();
    if found.is_empty() || lower.is_empty() {
        let groups = catalog.names().map(group);
        let near = did_you_mean(text, catalog.names().chain(groups));
        let message = format!(
            "stage kind {text:?} is not known{near}\n  `ddpipe stages` lists all; --kinds and --manifest add those of a project"
        );
        return Err(Fault::usage(message));
    }
    Ok(found)
}

/// The part of a kind's name before the dot.
fn group(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// One line for each kind, below the name of its group.
fn list(kinds: &[(&str, &Kind)]) -> String {
    let width = kinds.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut last = None;
    for (name, kind) in kinds {
        if last != Some(group(name)) {
            text.push_str(&format!("{}{}\n", if last.is_some() { "\n" } else { "" }, group(name)));
            last = Some(group(name));
        }
        text.push_str(&format!("  {name:width$}  {}\n", kind.declaration.help));
    }
    text
}

fn describe(kind: &Kind) -> String {
    let declaration = &kind.declaration;
    let mut text = format!("{} (version {})\n  {}\n", declaration.name, declaration.version, declaration.help);
    if let Some(paper) = &declaration.paper {
        text.push_str(&format!("  paper: {paper}\n"));
    }
    if let (Some(command), Some(folder)) = (&declaration.command, &kind.folder) {
        text.push_str(&format!("  runs: {} in {}\n", command.join(" "), folder.display()));
    }
    if declaration.seeded {
        text.push_str("  draws random numbers: the node's seed enters the key\n");
    }
    text.push_str("\ninputs\n");
    for (name, input) in &declaration.inputs {
        let types: Vec<&str> = input.types.iter().map(|artifact| artifact.name()).collect();
        let many = if input.many { ", many" } else { "" };
        let many = if input.on_demand { ", many, on demand" } else { many };
        let optional = if input.optional { ", optional" } else { "" };
        text.push_str(&format!("  {name} ({}{many}{optional})\n      {}\n", types.join(" or "), input.help));
    }
    text.push_str("\noutputs\n");
    for (name, output) in &declaration.outputs {
        let extension = output.extension.as_ref().map_or(String::new(), |extension| format!(", .{extension}"));
        text.push_str(&format!("  {name} ({}{extension})\n      {}\n", output.artifact, output.help));
    }
    if !declaration.params.is_empty() {
        text.push_str("\nparams\n");
    }
    for (name, param) in &declaration.params {
        text.push_str(&format!("  {name} = {}\n      {}\n", default(param), param.help));
        let mut notes = vec![param.expectation()];
        notes.extend(param.names.as_ref().map(|names| match names {
            Names::MetricOf(input) => format!("a metric of something connected to {input}"),
            Names::MetricOfEach(input) => format!("a metric of all that is connected to {input}"),
            Names::LabelOf(input) => format!("a label of something connected to {input}"),
        }));
        let only = |(other, allowed): (&String, &Vec<String>)| format!("only where {other} is {}", allowed.join(", "));
        notes.extend(param.only_with.iter().map(only));
        notes.extend(param.unit.clone());
        notes.extend(param.work.then(|| "multiplies the work".to_string()));
        notes.extend(param.source.as_ref().map(|source| format!("default from {source}")));
        text.push_str(&format!("      {}\n", notes.join("; ")));
        for (choice, settings) in &param.sets {
            let values: Vec<String> =
                settings.iter().map(|(name, setting)| format!("{name} = {}", setting.value)).collect();
            text.push_str(&format!("      {choice} sets {}\n", values.join(", ")));
        }
    }
    text.push_str("\nmetrics\n");
    declaration.metrics.iter().for_each(|(name, metric)| text.push_str(&line(name, metric)));
    if !declaration.declares_metrics() {
        text.push_str("  not declared: whatever its program gives\n");
    }
    text.push_str("\nmetrics of every stage\n");
    metric::of_every_stage().iter().for_each(|(name, metric)| text.push_str(&line(name, metric)));
    text
}

/// `accuracy (share, higher is better)`, and below it what it is.
fn line(name: &str, metric: &Metric) -> String {
    let better = metric.better.map(|better| match better {
        Better::Higher => "higher is better",
        Better::Lower => "lower is better",
    });
    let measured = metric.measured.then_some("measured");
    let headline = metric.headline.then_some("shown when a stage is done");
    let notes = metric.unit.as_deref().into_iter().chain(better).chain(measured);
    let notes: Vec<&str> = notes.chain(headline).collect();
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    format!("  {name}{notes}\n      {}\n", metric.help)
}

fn default(param: &Param) -> String {
    match &param.default {
        Some(value) => value.to_string(),
        None if param.optional => "(none)".into(),
        None => "(required)".into(),
    }
}
