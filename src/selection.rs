//! Which nodes `--select` and `--force` mean: `evaluate[seed=0]`, `report_*`, `distill+` (with everything after it),
//! `!pictures` (not these, nor what reads them). Knows the graph; what runs is for `plan`.

use crate::diagnostic::{Diagnostic, Place, SourceText, did_you_mean};
use crate::graph::Graph;
use crate::pipeline::{NodeId, Pipeline};
use crate::resolve::selector_faults;
use crate::selector::{Selector, SelectorError};
use ddpipe_interface::Value;
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One `--select` or `--force`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// The nodes that it names.
    pub nodes: Selector,
    /// Whether everything that reads them is meant too, directly or not: `distill+`.
    pub after: bool,
    /// Whether these are left out: `!distill`.
    pub without: bool,
}

impl FromStr for Pick {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let trimmed = text.trim();
        let (without, rest) = trimmed.strip_prefix('!').map_or((false, trimmed), |rest| (true, rest));
        // What a node needs is part of every selection; `+node` may say so.
        let rest = rest.strip_prefix('+').unwrap_or(rest);
        let (after, rest) = rest.strip_suffix('+').map_or((false, rest), |rest| (true, rest));
        Ok(Pick { nodes: rest.parse()?, after, without })
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, behind) = (if self.without { "!" } else { "" }, if self.after { "+" } else { "" });
        write!(f, "{before}{}{behind}", self.nodes)
    }
}

/// The nodes that `--select` asks for; what they need comes on top. Every end of the graph where nothing is picked, and
/// everything that these need where picks only leave out.
pub fn selected(pipeline: &Pipeline, graph: &Graph, picks: &[Pick]) -> BTreeSet<NodeId> {
    let (without, with): (Vec<&Pick>, Vec<&Pick>) = picks.iter().partition(|pick| pick.without);
    let mut nodes = match (with.is_empty(), without.is_empty()) {
        (true, true) => return graph.ends().collect(),
        (true, false) => marked(pipeline, &graph.needed_by(graph.ends())),
        (false, _) => named(pipeline, graph, &with),
    };
    // Nothing that is left may need what is left out.
    let gone = graph.read_by(named(pipeline, graph, &without));
    nodes.retain(|node| !gone[node.index()]);
    nodes
}

/// The nodes that `--force` names; none where nothing is picked.
pub fn forced(pipeline: &Pipeline, graph: &Graph, picks: &[Pick]) -> BTreeSet<NodeId> {
    let (without, with): (Vec<&Pick>, Vec<&Pick>) = picks.iter().partition(|pick| pick.without);
    let mut nodes = match with.is_empty() && !without.is_empty() {
        true => pipeline.nodes.iter().map(|node| node.id).collect(),
        false => named(pipeline, graph, &with),
    };
    let gone = named(pipeline, graph, &without);
    nodes.retain(|node| !gone.contains(node));
    nodes
}

/// The nodes that these picks name, whether they leave them out or not.
fn named(pipeline: &Pipeline, graph: &Graph, picks: &[&Pick]) -> BTreeSet<NodeId> {
    let mut nodes = BTreeSet::new();
    for pick in picks {
        let own: Vec<NodeId> = pipeline.select(&pick.nodes).map(|node| node.id).collect();
        match pick.after {
            true => nodes.extend(marked(pipeline, &graph.read_by(own))),
            false => nodes.extend(own),
        }
    }
    nodes
}

fn marked(pipeline: &Pipeline, marks: &[bool]) -> BTreeSet<NodeId> {
    pipeline.nodes.iter().map(|node| node.id).filter(|id| marks.get(id.index()) == Some(&true)).collect()
}

/// Reads picks and makes sure that each names something, and that together they leave something.
///
/// # Errors
/// What is wrong with the first that does not, in words; `what` is the option: `--select`.
pub fn picks(pipeline: &Pipeline, graph: &Graph, texts: &[String], what: &str) -> Result<Vec<Pick>, String> {
    let picks: Result<Vec<Pick>, Miss> = texts.iter().map(|text| pick(pipeline, text)).collect();
    let picks = picks.map_err(|miss| miss.after(&format!("{what} {}", miss.text)))?;
    match nothing_left(pipeline, graph, &picks, what) {
        true => Err(format!("{what} {}: {NOTHING_LEFT}", texts.join(&format!(" {what} ")))),
        false => Ok(picks),
    }
}

