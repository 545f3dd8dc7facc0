//! The list of runs, as a table for people or as JSON.

use super::super::{Done, print};
use super::json;
use crate::event::Status;
use crate::history::{self, Column, Past, State, Told, differing, of_nodes};
use crate::peers::PILOTS;
use crate::progress::{duration, whole};
use crate::started::Started;
use crate::table::Table;
use crate::when;
use ddpipe_cache::Cache;
use indexmap::IndexMap;
use std::time::SystemTime;

/// So many runs are listed.
const LIMIT: usize = 20;
/// So many columns of differing parameters are shown; `--json` has all.
const COLUMNS: usize = 4;
/// So long may the values of one of them be.
const LETTERS: usize = 24;

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Only runs of these pipelines
    #[arg(value_name = "PIPELINE")]
    pipelines: Vec<String>,
    /// List the last N; 0 for all [default: 20]
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Print JSON: one array, every run with all that is known in short
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    /// Whether anything is asked of the list.
    pub(super) fn is_given(&self) -> bool {
        !self.pipelines.is_empty() || self.limit.is_some() || self.json
    }
}

pub(super) fn run(cache: &Cache, args: &ListArgs) -> Done {
    let mut told = history::told(cache, &args.pipelines)?;
    let all = told.len();
    match args.limit {
        Some(0) => {}
        limit => told.truncate(limit.unwrap_or(LIMIT)),
    }
    let started: Vec<Option<Started>> = told.iter().map(|told| told.past.started()).collect();
    let settings: Vec<IndexMap<String, String>> = started
        .iter()
        .map(|started| started.as_ref().map_or_else(IndexMap::new, |started| of_nodes(&started.nodes)))
        .collect();
    let columns = differing_within_pipelines(&told, &settings);
    if args.json {
        let list: Vec<_> = told
            .iter()
            .zip(&started)
            .enumerate()
            .map(|(at, (told, started))| json::in_list(told, started.as_ref(), &columns, at))
            .collect();
        return print(&format!("{:#}\n", serde_json::Value::from(list)));
    }
    if told.is_empty() {
        let of = if args.pipelines.is_empty() { String::new() } else { format!(" of {}", args.pipelines.join(", ")) };
        return print(&crate::visible::visible(&format!("no runs{of} in {}\n", cache.root().display())));
    }
    let mut text = table(&told, &started, &columns);
    if all > told.len() {
        text.push_str(&format!("and {} older; --limit 0 lists all\n", all - told.len()));
    }
    print(&text)
}

/// Parameters in which runs of the same pipeline differ. That two pipelines differ is no news.
fn differing_within_pipelines(told: &[Told], settings: &[IndexMap<String, String>]) -> Vec<Column> {
    let mut columns: IndexMap<String, Vec<Option<String>>> = IndexMap::new();
    let mut pipelines: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for (at, told) in told.iter().enumerate().filter(|(at, _)| !settings[*at].is_empty()) {
        pipelines.entry(&told.past.seen.pipeline).or_default().push(at);
    }
    for places in pipelines.values() {
        let of_pipeline: Vec<_> = places.iter().map(|at| settings[*at].clone()).collect();
        for column in differing(&of_pipeline) {
            let values = columns.entry(column.name).or_insert_with(|| vec![None; told.len()]);
            places.iter().zip(column.values).for_each(|(at, value)| values[*at] = value);
        }
    }
    columns.into_iter().map(|(name, values)| Column { name, values }).collect()
}

