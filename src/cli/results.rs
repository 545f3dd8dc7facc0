//! `ddpipe results`: the results on record as one table, filtered, sorted, or only the best.

mod columns;
mod shown;

use super::place::CacheArgs;
use super::{Done, print};
use crate::catalog::Catalog;
use crate::exit::Fault;
use crate::fields::field;
use crate::lineage::Lineage;
use crate::load::load;
use crate::manifest::Overrides;
use crate::note::say;
use crate::ranking::{self, Condition, Row};
use crate::selector::Selector;
use crate::when;
use ddpipe_interface::metric::Better;
use indexmap::IndexSet;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// List the results on record, one line each: where it comes from, the parameters in which they differ, its metrics.
#[derive(Debug, clap::Args)]
#[command(after_help = "The best configuration for each method since October:\n  \
    ddpipe results evaluate --since 2026-10-01 --over seed --best accuracy --by method\n\n\
    Without --over, --best takes the best single result: of several seeds, the luckiest.\n\n\
    A NAME is an axis, a parameter (lr_img, or distill.lr_img for that of a stage before), a metric, or one of pipeline, \
    stage, node, kind, run, made, key, seed, seconds.")]
pub struct Args {
    #[command(flatten)]
    cache: CacheArgs,
    /// Nodes (evaluate, or evaluate[method=dm]), a pipeline's name, or a manifest; everything if left out
    what: Option<String>,
    /// Only rows for which this holds: method=dm, lr_img>=1, arch!=mlp; repeat it for several conditions
    #[arg(long = "where", value_name = "NAME=VALUE")]
    conditions: Vec<Condition>,
    /// Only what was made since then: 2026-10-01, or 30d, 2w, 36h ago
    #[arg(long, value_name = "TIME", value_parser = when::parse_since)]
    since: Option<SystemTime>,
    /// Sort by this, the smallest first
    #[arg(long, value_name = "NAME", conflicts_with = "best")]
    sort: Option<String>,
    /// The largest first; with --best: the largest is the best, whatever the metric's declaration says
    #[arg(long)]
    desc: bool,
    /// Only the row with the best value of this metric; which is better, its kind declares. With --over, the best mean
    #[arg(long, value_name = "METRIC")]
    best: Option<String>,
    /// The best for each value of this
    #[arg(long, value_name = "NAME", requires = "best")]
    by: Vec<String>,
    /// One row for the results that differ in this axis alone: means, standard deviations, and how many (n)
    #[arg(long, value_name = "AXIS")]
    over: Vec<String>,
    /// Show these columns
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// Show the first N rows
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Print comma-separated values with all digits
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write a Parquet file: texts, integers and floats, with null where a result lacks something
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "json"])]
    parquet: Option<PathBuf>,
    /// Print JSON: one array
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Done {
    let cache = args.cache.open()?;
    let mut catalog = Catalog::built_in()?;
    let manifest = args.what.as_deref().filter(|what| what.ends_with(".toml") || Path::new(what).is_file());
    let pipeline = match manifest {
        Some(manifest) => {
            let pipeline = load(Path::new(manifest), &Overrides::default(), catalog)?;
            catalog = pipeline.catalog;
            Some(pipeline.name)
        }
        None => None,
    };
    let mut rows = ranking::rows(&Lineage::of(&cache)?, &cache.runs()?, &catalog);
    match (&pipeline, &args.what) {
        (Some(pipeline), _) => rows.retain(|row| row.pipeline == *pipeline),
        (None, Some(what)) => select(&mut rows, what)?,
        (None, None) => {}
    }
    if let Some(since) = args.since {
        rows.retain(|row| row.made >= since);
    }
    for condition in &args.conditions {
        known(&rows, &condition.name, "--where")?;
        rows.retain(|row| condition.holds(row));
    }
    if !args.over.is_empty() {
        args.over.iter().try_for_each(|name| known(&rows, name, "--over"))?;
        rows = ranking::fold(&rows, &args.over);
    }
    let candidates = rows.clone();
    let rows = args.ordered(rows, &catalog)?;
    args.columns.iter().try_for_each(|name| known(&rows, name, "--columns"))?;
    args.shown(&rows, &candidates, &catalog)
}