/// Everything that is wrong with picks, each with its place on the command line.
pub fn faults(pipeline: &Pipeline, graph: &Graph, texts: &[String], what: &str) -> Vec<Diagnostic> {
    let at = |text: &str| Place::new(&SourceText::argument(what, text), 0..text.len());
    let (mut picks, mut faults) = (Vec::new(), Vec::new());
    for text in texts {
        match pick(pipeline, text) {
            Ok(pick) => picks.push(pick),
            Err(Miss { why, help, .. }) => {
                let fault = Diagnostic::at(&at(text), why);
                faults.push(Diagnostic { help: help.map(str::to_string), ..fault });
            }
        }
    }
    if let Some(first) = texts.first().filter(|_| faults.is_empty() && nothing_left(pipeline, graph, &picks, what)) {
        faults.push(Diagnostic::at(&at(first), NOTHING_LEFT));
    }
    faults
}

const NOTHING_LEFT: &str = "nothing is left; ! leaves out what reads a node, too";

fn nothing_left(pipeline: &Pipeline, graph: &Graph, picks: &[Pick], what: &str) -> bool {
    what == "--select" && selected(pipeline, graph, picks).is_empty()
}

/// A selector that names nothing.
struct Miss {
    text: String,
    why: String,
    help: Option<&'static str>,
}

impl Miss {
    fn after(&self, what: &str) -> String {
        let help = self.help.map_or(String::new(), |help| format!("\n  {help}"));
        format!("{what}: {}{help}", self.why)
    }
}

fn pick(pipeline: &Pipeline, text: &str) -> Result<Pick, Miss> {
    let miss = |why: String, help| Miss { text: text.to_string(), why, help };
    let pick: Pick = text.parse().map_err(|error: SelectorError| miss(error.to_string(), None))?;
    names_something(pipeline, &pick.nodes).map_err(|(why, help)| miss(why, help))?;
    Ok(pick)
}

/// Whether a selector names a node.
///
/// # Errors
/// Why it does not, in words, after `what`: the nearest stage, or the values of the axis.
pub fn check(pipeline: &Pipeline, selector: &Selector, what: &str) -> Result<(), String> {
    names_something(pipeline, selector).map_err(|(why, help)| Miss { text: String::new(), why, help }.after(what))
}

/// Why a selector names no node, and what to do about it.
fn names_something(pipeline: &Pipeline, selector: &Selector) -> Result<(), (String, Option<&'static str>)> {
    if pipeline.select(selector).next().is_some() {
        return Ok(());
    }
    let mut stages: IndexMap<&str, IndexMap<String, Vec<Value>>> = IndexMap::new();
    for node in &pipeline.nodes {
        let axes = stages.entry(&node.stage).or_default();
        for (axis, value) in node.axes.iter().filter(|_| selector.matches_stage(&node.stage)) {
            let values = axes.entry(axis.clone()).or_default();
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
    }
    let mut faults = stages.iter().filter(|(stage, _)| selector.matches_stage(stage)).map(|(stage, axes)| {
        let selector = Selector { stage: stage.to_string(), axes: selector.axes.clone() };
        selector_faults(&selector, axes)
    });
    let near = did_you_mean(&selector.stage, stages.keys().copied());
    Err(match faults.next().map(|faults| faults.join("; ")) {
        Some(faults) if !faults.is_empty() => (faults, None),
        Some(_) => ("no node matches: the stage leaves this combination out".into(), None),
        None => (format!("no node matches{near}"), Some("`ddpipe graph` lists the nodes")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pick_may_go_on_from_a_node_or_leave_it_out() {
        let pick = |text: &str| text.parse::<Pick>().unwrap();
        let plain = pick("distill[seed=0]");
        assert!(!plain.after && !plain.without);
        assert_eq!(plain, pick("+distill[seed=0]"));
        assert!(pick("distill[seed=0]+").after && pick("!distill*").without);
        for text in ["distill[seed=0]+", "!distill*", "a", "!a+"] {
            assert_eq!(pick(text).to_string(), text);
        }
        for text in ["!", "+", "!!a", "a++", "a-"] {
            assert!(text.parse::<Pick>().is_err(), "{text}");
        }
    }
}
