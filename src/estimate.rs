//! How long a node will take, and how much memory it will need: a guess from records of the same kind. Of several records
//! the one counts whose parameters are nearest, and its seconds grow with the parameters that multiply the work of the
//! kind (`work` in its `stage.toml`). Of a kind with very many records a bounded number is compared with, so that a guess for
//! each of many nodes stays cheap. What a guess does not know: how large the inputs are, and what else the machine does. Of
//! a kind without a record nothing is said. Pure.

use crate::pipeline::{Node, NodeId, Pipeline};
use crate::plan::{Plan, Verdict};
use ddpipe_cache::Record;
use ddpipe_interface::{Declaration, Value};
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Another class of device tells less about a node than any number of other parameters.
const OTHER_DEVICE: usize = 1000;
/// So many samples of a kind are compared with, and no more.
const COMPARED: usize = 128;
/// A parameter with more values than this among the samples, as a seed has, tells no samples apart.
const VALUES: usize = 24;

/// What is expected of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Seconds.
    pub seconds: f64,
    /// Peak memory in bytes, where it was measured.
    pub memory: Option<u64>,
}

/// What earlier nodes took, by kind.
#[derive(Debug, Default)]
pub struct Estimates(HashMap<String, Vec<Sample>>);

/// One node that ran.
#[derive(Debug)]
struct Sample {
    params: BTreeMap<String, String>,
    device: String,
    started: f64,
    took: Estimate,
}

impl Estimates {
    /// What these records tell. A record twice counts once.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut kinds: HashMap<String, Vec<Sample>> = HashMap::new();
        let mut seen = HashSet::new();
        for record in records {
            let continued = record.provenance.note.iter().any(|note| note.starts_with("continues after"));
            // A part of a stage's work tells nothing of the whole.
            if continued || !record.asks.is_empty() || !seen.insert(record.key) {
                continue;
            }
            let entry =
                |wanted: &str| record.description.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
            let Some(kind) = entry("kind") else { continue };
            let params = record.description.iter().filter_map(|(name, value)| {
                let name = name.strip_prefix("param ")?;
                Some((name.to_string(), value.clone()))
            });
            kinds.entry(kind.clone()).or_default().push(Sample {
                params: params.collect(),
                device: class(&record.provenance.device).to_string(),
                started: record.provenance.started_unix,
                took: Estimate { seconds: record.provenance.seconds, memory: record.provenance.peak_memory },
            });
        }
        kinds.values_mut().for_each(thin_out);
        Estimates(kinds)
    }

    /// What a stage of this kind with these parameters will take on a device of this class.
    pub fn stage(&self, kind: &Declaration, params: &IndexMap<String, Value>, device: &str) -> Option<Estimate> {
        let samples = self.0.get(&kind.name)?;
        // Written once, and not for each sample.
        let asked: Vec<Asked<'_>> = kind
            .params
            .iter()
            .map(|(name, declared)| Asked {
                name,
                now: params.get(name).map(Value::to_string),
                default: declared.default.as_ref().map(Value::to_string),
                work: declared.work,
            })
            .collect();
        let near = |sample: &Sample| {
            let (distance, factor) = sample.compare(&asked);
            let device = if sample.device == device { 0 } else { OTHER_DEVICE };
            (distance + device, factor.ln().abs(), -sample.started, factor, sample.took)
        };
        let order = |left: &(usize, f64, f64, f64, Estimate), right: &(usize, f64, f64, f64, Estimate)| {
            left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)).then(left.2.total_cmp(&right.2))
        };
        let (distance, .., factor, took) = samples.iter().map(near).min_by(order)?;
        // Memory of a processor says nothing about that of a GPU.
        let memory = took.memory.filter(|_| distance < OTHER_DEVICE);
        Some(Estimate { seconds: took.seconds * factor, memory })
    }

    /// As [`Estimates::stage`], of a node.
    pub fn node(&self, pipeline: &Pipeline, node: &Node, device: &str) -> Option<Estimate> {
        self.stage(pipeline.catalog.declaration(&node.kind)?, &node.params, device)
    }

    /// What is expected of every node that a plan runs or may run.
    pub fn plan(&self, plan: &Plan, pipeline: &Pipeline, device: &str) -> Vec<(NodeId, Option<Estimate>)> {
        let runs =
            |verdict: &Verdict| !matches!(verdict, Verdict::Fresh(_) | Verdict::NotSelected | Verdict::LeftOut { .. });
        let nodes = plan.verdicts.iter().zip(&pipeline.nodes).filter(|(verdict, _)| runs(verdict));
        nodes.map(|(_, node)| (node.id, self.node(pipeline, node, device))).collect()
    }
}

