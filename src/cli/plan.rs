//! `ddpipe plan`: what `run` would do, and why, without doing it.

use super::project::{PlanArgs, Planned};
use super::{Done, print};
use crate::pipeline::Pipeline;
use crate::plan::Verdict;
use serde_json::json;

/// Say what would run.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    let project = args.plan.open()?;
    let Planned { plan, needed, sources } = project.planned()?;
    if args.json {
        let nodes: Vec<_> = plan
            .verdicts
            .iter()
            .zip(&project.pipeline.nodes)
            .filter(|(verdict, _)| !matches!(verdict, Verdict::NotSelected))
            .map(|(verdict, node)| json!({ "node": node.address(), "verdict": word(verdict), "why": why(&project.pipeline, verdict) }))
            .collect();
        return print(&format!("{}\n", serde_json::Value::Array(nodes)));
    }
    let mut text = String::new();
    let width = project.pipeline.nodes.iter().map(|node| node.address().len()).max().unwrap_or(0).min(60);
    for (verdict, node) in plan.verdicts.iter().zip(&project.pipeline.nodes) {
        if !matches!(verdict, Verdict::NotSelected) {
            let line = format!("{:8}{:width$}  {}", word(verdict), node.address(), why(&project.pipeline, verdict));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    for missing in &sources.missing {
        let how = if missing.downloadable { "run downloads it" } else { "it has to be put there" };
        text.push_str(&format!("source  {} is not at {}; {how}\n", missing.name, missing.path.display()));
    }
    let (run, waiting, fresh) = plan.counts();
    let unasked =
        needed.iter().zip(&plan.verdicts).filter(|(may, verdict)| **may && matches!(verdict, Verdict::NotSelected));
    let unasked = match unasked.count() {
        0 => String::new(),
        count => format!(", {count} only if a search asks for them"),
    };
    text.push_str(&format!("{run} to run, {waiting} waiting for them, {fresh} on record{unasked}\n"));
    print(&crate::visible::visible(&text))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Fresh(_) => "fresh",
        Verdict::Run { .. } => "run",
        Verdict::Waiting { .. } | Verdict::Missing { .. } => "waits",
        Verdict::Unreadable { .. } => "error",
        Verdict::NotSelected => "left",
    }
}

fn why(pipeline: &Pipeline, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Run { reasons, .. } => reasons.iter().map(|reason| reason.to_string()).collect::<Vec<_>>().join(", "),
        Verdict::Waiting { on } => {
            let names: Vec<String> = on.iter().take(3).map(|node| pipeline.node(*node).address()).collect();
            let more = if on.len() > 3 { format!(" and {} more", on.len() - 3) } else { String::new() };
            format!("for {}{more}", names.join(", "))
        }
        Verdict::Missing { file } => format!("for the source file {file}"),
        Verdict::Unreadable { error } => error.to_string(),
        Verdict::Fresh(_) | Verdict::NotSelected => String::new(),
    }
}
