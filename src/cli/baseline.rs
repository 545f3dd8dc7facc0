//! `ddpipe baseline`: keeps the metrics of recorded nodes in the project, and compares later ones with them. Computes
//! nothing.

use super::project::{PlanArgs, Planned, Project};
use super::{Done, print};
use crate::baseline::{self, Baseline, Baselines, Comparison, Entry, Gathered, MAIN, Rules, compare, gather};
use crate::commit;
use crate::diagnostic::{Diagnostic, Report, did_you_mean, shown_path};
use crate::exit::{Exit, Fault};
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::{Plan, Verdict};
use crate::progress;
use crate::results::write_whole;
use crate::selection;
use crate::visible::visible;
use crate::when;
use ddpipe_cache::Record;
use std::path::PathBuf;
use std::time::SystemTime;

/// The largest file that is read.
const LARGEST: u64 = 64 << 20;

/// Keep metrics for later runs to be compared with, or compare.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Write the metrics of recorded nodes to baselines/<pipeline>.toml in the project
    Record {
        #[command(flatten)]
        plan: PlanArgs,
        /// The baseline's name
        #[arg(long, value_name = "NAME", default_value = MAIN)]
        name: String,
        /// This metric, and no other; may be given again [default: those that the baseline has of a node; of new nodes
        /// the `headline` metrics of their kinds, or all of a kind that declares none]
        #[arg(long, value_name = "NAME", conflicts_with = "all_metrics")]
        metric: Vec<String>,
        /// All metrics of which the kinds declare which values are `better`
        #[arg(long)]
        all_metrics: bool,
        /// Times, rates and memory too, which are compared on equal hardware only
        #[arg(long)]
        measured: bool,
    },
    /// Compare recorded nodes with a baseline; exit code 4 when a metric is worse, 1 when nothing could be compared
    Compare {
        #[command(flatten)]
        plan: PlanArgs,
        /// The baseline's name
        #[arg(long, value_name = "NAME", default_value = MAIN)]
        name: String,
        /// Print one line of JSON for each metric
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: Args) -> Done {
    match args.what {
        What::Record { plan, name, metric, all_metrics, measured } => {
            let chosen = match (all_metrics, metric) {
                (true, _) => Chosen::All,
                (false, names) if names.is_empty() => Chosen::Usual,
                (false, names) => Chosen::Named(names),
            };
            record(&plan, &name, &chosen, measured)
        }
        What::Compare { plan, name, json } => compare_with(&plan, &name, json),
    }
}

/// Which metrics are recorded; of measured quantities another option decides.
enum Chosen {
    /// What the baseline has of a node; the main ones of a new node.
    Usual,
    /// All.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

impl Chosen {
    /// The entries to record of what the nodes give now.
    fn entries(&self, now: &Gathered, earlier: Option<&Baseline>, measured: bool) -> Result<Vec<Entry>, Fault> {
        let all = || now.groups.values().flat_map(|group| group.metrics.keys());
        if let Chosen::Named(names) = self
            && let Some(unknown) = names.iter().find(|name| !all().any(|metric| metric == *name))
        {
            let near = did_you_mean(unknown, all().map(String::as_str));
            return Err(Fault::usage(format!("--metric {unknown}: no node gives a metric of this name{near}")));
        }
        let earlier = earlier.map_or(&[][..], |earlier| &earlier.entries);
        let mut entries = Vec::new();
        for (node, group) in &now.groups {
            let was: Vec<&Entry> = earlier.iter().filter(|entry| entry.node == *node).collect();
            let has = |metric: &str| was.iter().any(|entry| entry.metric == metric);
            let is_new = was.iter().all(|entry| entry.measured);
            entries.extend(group.metrics.iter().filter_map(|(name, (metric, entry))| {
                let wanted = match self {
                    Chosen::Named(names) => names.contains(name),
                    _ if metric.measured => measured || has(name),
                    Chosen::All => true,
                    Chosen::Usual if is_new => group.is_usual(metric),
                    Chosen::Usual => has(name),
                };
                wanted.then(|| entry.clone())
            }));
        }
        Ok(entries)
    }
}

/// The baseline of this name; the report says everything that is wrong with the file.
pub fn named(pipeline: &Pipeline, name: &str) -> Result<Baseline, Report> {
    let (_, shown) = file(pipeline);
    let general = |message: String| Report { diagnostics: vec![Diagnostic::general(message)] };
    let missing = || format!("there is no baseline: {shown} is not there\n  `ddpipe baseline record` makes it");
    let baselines = read(pipeline)?.ok_or_else(|| general(missing()))?;
    baselines.get(name, &shown).cloned().map_err(general)
}

/// The file of a pipeline's baselines, and how messages call it.
fn file(pipeline: &Pipeline) -> (PathBuf, String) {
    let path = baseline::path(&pipeline.root, &pipeline.name);
    let here = std::env::current_dir().unwrap_or_default();
    let shown = shown_path(path.strip_prefix(&here).unwrap_or(&path));
    (path, shown)
}

/// The pipeline's baselines; none where the file is not there.
fn read(pipeline: &Pipeline) -> Result<Option<Baselines>, Report> {
    let (path, shown) = file(pipeline);
    let general = |message: String| Report { diagnostics: vec![Diagnostic::general(message)] };
    let unreadable = |error: std::io::Error| general(format!("could not read {shown}: {error}"));
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(seen) if seen.len() > LARGEST => {
            return Err(general(format!("{shown} has {} bytes; up to {LARGEST} are read", seen.len())));
        }
        Ok(_) => {}
    }
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    Baselines::read(&shown, &text).map(Some)
}

