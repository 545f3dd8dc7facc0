//! `ddpipe show NODE`: a node's outputs, their sizes and scalar results; or one output's bytes, to a file.

use super::project::{PlanArgs, selectors};
use super::{Done, print};
use crate::exit::Fault;
use crate::plan::Verdict;
use crate::size;
use ddpipe_cache::Record;
use std::path::{Path, PathBuf};

/// Show a node's outputs.
#[derive(Debug, clap::Args)]
#[command(allow_missing_positional = true)]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// The node, or a pattern
    #[arg(add = clap_complete::engine::ArgValueCandidates::new(super::complete::nodes))]
    node: String,
    /// Write this output's bytes to --out
    #[arg(long, value_name = "NAME", requires = "out")]
    output: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE", requires = "output")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Done {
    let project = args.plan.open()?;
    let wanted = selectors(&project.pipeline, std::slice::from_ref(&args.node), "show")?;
    let plan = project.planned()?.plan;
    let mut text = String::new();
    for node in project.pipeline.nodes.iter().filter(|node| wanted.iter().any(|selector| node.matches(selector))) {
        let Verdict::Fresh(record) = &plan.verdicts[node.id.index()] else {
            text.push_str(&format!("{}: not on record; `ddpipe run` makes it\n", node.address()));
            continue;
        };
        if let (Some(output), Some(out)) = (&args.output, &args.out) {
            return write(&project.cache, &node.address(), record, output, out);
        }
        text.push_str(&format!("{} ({}), {:.2} s\n", node.address(), node.kind, record.provenance.seconds));
        for (name, made) in &record.outputs {
            let path = project.cache.blobs().path(made.digest);
            text.push_str(&format!(
                "  {name}: {}, {}, {}\n",
                made.artifact_type,
                size::show(made.bytes),
                path.display()
            ));
        }
        for (name, value) in &record.numbers() {
            text.push_str(&format!("  {name} = {value}\n"));
        }
    }
    print(&crate::visible::visible(&text))
}

fn write(cache: &ddpipe_cache::Cache, node: &str, record: &Record, output: &str, out: &Path) -> Done {
    let Some(made) = record.outputs.get(output) else {
        let near = crate::diagnostic::did_you_mean(output, record.outputs.keys().map(String::as_str));
        return Err(Fault::usage(format!("{node} has no output {output:?}{near}")));
    };
    let bytes = cache.blobs().read_verified(made.digest)?;
    std::fs::write(out, bytes).map_err(|error| Fault::io("write", out, &error))?;
    print(&format!("{}\n", out.display()))
}
