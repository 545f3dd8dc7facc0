//! What a report is about: a pipeline with what became of each node, in a run or as far as it is on record. Reads records and
//! journals; computes nothing and knows no HTML.

use super::journal::{Journal, Work};
use super::standing::Standing;
use crate::baseline::Comparison;
use crate::ended::{Ended, Expected, NodeEnded};
use crate::event::Failure;
use crate::expect::{self, Checks};
use crate::graph::Graph;
use crate::history::{Past, State};
use crate::ledger::Row;
use crate::manifest::Overrides;
use crate::pipeline::{NodeId, Pipeline};
use crate::plan::{Plan, Verdict};
use crate::sources::Sources;
use crate::started::Started;
use ddpipe_cache::{Cache, Commit, Key, Record, SourceSeen};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Documents by the names of their outputs, read once.
type Documents = Rc<Vec<(String, Value)>>;

/// Larger documents are not read.
const LARGEST: u64 = 16 << 20;
/// The journals of so many earlier runs are read, for what nodes on record told when they ran.
const JOURNALS: usize = 12;

/// What a report is about.
pub struct Subject<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its graph.
    pub graph: &'a Graph,
    /// The cache.
    pub cache: &'a Cache,
    /// The run; none where the report is of what is on record for a manifest.
    pub run: Option<Past>,
    /// What the run was started with.
    pub started: Option<Started>,
    /// What the command that makes it again is called with.
    pub call: Call,
    /// The state of the project's git repository.
    pub commit: Option<Commit>,
    /// What the run told.
    pub journal: Journal,
    /// What became of each node, in the pipeline's order.
    pub nodes: Vec<Facts>,
    /// The files from outside, as `source/file`.
    pub sources: IndexMap<String, SourceSeen>,
    /// The expectations that could be checked.
    pub expected: Vec<Expected>,
    /// Those that could not: what, what was asked, and why not.
    pub unchecked: Vec<(String, String, String)>,
    /// What comparing with the baseline `main` comes to, where the project has one.
    pub baseline: Option<Comparison>,
    /// What is published beside what was measured, where the manifest has figures.
    pub published: Vec<Row>,
    /// What went wrong beside the nodes.
    pub faults: Vec<String>,
    /// What earlier runs told of nodes on record, by the node's place.
    earlier: HashMap<NodeId, (PathBuf, Work)>,
    documents: RefCell<HashMap<NodeId, Documents>>,
}

/// What is laid over the manifest.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// `--profile`, in order.
    pub profile: Vec<String>,
    /// `--set`, in order.
    pub sets: Vec<(String, String)>,
    /// Variables of the environment that change the manifest.
    pub env: Vec<(String, String)>,
    /// `--select`, in order.
    pub select: Vec<String>,
}

impl Call {
    /// That of a run.
    fn of_run(started: &Started) -> Self {
        let Started { profile, sets, env, select, .. } = started.clone();
        Call { profile, sets, env, select }
    }

    /// That of a plan of everything.
    pub fn of_overrides(overrides: &Overrides) -> Self {
        let Overrides { profile, sets, env, .. } = overrides.clone();
        Call { profile, sets, env, select: Vec::new() }
    }
}

/// What is known of a node.
#[derive(Debug)]
pub struct Facts {
    /// What became of it.
    pub standing: Standing,
    /// Its record, where it has one and its outputs are there.
    pub record: Option<Arc<Record>>,
    /// Seconds at work in this run.
    pub seconds: f64,
    /// Why it ran, or would run.
    pub reasons: Vec<String>,
    /// What went wrong.
    pub failure: Option<Failure>,
}

impl Facts {
    fn plain(standing: Standing) -> Self {
        Facts { standing, record: None, seconds: 0.0, reasons: Vec::new(), failure: None }
    }
}

impl<'a> Subject<'a> {
    /// A run, also one that goes on or whose process died. The pipeline is that of the run's own manifest.
    pub fn of_run(pipeline: &'a Pipeline, graph: &'a Graph, cache: &'a Cache, past: Past) -> Self {
        let journal = Journal::in_folder(&past.seen.path);
        let is_running = matches!(past.state, State::Running(_));
        let nodes: Vec<Facts> = pipeline
            .nodes
            .iter()
            .map(|node| match past.ended().and_then(|ended| ended.nodes.get(&node.address)) {
                Some(ended) => of_ended(cache, ended),
                None => of_work(cache, journal.works.get(&node.address), past.ended().is_some(), is_running),
            })
            .collect();
        let started = past.started();
        let ended = past.ended().cloned().unwrap_or_default();
        let commit = started.as_ref().and_then(|started| started.commit.clone());
        let call = started.as_ref().map(Call::of_run).unwrap_or_default();
        let Ended { sources, faults, expectations, .. } = ended;
        let mut subject = Subject {
            pipeline,
            graph,
            cache,
            run: Some(past),
            started,
            call,
            commit,
            journal,
            nodes,
            sources,
            expected: Vec::new(),
            unchecked: Vec::new(),
            baseline: None,
            published: Vec::new(),
            faults,
            earlier: HashMap::new(),
            documents: RefCell::default(),
        };
        subject.check(is_running);
        if !expectations.is_empty() {
            // What the run itself found, should a record be gone since.
            subject.expected = expectations;
        }
        if subject.sources.is_empty() {
            subject.sources = subject.sources_of_records();
        }
        subject.look_back();
        subject
    }