/// What the selected nodes give by their records.
fn on_record(project: &Project, plan: &Plan) -> Gathered {
    let select = &project.choice.select;
    let named = selection::selected(&project.pipeline, &project.graph, select);
    let record = |id: NodeId| -> Option<&Record> {
        match plan.verdicts.get(id.index()) {
            Some(Verdict::Fresh(record)) => Some(record),
            _ => None,
        }
    };
    let wanted = |id: NodeId| {
        let selected = select.is_empty() || named.contains(&id);
        selected && !matches!(plan.verdicts.get(id.index()), Some(Verdict::NotSelected))
    };
    gather(&project.pipeline, &wanted, &record)
}

fn record(plan: &PlanArgs, name: &str, chosen: &Chosen, measured: bool) -> Done {
    let project = plan.open()?;
    let Planned { plan, .. } = project.planned()?;
    let now = on_record(&project, &plan);
    let lacking: Vec<&String> = now.groups.values().flat_map(|group| &group.lacking).collect();
    if let Some(first) = lacking.first() {
        let others = lacking.len() - 1;
        let others = if others > 0 { format!(" and {others} more nodes are") } else { " is".into() };
        return Err(Fault::usage(format!("{first}{others} not on record; `ddpipe run` makes what is missing")));
    }
    let (path, shown) = file(&project.pipeline);
    let mut baselines = read(&project.pipeline)?.unwrap_or_default();
    let earlier = baselines.0.get(name);
    let entries = chosen.entries(&now, earlier, measured)?;
    let unmeasured = now.groups.values().flat_map(|group| group.metrics.values()).filter(|(it, _)| !it.measured);
    let others = unmeasured.count().saturating_sub(entries.iter().filter(|entry| !entry.measured).count());
    let fresh = Baseline {
        recorded: when::rfc3339(SystemTime::now()),
        ddpipe: env!("CARGO_PKG_VERSION").into(),
        commit: commit::of(&project.pipeline.root),
        rules: Rules::default(),
        entries,
    };
    let whole = project.choice.select.is_empty();
    let fresh = match earlier {
        Some(earlier) => fresh.instead_of(earlier, &|node| whole || now.groups.contains_key(node)),
        None => fresh.sorted(),
    };
    let mut text = String::new();
    if !now.undirected.is_empty() {
        let names: Vec<&str> = now.undirected.iter().map(String::as_str).collect();
        text.push_str(&format!(
            "left out, because their kinds do not declare which values are `better`: {}\n",
            names.join(", ")
        ));
    }
    if others > 0 && matches!(chosen, Chosen::Usual) {
        let others = progress::count(others, "other metric");
        text.push_str(&format!("left out: {others}; --metric NAME or --all-metrics records others\n"));
    }
    if fresh.entries.is_empty() {
        let message = format!("{}there is no metric to record", visible(&text));
        return Err(Fault::usage(message));
    }
    if earlier.is_some_and(|earlier| earlier.entries == fresh.entries) {
        text.push_str(&format!("{name}: as it is in {shown}\n"));
        return print(&visible(&text));
    }
    let changed = fresh.entries.iter().filter(|entry| !earlier.is_some_and(|earlier| earlier.entries.contains(entry)));
    let (changed, count) = (changed.count(), fresh.entries.len());
    baselines.0.insert(name.to_string(), fresh);
    write_whole(&path, baselines.text().as_bytes())?;
    text.push_str(&format!("{name}: {count} metrics, {changed} of them new or changed, in {shown}\n"));
    print(&visible(&text))
}

fn compare_with(plan: &PlanArgs, name: &str, json: bool) -> Done {
    let project = plan.open()?;
    let baseline = named(&project.pipeline, name)?;
    let Planned { plan, .. } = project.planned()?;
    let comparison = compare(name, &baseline, &on_record(&project, &plan), project.choice.select.is_empty());
    let text = if json { lines(&comparison)? } else { visible(comparison.text().trim_start()).into_owned() };
    print(&text)?;
    if comparison.compared == 0 {
        let message = "nothing could be compared with the baseline\n  `ddpipe run` makes what is not on record";
        return Err(Fault { exit: Exit::Stage, message: message.into() });
    }
    Ok(if comparison.is_worse() { Exit::Missed } else { Exit::Ok })
}

fn lines(comparison: &Comparison) -> Result<String, Fault> {
    let mut text = String::new();
    for row in &comparison.rows {
        let line = serde_json::to_string(row).map_err(|error| Fault::from(std::io::Error::from(error)))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}
