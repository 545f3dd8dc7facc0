//! What the commands say when source files are not there: whose digests stand in, what is left out, and which tables are
//! made of less than their manifest names.

use super::project::Project;
use crate::exit::Fault;
use crate::pipeline::NodeId;
use crate::plan::{Plan, Planner, Verdict};
use crate::selection;
use crate::sources::{self, Sources};

/// Names of nodes that are said before the rest is counted.
const NAMES: usize = 3;

/// Says whose digests on record are used, on standard error.
pub fn say(sources: &Sources) {
    sources::stand_ins(sources).iter().for_each(crate::note::say);
}

/// What is worth saying once about files that are not there.
pub fn notes(project: &Project, planner: &Planner, plan: &Plan, sources: &Sources) -> Vec<String> {
    if sources.missing.is_empty() {
        return Vec::new();
    }
    let mut notes = sources::stand_ins(sources);
    notes.extend(left_out(project, plan, sources));
    for node in &project.pipeline.nodes {
        let (gaps, all) = planner.gaps(node.id);
        if !gaps.is_empty() {
            let names: Vec<String> = gaps.iter().take(NAMES).map(|gap| project.pipeline.node(*gap).address()).collect();
            let more = if gaps.len() > NAMES { ", …" } else { "" };
            let (node, count) = (node.address(), gaps.len());
            notes.push(format!(
                "{node}: made without {count} of {all} results ({}{more}), which are left out",
                names.join(", ")
            ));
        }
    }
    notes
}

fn left_out(project: &Project, plan: &Plan, sources: &Sources) -> Vec<String> {
    let left: Vec<_> =
        plan.left_out().map(|(node, file)| (file.to_string(), project.pipeline.node(node).address())).collect();
    sources::left_out(&project.pipeline, sources, &left)
}

/// Refuses to run when all that is asked for is left out.
///
/// # Errors
/// In words, with how to get what is missing.
pub fn refuse(project: &Project, plan: &Plan, sources: &Sources) -> Result<(), Fault> {
    let asked: Vec<&Verdict> = asked(project).into_iter().map(|node| &plan.verdicts[node.index()]).collect();
    if asked.is_empty() || !asked.iter().all(|verdict| matches!(verdict, Verdict::LeftOut { .. })) {
        return Ok(());
    }
    Err(Fault::usage(format!("nothing is left to run\n{}", left_out(project, plan, sources).join("\n"))))
}

/// The nodes that the user asks for: the selected ones, else those that nothing reads.
fn asked(project: &Project) -> Vec<NodeId> {
    selection::selected(&project.pipeline, &project.graph, &project.choice.select).into_iter().collect()
}
