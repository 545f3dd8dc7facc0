//! All metrics beside their baseline. A function of values.

use super::gather::Gathered;
use super::judge::{Case, Judged};
use super::statistics::holm;
use super::{Baseline, Compared, Side, Verdict};
use ddpipe_cache::Commit;
use std::collections::HashSet;

/// What comparing with a baseline came to.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The baseline's name.
    pub name: String,
    /// When it was recorded, after RFC 3339.
    pub recorded: String,
    /// The commit that it was recorded at.
    pub commit: Option<Commit>,
    /// The metrics, in the file's order.
    pub rows: Vec<Compared>,
    /// Metrics of the baseline whose nodes were not part of this.
    pub left_out: usize,
    /// Metrics that the baseline does not have: `node.metric`.
    pub new: Vec<String>,
}

impl Comparison {
    /// How many metrics have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// Whether any metric is worse.
    pub fn is_worse(&self) -> bool {
        self.count(Verdict::Worse) > 0
    }
}

/// Compares what the chosen nodes give with a baseline. `whole` says that all nodes were chosen: then a node that the
/// baseline has and the pipeline lacks is told; otherwise it may just not have been chosen.
pub fn compare(name: &str, baseline: &Baseline, now: &Gathered, whole: bool) -> Comparison {
    let mut comparison = Comparison {
        name: name.to_string(),
        recorded: baseline.recorded.clone(),
        commit: baseline.commit.clone(),
        rows: Vec::new(),
        left_out: 0,
        new: Vec::new(),
    };
    let cases: Vec<_> = baseline.entries.iter().map(|was| (was, case(baseline, was, now))).collect();
    let tests: Vec<_> =
        cases.iter().map(|(_, case)| case.as_ref().ok().and_then(|case| Some((case.test()?, case)))).collect();
    let raw: Vec<f64> = tests.iter().flatten().map(|(test, _)| test.p).collect();
    let count = raw.len();
    let mut corrected = holm(&raw).into_iter();
    for ((was, case), test) in cases.iter().zip(&tests) {
        let judged = match case {
            Ok(case) => case.judge(test.as_ref().and_then(|(test, _)| Some((*test, corrected.next()?))), count),
            Err(Absent::Unchosen) if !whole => {
                comparison.left_out += 1;
                continue;
            }
            Err(absent) => Judged::plain(Verdict::CannotSay, absent.to_string()),
        };
        let now = now.groups.get(&was.node).and_then(|group| group.metrics.get(&was.metric));
        let Judged { verdict, why, p, enough } = judged;
        comparison.rows.push(Compared {
            node: was.node.clone(),
            metric: was.metric.clone(),
            verdict,
            was: Side::of(&was.values),
            now: now.map(|(_, now)| Side::of(&now.values)),
            p,
            enough,
            why,
        });
    }
    let known: HashSet<(&str, &str)> =
        baseline.entries.iter().map(|entry| (entry.node.as_str(), entry.metric.as_str())).collect();
    let has_measured = baseline.entries.iter().any(|entry| entry.measured);
    for (node, group) in &now.groups {
        let new = group.metrics.iter().filter(|(metric, (declared, _))| {
            !known.contains(&(node.as_str(), metric.as_str())) && (has_measured || !declared.measured)
        });
        comparison.new.extend(new.map(|(metric, _)| format!("{node}.{metric}")));
    }
    comparison
}

/// Why a metric of the baseline has nothing beside it.
#[derive(thiserror::Error, Debug)]
enum Absent {
    #[error("the pipeline has no such nodes")]
    Unchosen,
    #[error("{0} of its {1} nodes have no result")]
    Lacking(usize, usize),
    #[error("its nodes give no such metric")]
    NoMetric,
    #[error("its kind does not declare any more which values are better")]
    NoDirection,
}

fn case<'a>(baseline: &Baseline, was: &'a super::Entry, now: &'a Gathered) -> Result<Case<'a>, Absent> {
    let group = now.groups.get(&was.node).ok_or(Absent::Unchosen)?;
    if !group.lacking.is_empty() {
        return Err(Absent::Lacking(group.lacking.len(), group.nodes));
    }
    let (metric, now) = group.metrics.get(&was.metric).ok_or(Absent::NoMetric)?;
    let better = metric.better.ok_or(Absent::NoDirection)?;
    Ok(Case { was, now, metric, better, rules: baseline.rules })
}