/// What decides which node starts first: the seconds that each is expected to take, 0 for one that does not run. One of
/// which nothing is known counts as the middle one of those of which something is: neither does it come before what is known
/// to be long, nor is it left to the end. Where nothing is known of any, the number of nodes on the way decides.
pub fn for_order(expected: &IndexMap<NodeId, Option<f64>>) -> impl Fn(NodeId) -> f64 + '_ {
    let mut known: Vec<f64> = expected.values().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let neutral = known.get(known.len() / 2).copied().unwrap_or(1.0);
    move |node| expected.get(&node).map_or(0.0, |seconds| seconds.unwrap_or(neutral))
}

/// A parameter of the node that is asked about.
struct Asked<'a> {
    name: &'a str,
    now: Option<String>,
    default: Option<String>,
    work: bool,
}

impl Sample {
    /// How many parameters differ that do not multiply the work, and how much more work these parameters are.
    fn compare(&self, asked: &[Asked<'_>]) -> (usize, f64) {
        let (mut distance, mut factor) = (0, 1.0);
        for Asked { name, now, default, work } in asked {
            let then = self.params.get(*name).or(default.as_ref());
            if now.as_ref() == then {
                continue;
            }
            let number = |text: Option<&String>| text?.parse::<f64>().ok().filter(|number| *number > 0.0);
            match (number(now.as_ref()), number(then)) {
                (Some(now), Some(then)) if *work => factor *= now / then,
                _ => distance += 1,
            }
        }
        (distance, factor)
    }

    /// What tells this one from others, without the parameters that have very many values.
    fn group(&self, many: &HashSet<String>) -> (String, Vec<(String, String)>) {
        let telling = self.params.iter().filter(|(name, _)| !many.contains(*name));
        (self.device.clone(), telling.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// Leaves at most [`COMPARED`] samples: the newest of each group of those that are alike but for a seed, then the second of
/// each, and so on.
fn thin_out(samples: &mut Vec<Sample>) {
    if samples.len() <= COMPARED {
        return;
    }
    let mut values: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (name, value) in samples.iter().flat_map(|sample| &sample.params) {
        values.entry(name).or_default().insert(value);
    }
    let many =
        values.into_iter().filter(|(_, values)| values.len() > VALUES).map(|(name, _)| name.to_string()).collect();
    samples.sort_by(|left, right| right.started.total_cmp(&left.started));
    let mut members: HashMap<_, usize> = HashMap::new();
    let mut ranked: Vec<(usize, Sample)> = Vec::with_capacity(samples.len());
    for sample in samples.drain(..) {
        let place = members.entry(sample.group(&many)).or_default();
        ranked.push((*place, sample));
        *place += 1;
    }
    ranked.sort_by_key(|(place, _)| *place);
    samples.extend(ranked.into_iter().take(COMPARED).map(|(_, sample)| sample));
}

/// The class of a device: `cuda` of `cuda:0`.
fn class(device: &str) -> &str {
    device.split(':').next().unwrap_or(device)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ddpipe_cache::{Circumstances, Key, Provenance};
    use std::sync::Arc;

    const KIND: &str = "name = \"own.train\"\nhelp = \"h\"\nversion = 1\n[outputs]\nm = { type = \"model\", help = \"h\" }\n\
        [params]\nepochs = { type = \"integer\", default = 10, help = \"h\", work = true }\n\
        students = { type = \"integer\", default = 1, help = \"h\", work = true }\n\
        loops = { type = \"integer\", optional = true, help = \"h\", work = true }\n\
        arch = { type = \"string\", default = \"mlp\", help = \"h\" }\n";

    fn kind() -> Declaration {
        Declaration::parse(KIND).unwrap()
    }

    fn record(params: &[(&str, &str)], seconds: f64, device: &str) -> Record {
        let mut description = vec![("kind".to_string(), "own.train".to_string())];
        description.extend(params.iter().map(|(name, value)| (format!("param {name}"), value.to_string())));
        let key = Key::of(&[description.clone(), vec![("x".into(), seconds.to_string())]].concat());
        Record {
            format: ddpipe_cache::FORMAT,
            key,
            pipeline: "p".into(),
            node: "n".into(),
            description,
            outputs: IndexMap::new(),
            asks: IndexMap::new(),
            metrics: IndexMap::new(),
            measured: IndexMap::new(),
            sources: IndexMap::new(),
            provenance: Provenance {
                seconds,
                peak_memory: Some(7),
                circumstances: Arc::new(Circumstances { device: device.into(), ..Circumstances::default() }),
                ..Provenance::default()
            },
        }
    }

    /// What is expected with these whole numbers in place of the defaults.
    fn seconds(records: &[Record], params: &[(&str, i64)], arch: &str) -> Option<f64> {
        let mut all: IndexMap<String, Value> = IndexMap::from([
            ("epochs".to_string(), Value::Integer(10)),
            ("students".to_string(), Value::Integer(1)),
            ("arch".to_string(), Value::String(arch.into())),
        ]);
        all.extend(params.iter().map(|(name, value)| (name.to_string(), Value::Integer(*value))));
        Estimates::of(records).stage(&kind(), &all, "cpu").map(|estimate| estimate.seconds)
    }

    #[test]
    fn seconds_grow_with_what_multiplies_the_work() {
        let records = [record(&[], 4.0, "cpu")];
        assert_eq!(seconds(&records, &[], "mlp"), Some(4.0));
        assert_eq!(seconds(&records, &[("epochs", 30), ("students", 5)], "mlp"), Some(60.0));
        assert_eq!(seconds(&records, &[("epochs", 5)], "convnet3"), Some(2.0));
        assert_eq!(seconds(&[], &[], "mlp"), None);
        // What was left out cannot be divided by.
        assert_eq!(seconds(&records, &[("loops", 50)], "mlp"), Some(4.0));
    }

    #[test]
    fn the_nearest_record_counts() {
        let records = [
            record(&[("arch", "convnet3")], 100.0, "cpu"),
            record(&[], 4.0, "cpu"),
            record(&[("arch", "convnet3"), ("epochs", "20")], 150.0, "cpu"),
            record(&[("arch", "convnet3")], 1.0, "cuda:0"),
        ];
        assert_eq!(seconds(&records, &[], "convnet3"), Some(100.0));
        assert_eq!(seconds(&records, &[("epochs", 40)], "convnet3"), Some(300.0));
        assert_eq!(seconds(&records, &[], "mlp"), Some(4.0));
    }

    #[test]
    fn of_very_many_records_some_of_each_sort_are_compared_with() {
        let of = |arch: &str, seed: usize, seconds: f64| {
            record(&[("arch", &format!("{arch:?}")), ("seed", &seed.to_string())], seconds, "cpu")
        };
        let mut records: Vec<Record> = (0..5000).map(|seed| of("mlp", seed, 2.0)).collect();
        records.insert(0, of("convnet3", 1, 100.0));
        let estimates = Estimates::of(&records);
        assert_eq!(estimates.0["own.train"].len(), COMPARED);
        assert_eq!(seconds(&records, &[], "convnet3"), Some(100.0));
        assert_eq!(seconds(&records, &[("epochs", 20)], "mlp"), Some(4.0));
    }

    #[test]
    fn a_part_of_a_stage_tells_nothing_of_the_whole() {
        let mut continued = record(&[], 1.0, "cpu");
        let circumstances = Arc::make_mut(&mut continued.provenance.circumstances);
        circumstances.note.push("continues after step 94".into());
        assert_eq!(seconds(&[continued], &[], "mlp"), None);
    }
}