/// Keeps the rows of these nodes, or of the pipeline of this name.
fn select(rows: &mut Vec<Row>, what: &str) -> Result<(), Fault> {
    let selector: Result<Selector, _> = what.parse();
    let fits = |row: &Row| {
        let of_axes = |selector: &Selector| {
            selector.axes.iter().all(|(axis, text)| {
                let condition =
                    Condition { name: axis.clone(), compared: ranking::Compared::Equal, value: text.clone() };
                row.axes.contains_key(axis) && condition.holds(row)
            })
        };
        selector.as_ref().is_ok_and(|selector| selector.matches_stage(&row.stage) && of_axes(selector))
    };
    if rows.iter().any(fits) {
        rows.retain(fits);
        return Ok(());
    }
    if rows.iter().any(|row| row.pipeline == what) {
        rows.retain(|row| row.pipeline == what);
        return Ok(());
    }
    let names = rows.iter().flat_map(|row| [row.stage.as_str(), row.pipeline.as_str()]);
    let near = crate::diagnostic::did_you_mean(what, names);
    Err(Fault::usage(format!("no result on record is of {what:?}{near}\n  `ddpipe results` lists all")))
}

/// An error where no row knows a name; with no rows there is nothing to know.
fn known(rows: &[Row], name: &str, option: &str) -> Result<(), Fault> {
    if rows.is_empty() || rows.iter().any(|row| row.cell(name).is_some()) {
        return Ok(());
    }
    let mut names: IndexSet<String> =
        ["pipeline", "stage", "node", "kind", "run", "made", "key"].map(String::from).into();
    for row in rows {
        names.extend(row.axes.keys().cloned());
        names.extend(
            row.settings
                .params
                .keys()
                .flat_map(|name| [Some(name.as_str()), name.split('.').nth(1)])
                .flatten()
                .map(String::from),
        );
        names.extend(row.metrics.keys().chain(row.measured.keys()).cloned());
    }
    let near = crate::diagnostic::did_you_mean(name, names.iter().map(String::as_str));
    Err(Fault::usage(format!(
        "{option} {name}: no result has that{near}\n  `ddpipe results --json` shows what they have"
    )))
}

impl Args {
    fn ordered(&self, mut rows: Vec<Row>, catalog: &Catalog) -> Result<Vec<Row>, Fault> {
        if let Some(metric) = &self.best {
            known(&rows, metric, "--best")?;
            self.by.iter().try_for_each(|name| known(&rows, name, "--by"))?;
            let declared = ranking::better(&rows, metric, catalog);
            let better = if self.desc { Some(Better::Higher) } else { declared };
            match better {
                Some(better) => rows = ranking::best(rows, metric, better, &self.by),
                None if rows.is_empty() => {}
                None => {
                    return Err(Fault::usage(format!(
                        "--best {metric}: its kind does not declare which value is better, or is one of the project's own\n  name the \
                         manifest, which knows those; or add --desc if the largest is best, or use --sort {metric} --limit 1"
                    )));
                }
            }
        } else if let Some(name) = &self.sort {
            known(&rows, name, "--sort")?;
            rows.retain(|row| row.cell(name).is_some());
            ranking::sort(&mut rows, name, self.desc);
        }
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(rows)
    }

