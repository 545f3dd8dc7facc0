//! `search.nas_proxy`: compares architecture searches with the same candidates. It reports how well the ranking on a
//! small set (the proxy) predicts the ranking on the whole set, which architecture the proxy would have chosen, and the
//! time it took. `searches.rs` combines gathered results, `agreement.rs` computes the correlations, `table.rs` writes
//! the table. The stage trains nothing.

pub mod agreement;
mod searches;
mod table;

use crate::context::{Context, Inputs, Outputs};
use agreement::{Agreement, best, rank, top};
use anyhow::{Result, ensure};
use ddpipe_interface::ArtifactType;
use searches::Search;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The parameters: the share of top candidates that are compared beside all of them, the ranking that selects them, and
/// the caption of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    top: f64,
    top_by: TopBy,
    caption: Option<String>,
}

/// The ranking that selects the top candidates: that of each proxy, or that of the whole set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum TopBy {
    Proxy,
    Whole,
}

/// The result for one proxy. The whole set itself is compared with itself in the same way.
#[derive(Debug, Serialize)]
struct Verdict {
    /// The address of the search: `stage[axis=value]`, or `proxy[axis=value]` where only one stage is gathered.
    search: String,
    images: u64,
    steps: u64,
    /// The number of searches that were folded into one by the mean of their accuracies.
    runs: usize,
    all: Agreement,
    top: Agreement,
    /// The indices of the top candidates in the search space.
    top_candidates: Vec<u64>,
    best: Choice,
    /// Wall time of one search in seconds, trainings and tests.
    seconds: f64,
    /// Wall time of the trainings of one search in seconds, without the tests.
    training_seconds: f64,
    /// The number of trainings that ended because their loss was no longer finite.
    diverged: usize,
}

/// The candidate that a ranking puts first.
#[derive(Debug, Serialize)]
struct Choice {
    index: u64,
    name: String,
    /// Its test accuracy after training on the set whose ranking chose it.
    accuracy_here: f64,
    /// Its test accuracy after training on the whole set.
    accuracy: f64,
    /// Its rank in the ranking of the whole set, from 1.
    rank: usize,
}

/// Runs the stage: compares each proxy with the search on the whole set. An error if the input `whole` does not hold
/// exactly one search, or if a proxy has different candidates.
pub fn run(_ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let mut whole = searches::read(inputs, "whole", "whole")?;
    ensure!(
        whole.len() == 1,
        "input \"whole\" holds {} searches ({}); fold the axes in which they differ with `over`, or gather one of them",
        whole.len(),
        whole.iter().map(|search| search.address.as_str()).collect::<Vec<_>>().join(", ")
    );
    let whole = whole.remove(0);
    let proxies = searches::read(inputs, "proxies", "proxy")?;
    for search in &proxies {
        search.same_candidates(&whole)?;
    }
    let reference = verdict(&whole, &whole, &params);
    let verdicts: Vec<Verdict> = proxies.iter().map(|proxy| verdict(proxy, &whole, &params)).collect();

    let origins = searches::origins(std::iter::once(&whole).chain(&proxies));
    let each = whole.candidates.iter().enumerate().map(|(at, candidate)| {
        let proxies: Vec<f64> = proxies.iter().map(|proxy| proxy.accuracies[at]).collect();
        json!({ "index": candidate.index, "name": candidate.name, "whole": whole.accuracies[at], "proxies": proxies })
    });
    let document = json!({
        "origin": origins.join("; "),
        "candidates": each.collect::<Vec<_>>(),
        "top": { "share": params.top, "by": params.top_by, "candidates": reference.top.n },
        "whole": reference,
        "proxies": verdicts,
    });
    let table = table::Table::of(&params, &reference, &verdicts, &origins);
    let mut outputs = Outputs::default()
        .json("metrics", ArtifactType::Metrics, document)
        .json("table", ArtifactType::Table, table.document(&origins))
        .bytes("markdown", ArtifactType::Files, table.markdown().into_bytes())
        .metric("candidates", whole.candidates.len() as f64)
        .metric("top_candidates", reference.top.n as f64)
        .metric("whole_accuracy", reference.best.accuracy)
        .metric("whole_seconds", reference.seconds);
    for verdict in &verdicts {
        let name = |name: &str| match verdicts.len() {
            1 => name.to_string(),
            _ => format!("{}.{name}", verdict.search),
        };
        let defined = [
            ("spearman", verdict.all.spearman),
            ("kendall", verdict.all.kendall),
            ("spearman_top", verdict.top.spearman),
            ("kendall_top", verdict.top.kendall),
            ("accuracy", Some(verdict.best.accuracy)),
            ("best_rank", Some(verdict.best.rank as f64)),
            ("seconds", Some(verdict.seconds)),
            ("training_seconds", Some(verdict.training_seconds)),
        ];
        for (end, value) in defined {
            if let Some(value) = value {
                outputs = outputs.metric(&name(end), value);
            }
        }
    }
    Ok(outputs)
}

fn verdict(proxy: &Search, whole: &Search, params: &Params) -> Verdict {
    let (here, there) = (&proxy.accuracies, &whole.accuracies);
    let kept = top(if params.top_by == TopBy::Proxy { here } else { there }, params.top);
    let first = best(here);
    Verdict {
        search: proxy.address.clone(),
        images: proxy.images,
        steps: proxy.steps,
        runs: proxy.runs,
        all: Agreement::of(here, there),
        top: Agreement::among(&kept, here, there),
        top_candidates: kept.iter().map(|&at| whole.candidates[at].index).collect(),
        best: Choice {
            index: whole.candidates[first].index,
            name: whole.candidates[first].name.clone(),
            accuracy_here: here[first],
            accuracy: there[first],
            rank: rank(there, first),
        },
        seconds: proxy.seconds,
        training_seconds: (proxy.seconds - proxy.test_seconds).max(0.0),
        diverged: proxy.diverged,
    }
}