    /// What is on record for a manifest, by a plan of it.
    pub fn of_plan(
        pipeline: &'a Pipeline,
        graph: &'a Graph,
        cache: &'a Cache,
        plan: &Plan,
        sources: &Sources,
        commit: Option<Commit>,
        call: Call,
    ) -> Self {
        let nodes: Vec<Facts> = plan.verdicts.iter().map(of_verdict).collect();
        let mut subject = Subject {
            pipeline,
            graph,
            cache,
            run: None,
            started: None,
            call,
            commit,
            journal: Journal::default(),
            nodes,
            sources: sources.iter().map(|(name, seen)| (name, seen.clone())).collect(),
            expected: Vec::new(),
            unchecked: Vec::new(),
            baseline: None,
            published: Vec::new(),
            faults: Vec::new(),
            earlier: HashMap::new(),
            documents: RefCell::default(),
        };
        subject.check(false);
        subject.look_back();
        subject
    }

    /// What is known of a node.
    pub fn facts(&self, node: NodeId) -> &Facts {
        &self.nodes[node.index()]
    }

    /// The record of a node.
    pub fn record(&self, node: NodeId) -> Option<&Arc<Record>> {
        self.facts(node).record.as_ref()
    }

    /// All nodes with their records.
    pub fn records(&self) -> impl Iterator<Item = (NodeId, &Arc<Record>)> {
        let ids = self.pipeline.nodes.iter().map(|node| node.id);
        ids.filter_map(|id| Some((id, self.record(id)?)))
    }

    /// How many nodes stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.nodes.iter().filter(|facts| facts.standing == standing).count()
    }

    /// What a node told when it was at work: in this run, or in the earlier one that made its record. The folder is that of
    /// the run.
    pub fn told(&self, node: NodeId) -> Option<(PathBuf, &Work)> {
        if let Some((folder, work)) = self.earlier.get(&node) {
            return Some((folder.clone(), work));
        }
        let work = self.journal.works.get(&self.pipeline.node(node).address)?;
        let folder = self.run.as_ref()?.seen.path.clone();
        work.begun.is_some().then_some((folder, work))
    }

    /// The documents among the outputs of a node: its metrics and tables as JSON, by the output's name.
    pub fn documents(&self, node: NodeId) -> Documents {
        if let Some(known) = self.documents.borrow().get(&node) {
            return known.clone();
        }
        let is_document =
            |artifact: &str| artifact == ArtifactType::Metrics.name() || artifact == ArtifactType::Table.name();
        let outputs = self.record(node).into_iter().flat_map(|record| &record.outputs);
        let small = outputs.filter(|(_, output)| is_document(&output.artifact_type) && output.bytes <= LARGEST);
        // What cannot be read is not shown; `ddpipe verify` says why.
        let read = small.filter_map(|(name, output)| {
            let bytes = self.cache.blobs().read_verified(output.digest).ok()?;
            Some((name.clone(), serde_json::from_slice(&bytes).ok()?))
        });
        let read = Rc::new(read.collect::<Vec<_>>());
        self.documents.borrow_mut().insert(node, read.clone());
        read
    }

    fn check(&mut self, is_running: bool) {
        let records: Vec<(NodeId, Arc<Record>)> = self.records().map(|(id, record)| (id, record.clone())).collect();
        let left_out: IndexMap<String, String> = self
            .pipeline
            .nodes
            .iter()
            .filter(|node| self.facts(node.id).standing == Standing::LeftOut)
            .map(|node| {
                let failure = self.facts(node.id).failure.as_ref();
                (node.address(), failure.map_or("left out".to_string(), |failure| failure.message.clone()))
            })
            .collect();
        let asked = |id: NodeId| {
            matches!(self.facts(id).standing, Standing::Failed | Standing::Interrupted | Standing::Skipped)
        };
        let Checks { checked, unchecked } = expect::check_asked(self.pipeline, &records, &asked, &left_out);
        let expected = checked.into_iter().map(|check| Expected {
            what: check.what,
            value: check.value.filter(|value| value.is_finite()),
            wanted: check.wanted,
            met: check.met,
            place: check.place,
        });
        let why = |why: expect::Why| match why {
            expect::Why::NotSelected if is_running => "not yet".to_string(),
            expect::Why::NotSelected => "not on record".to_string(),
            other => other.to_string(),
        };
        let unchecked = unchecked.into_iter().map(|it| (it.what, it.wanted, why(it.why))).collect();
        (self.expected, self.unchecked) = (expected.collect(), unchecked);
    }

    fn sources_of_records(&self) -> IndexMap<String, SourceSeen> {
        let all = self.records().flat_map(|(_, record)| &record.sources);
        all.map(|(name, seen)| (name.clone(), seen.clone())).collect()
    }

    /// Reads what nodes on record told in the runs that made them: those that their records name, or the first that reached
    /// them.
    fn look_back(&mut self) {
        let fresh = self.records().filter(|(id, _)| self.facts(*id).standing == Standing::OnRecord);
        let made_by = |record: &Record| record.provenance.run.clone();
        let mut wanted: HashMap<Key, (NodeId, String, Option<String>)> =
            fresh.map(|(id, record)| (record.key, (id, record.node.clone(), made_by(record)))).collect();
        let mut read = 0;
        for run in self.cache.runs().unwrap_or_default() {
            if wanted.is_empty() || read == JOURNALS {
                return;
            }
            let is_maker =
                |key: &Key| wanted.get(key).is_some_and(|it| it.2.as_ref().is_none_or(|maker| *maker == run.id));
            let made: Vec<Key> = run.reached.iter().copied().filter(is_maker).collect();
            if made.is_empty() {
                continue;
            }
            read += 1;
            let mut journal = Journal::in_folder(&run.path);
            for (id, address, _) in made.iter().filter_map(|key| wanted.remove(key)).collect::<Vec<_>>() {
                if let Some(work) = journal.works.remove(&address).filter(|work| work.begun.is_some()) {
                    self.earlier.insert(id, (run.path.clone(), work));
                }
            }
        }
    }
}

