//! All metrics beside their baseline. A function of values.

use super::gather::Gathered;
use super::judge::{Case, Judged};
use super::statistics::{holm, mean};
use super::{Baseline, Compared, Side, Verdict};
use ddpipe_cache::Commit;
use indexmap::IndexMap;
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
    /// Metrics that have values on both sides, whatever could be said of them.
    pub compared: usize,
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
        compared: 0,
        left_out: 0,
        new: Vec::new(),
    };
    let cases: Vec<_> = baseline.entries.iter().map(|was| (was, case(baseline, was, now))).collect();
    let tests: Vec<_> =
        cases.iter().map(|(_, case)| case.as_ref().ok().and_then(|case| Some((case.test()?, case)))).collect();
    // One metric may be another by a second name: equal values then and now are one question, which is asked once. What
    // never varies has no test, so that it is not counted either.
    let mut asked: IndexMap<[Vec<u64>; 2], f64> = IndexMap::new();
    for (test, case) in tests.iter().flatten() {
        asked.insert(question(case), test.p);
    }
    let raw: Vec<f64> = asked.values().copied().collect();
    let count = raw.len();
    let corrected = holm(&raw);
    let corrected = |case: &Case| asked.get_index_of(&question(case)).and_then(|index| corrected.get(index)).copied();
    for ((was, case), test) in cases.iter().zip(&tests) {
        let judged = match case {
            Ok(case) => {
                comparison.compared += 1;
                case.judge(test.as_ref().and_then(|(test, case)| Some((*test, corrected(case)?))), count)
            }
            Err(Absent::Unchosen) if !whole => {
                comparison.left_out += 1;
                continue;
            }
            Err(absent) => Judged::plain(Verdict::CannotSay, absent.to_string()),
        };
        let now = now.groups.get(&was.node).and_then(|group| group.metrics.get(&was.metric));
        let interval = test.as_ref().and_then(|(test, case)| interval(case, test.margin(baseline.rules.significance)));
        let Judged { verdict, why, p, enough } = judged;
        comparison.rows.push(Compared {
            node: was.node.clone(),
            metric: was.metric.clone(),
            verdict,
            was: Side::of(&was.values),
            now: now.map(|(_, now)| Side::of(&now.values)),
            p,
            interval,
            enough,
            why,
        });
    }
    let known: HashSet<(&str, &str)> =
        baseline.entries.iter().map(|entry| (entry.node.as_str(), entry.metric.as_str())).collect();
    let has_measured = baseline.entries.iter().any(|entry| entry.measured);
    for (node, group) in &now.groups {
        let new = group.metrics.iter().filter(|(metric, (declared, _))| {
            let usual = group.is_usual(declared) || has_measured && declared.measured;
            usual && !known.contains(&(node.as_str(), metric.as_str()))
        });
        comparison.new.extend(new.map(|(metric, _)| format!("{node}.{metric}")));
    }
    comparison
}

/// The values that a test compares, bit by bit.
fn question(case: &Case) -> [Vec<u64>; 2] {
    [&case.was.values, &case.now.values].map(|values| values.iter().map(|value| value.to_bits()).collect())
}

/// The difference of the means, now less then, with this margin on both sides.
fn interval(case: &Case, margin: f64) -> Option<[f64; 2]> {
    let difference = mean(&case.now.values) - mean(&case.was.values);
    let interval = [difference - margin, difference + margin];
    interval.iter().all(|end| end.is_finite()).then_some(interval)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::gather::Group;
    use super::super::{Entry, Rules};
    use super::*;
    use ddpipe_interface::metric::{Better, Metric};

    fn entry(metric: &str, values: &[f64]) -> Entry {
        let (node, metric, values) = ("evaluate".to_string(), metric.to_string(), values.to_vec());
        Entry { node, metric, measured: false, within: None, values, numerics: None, hardware: None }
    }

    /// One drop among constants and a second name of the same quantity is found as it is alone.
    #[test]
    fn constants_and_second_names_are_not_counted_as_tests() {
        let was = [("accuracy", [0.80, 0.81, 0.82]), ("balanced", [0.80, 0.81, 0.82]), ("flops", [5.0; 3])];
        let now = [("accuracy", [0.75, 0.76, 0.77]), ("balanced", [0.75, 0.76, 0.77]), ("flops", [5.0; 3])];
        let better = Some(Better::Higher);
        let metric = Metric { help: String::new(), unit: None, better, measured: false, headline: false, spread: None };
        let p = |count: usize| {
            let entries = was.iter().take(count).map(|(name, values)| entry(name, values)).collect();
            let (recorded, ddpipe) = (String::new(), String::new());
            let baseline = Baseline { recorded, ddpipe, commit: None, rules: Rules::default(), entries };
            let metrics = now.iter().map(|(name, values)| (name.to_string(), (metric.clone(), entry(name, values))));
            let group = Group { metrics: metrics.collect(), nodes: 3, lacking: Vec::new() };
            let gathered =
                Gathered { groups: [("evaluate".to_string(), group)].into_iter().collect(), ..Gathered::default() };
            let comparison = compare("main", &baseline, &gathered, true);
            assert_eq!((comparison.compared, comparison.rows.len()), (count, count));
            assert_eq!(comparison.rows[0].verdict, Verdict::Worse);
            // Four degrees of freedom: the quantile is 2.776, and the error of the difference 0.01 * sqrt(2 / 3).
            let [low, high] = comparison.rows[0].interval.unwrap();
            assert!((low + 0.05 + 0.022_67).abs() < 1e-4 && (high + 0.05 - 0.022_67).abs() < 1e-4, "{low} {high}");
            comparison.rows[0].p.unwrap()
        };
        assert_eq!(p(1), p(3));
    }
}
