//! `ddpipe why NODE`: the verdict about a node, with everything that led to it.

use super::project::{PlanArgs, selectors};
use super::{Done, print};
use crate::plan::Verdict;
use ddpipe_cache::Record;

/// Explain a node.
#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// The node, or a pattern: distill[method=dm]
    #[arg(add = clap_complete::engine::ArgValueCandidates::new(super::complete::nodes))]
    node: String,
}

pub(super) fn run(args: Args) -> Done {
    let project = args.plan.open()?;
    let wanted = selectors(&project.pipeline, std::slice::from_ref(&args.node), "why")?;
    let plan = project.planned()?.plan;
    let mut text = String::new();
    for node in project.pipeline.nodes.iter().filter(|node| wanted.iter().any(|selector| node.matches(selector))) {
        text.push_str(&format!("{}\n", node.address()));
        match &plan.verdicts[node.id.index()] {
            Verdict::Fresh(record) => {
                text.push_str(&format!("  is on record under key {}\n", record.key.short()));
                text.push_str(&history(record));
                for (name, value) in &record.description {
                    text.push_str(&format!("    {name} = {}\n", shorten(value)));
                }
            }
            Verdict::Run { action, reasons } => {
                text.push_str(&format!("  would run under key {}, because\n", action.key.short()));
                for reason in reasons {
                    text.push_str(&format!("    {reason}\n"));
                }
                if let Some(record) = project.cache.newest_record(&project.pipeline.name, &node.address())? {
                    text.push_str(&format!("  its newest record is {}\n{}", record.key.short(), history(&record)));
                }
            }
            Verdict::Waiting { on } => {
                text.push_str(
                    "  is decided after these have run; if they give the bytes they gave before, it does not run\n",
                );
                for node in on {
                    text.push_str(&format!("    {}\n", project.pipeline.node(*node).address()));
                }
            }
            Verdict::Unreadable { error } => text.push_str(&format!("  cannot be told: {error}\n")),
            Verdict::Missing { file } => text.push_str(&format!("  waits for the source file {file}\n")),
            Verdict::NotSelected => text.push_str("  is not selected, and nothing selected asked for it\n"),
        }
    }
    print(&crate::visible::visible(&text))
}

fn history(record: &Record) -> String {
    let made = &record.provenance;
    let mut text = format!("    made by {} in {:.1} s on {}", record.node, made.seconds, made.device);
    if !made.device_name.is_empty() {
        text.push_str(&format!(" ({})", made.device_name));
    }
    text.push_str(&format!(", host {}, ddpipe {}\n", made.host, made.ddpipe));
    for (name, source) in &record.sources {
        let verified = if source.verified { "as pinned" } else { "not verified" };
        text.push_str(&format!("    read {name}: blake3 {} ({verified})\n", source.digest.short()));
    }
    text
}

fn shorten(value: &str) -> String {
    match value.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_string(),
    }
}