    /// `candidates` are the rows from which `rows` were chosen: what tells those apart is shown also of a single one.
    fn shown(&self, rows: &[Row], candidates: &[Row], catalog: &Catalog) -> Done {
        if let Some(file) = &self.parquet {
            columns::write(rows, &self.all_names(rows, catalog), file)?;
            return print(&crate::visible::visible(&format!("{}\n", file.display())));
        }
        if self.json {
            let list: Vec<Value> = rows.iter().map(as_json).collect();
            return print(&format!("{:#}\n", Value::from(list)));
        }
        if self.csv {
            return print(&as_csv(rows, &self.all_names(rows, catalog)));
        }
        if rows.is_empty() {
            return print("no results\n");
        }
        let one_table = self.best.is_some() || self.sort.is_some() || !self.columns.is_empty();
        let kinds: IndexSet<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
        let (mut text, mut left) = (String::new(), IndexSet::new());
        if one_table || kinds.len() == 1 {
            let having = |row: &&Row| self.best.as_ref().is_none_or(|metric| row.number(metric).is_some());
            let candidates: Vec<Row> = candidates.iter().filter(having).cloned().collect();
            text = shown::table(self, rows, &candidates, catalog, &mut left);
        } else {
            // Kinds have metrics of their own: a table for each.
            for kind in kinds {
                let of_kind = |rows: &[Row]| rows.iter().filter(|row| row.kind == kind).cloned().collect::<Vec<Row>>();
                let table = shown::table(self, &of_kind(rows), &of_kind(candidates), catalog, &mut left);
                text.push_str(&format!("{}{kind}\n{table}", if text.is_empty() { "" } else { "\n" }));
            }
        }
        let done = print(&text)?;
        if !left.is_empty() {
            let more = left.len().saturating_sub(shown::NAMED);
            let names = left.into_iter().take(shown::NAMED).collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more columns") } else { String::new() };
            say(format!("left out: {names}{more}; --columns chooses, --csv has all"));
        }
        Ok(done)
    }

    /// All columns, for programs: where rows come from, axes, parameters, metrics.
    fn all_names(&self, rows: &[Row], catalog: &Catalog) -> Vec<String> {
        if !self.columns.is_empty() {
            return self.columns.clone();
        }
        let mut names: IndexSet<String> = ["pipeline", "stage"].map(String::from).into();
        names.extend(self.by.iter().cloned());
        names.extend(ranking::settings(rows));
        names.extend(self.best.iter().chain(&self.sort).cloned());
        for metric in ranking::metrics(rows, catalog) {
            names.insert(metric.clone());
            if !self.over.is_empty() {
                names.insert(format!("{metric}.std"));
            }
        }
        names.extend(Some("n".to_string()).filter(|_| !self.over.is_empty()));
        names.extend(["made", "run"].map(String::from));
        names.into_iter().collect()
    }
}

fn as_csv(rows: &[Row], names: &[String]) -> String {
    let mut text = names.iter().map(|name| field(name)).collect::<Vec<_>>().join(",") + "\n";
    for row in rows {
        let cell = |name: &String| row.cell(name).map_or(String::new(), |cell| field(&cell.exact()));
        text.push_str(&(names.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"));
    }
    text
}

fn as_json(row: &Row) -> Value {
    let numbers = |numbers: &indexmap::IndexMap<String, f64>| -> Map<String, Value> {
        // JSON has no NaN; records write it as a text too.
        let value =
            |value: f64| serde_json::Number::from_f64(value).map_or(Value::from(value.to_string()), Value::from);
        numbers.iter().map(|(name, number)| (name.clone(), value(*number))).collect()
    };
    let mut json = serde_json::json!({
        "key": row.folded.is_none().then(|| row.key.hex()),
        "pipeline": row.pipeline,
        "node": row.node,
        "stage": row.stage,
        "kind": row.kind,
        "run": row.run,
        "made": when::rfc3339(row.made),
        "axes": row.axes,
        "seed": row.seed,
        "params": row.settings.params,
        "metrics": numbers(&row.metrics),
        "measured": numbers(&row.measured),
    });
    if let Some(folded) = &row.folded {
        let keys: Vec<String> = folded.keys.iter().map(|key| key.hex()).collect();
        json["n"] = keys.len().into();
        json["keys"] = keys.into();
        json["deviations"] = numbers(&folded.deviations).into();
    }
    json
}