fn record_of(cache: &Cache, key: Option<&String>) -> Option<Arc<Record>> {
    // Also where its outputs are in a remote alone: what it says of them is known.
    cache.record(key?.parse().ok()?).ok().flatten().map(Arc::new)
}

fn of_ended(cache: &Cache, ended: &NodeEnded) -> Facts {
    let standing = Standing::of(ended.status);
    let has_record = matches!(standing, Standing::Ran | Standing::OnRecord);
    Facts {
        standing,
        record: has_record.then(|| record_of(cache, ended.key.as_ref())).flatten(),
        seconds: ended.seconds,
        reasons: ended.reasons.clone(),
        failure: ended.failure.clone(),
    }
}

fn of_work(cache: &Cache, work: Option<&Work>, has_ended: bool, is_running: bool) -> Facts {
    let Some(work) = work else {
        return Facts::plain(if has_ended { Standing::NotSelected } else { Standing::Waiting });
    };
    let Some(outcome) = &work.outcome else {
        let standing = if is_running { Standing::AtWork } else { Standing::Interrupted };
        return Facts { reasons: work.reasons.clone(), ..Facts::plain(standing) };
    };
    let standing = Standing::of(outcome.status);
    let has_record = matches!(standing, Standing::Ran | Standing::OnRecord);
    Facts {
        standing,
        record: has_record.then(|| record_of(cache, outcome.key.as_ref())).flatten(),
        seconds: outcome.seconds,
        reasons: work.reasons.clone(),
        failure: outcome.failure.clone(),
    }
}

fn of_verdict(verdict: &Verdict) -> Facts {
    match verdict {
        Verdict::Fresh(record) => Facts { record: Some(record.clone()), ..Facts::plain(Standing::OnRecord) },
        Verdict::Run { reasons, .. } => {
            Facts { reasons: reasons.iter().map(ToString::to_string).collect(), ..Facts::plain(Standing::NotOnRecord) }
        }
        Verdict::LeftOut { file } => {
            let failure = Failure { cause: None, message: format!("{file} is not there"), hint: None, log: Vec::new() };
            Facts { failure: Some(failure), ..Facts::plain(Standing::LeftOut) }
        }
        Verdict::NotSelected => Facts::plain(Standing::NotSelected),
        Verdict::Waiting { .. } | Verdict::Missing { .. } | Verdict::Unreadable { .. } => {
            Facts::plain(Standing::NotOnRecord)
        }
    }
}
