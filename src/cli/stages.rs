//! `ddpipe stages [KIND]`: the stage kinds, from their declarations alone.

use super::{Done, print};
use crate::catalog::Catalog;
use crate::diagnostic::did_you_mean;
use crate::exit::Fault;
use ddpipe_interface::{Better, Declaration, Metric, Names, Param, metric};

/// List or describe stage kinds.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Describe this kind
    kind: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    let catalog = Catalog::built_in().map_err(|error| Fault::usage(error.to_string()))?;
    let Some(name) = &args.kind else {
        if args.json {
            let all: Vec<_> = catalog.iter().map(|(_, kind)| &*kind.declaration).collect();
            return print(&format!("{:#}\n", serde_json::json!(all)));
        }
        let width = catalog.names().map(str::len).max().unwrap_or(0);
        let line = |(name, kind): (&str, &crate::catalog::Kind)| format!("{name:width$}  {}\n", kind.declaration.help);
        return print(&catalog.iter().map(line).collect::<String>());
    };
    let Some(declaration) = catalog.declaration(name) else {
        let near = did_you_mean(name, catalog.names());
        return Err(Fault::usage(format!("stage kind {name:?} is not known{near}\n  `ddpipe stages` lists them")));
    };
    if args.json {
        return print(&format!("{:#}\n", serde_json::json!(declaration)));
    }
    print(&describe(declaration))
}

fn describe(declaration: &Declaration) -> String {
    let mut text = format!("{} (version {})\n  {}\n", declaration.name, declaration.version, declaration.help);
    if let Some(paper) = &declaration.paper {
        text.push_str(&format!("  paper: {paper}\n"));
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
        notes.extend(param.unit.clone());
        notes.extend(param.work.then(|| "multiplies the work".to_string()));
        notes.extend(param.source.as_ref().map(|source| format!("default from {source}")));
        text.push_str(&format!("      {}\n", notes.join("; ")));
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