fn table(told: &[Told], started: &[Option<Started>], columns: &[Column]) -> String {
    let columns = &columns[..columns.len().min(COLUMNS)];
    let fixed = ["run", "when", "pipeline", "commit", "name"];
    let counted = ["ran", "on record", "failed", "time", "expectations"];
    let titles = columns.iter().map(|column| column.name.as_str());
    let mut table = Table::new(fixed.into_iter().chain(counted).chain(titles));
    for (at, (told, started)) in told.iter().zip(started).enumerate() {
        let past = &told.past;
        let name =
            past.seen.name.clone().unwrap_or_else(|| if past.seen.kept { "(kept)".into() } else { String::new() });
        let commit = started.as_ref().and_then(|started| started.commit.as_ref()).map_or(String::new(), commit);
        let mut cells =
            vec![past.seen.id.clone(), when::short(past.begun()), called(past, started.as_ref()), commit, name];
        match &past.state {
            State::Ended(ended) => {
                cells.extend(counts(past));
                cells.push(duration(ended.seconds));
                cells.push(expectations(past));
                cells.extend(columns.iter().map(|column| value(column, at)));
                table.row(cells);
            }
            _ => {
                table.row_with_rest(cells, state(past));
            }
        }
        if let Some(newest) = told.repeats.first() {
            let times = if told.repeats.len() == 1 { "once".into() } else { format!("{} times", told.repeats.len()) };
            table.note(format!("and {times} more, nothing to do (last {})", when::short(newest.begun())));
        }
    }
    table.text()
}

fn value(column: &Column, at: usize) -> String {
    let value = column.values.get(at).cloned().flatten().unwrap_or_default();
    match value.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value,
    }
}

/// The pipeline with its profile.
fn called(past: &Past, started: Option<&Started>) -> String {
    let profiles = started.map_or(&[][..], |started| &started.profile);
    let profiles: String = profiles.iter().map(|profile| format!(" --profile {profile}")).collect();
    format!("{}{profiles}", past.seen.pipeline)
}

/// The commit's first letters, with a star where files differed from it.
fn commit(commit: &ddpipe_cache::Commit) -> String {
    let short: String = commit.hash.chars().take(7).collect();
    if commit.dirty { short + "*" } else { short }
}

fn counts(past: &Past) -> [String; 3] {
    let lost = past.ended().map_or(0, |ended| ended.without_result());
    let failed = past.count(Status::Failed);
    // Most of what has no result was skipped or interrupted; a table of runs says how many are missing.
    let lost = match lost {
        0 => "0".to_string(),
        _ if failed == lost => failed.to_string(),
        _ => format!("{failed} (+{} not run)", lost - failed),
    };
    [past.count(Status::Ran).to_string(), past.count(Status::Fresh).to_string(), lost]
}

fn expectations(past: &Past) -> String {
    let Some(ended) = past.ended() else { return String::new() };
    let missed = ended.expectations.iter().filter(|expected| !expected.met).count();
    let expected = match (ended.expectations.len(), missed) {
        _ if ended.nodes.is_empty() && past.seen.path.join(PILOTS).is_dir() => "left to its pilots".into(),
        _ if !ended.faults.is_empty() && ended.nodes.is_empty() => "did not begin".into(),
        (0, _) => String::new(),
        (all, 0) => format!("{all} met"),
        (all, missed) => format!("{missed} of {all} MISSED"),
    };
    let baseline = ended.baseline.as_ref().map(|baseline| match baseline.worse.len() {
        0 => format!("baseline {}: none worse", baseline.name),
        worse => format!("baseline {}: {worse} WORSE", baseline.name),
    });
    [Some(expected).filter(|words| !words.is_empty()), baseline].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Of a run without an outcome: how far it is, or was.
pub(super) fn state(past: &Past) -> String {
    let (progress, working) = match (&past.state, &past.seen.running) {
        (State::Running(progress), Some(holder)) => {
            let since = SystemTime::now().duration_since(past.begun()).unwrap_or_default();
            (progress, format!("running for {} on {}", whole(since.as_secs_f64()), holder.host))
        }
        (State::Running(progress) | State::DidNotEnd(progress), _) => (progress, "did not end".to_string()),
        (State::Ended(_), _) => return "ended".into(),
    };
    match progress.nodes {
        0 => working,
        nodes => format!("{working}, {} of {nodes} done", progress.done),
    }
}
