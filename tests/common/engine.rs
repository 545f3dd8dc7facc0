//! A laboratory for tests of the engine: a manifest, kinds of its own and a temporary cache, run with an executor that
//! follows a script. Every run is checked for what must always hold: one outcome per node, nothing before what it reads,
//! and a plan that tells what the run then does. Knows no process and no command line.

#![allow(clippy::unwrap_used, dead_code)]

use ddpipe::Overrides;
use ddpipe::catalog::Catalog;
use ddpipe::event::{Event, Failure, Observer, Outcome, Status};
use ddpipe::executor::{Death, DeviceInfo, Executor, Scripted, Signal, StartError, Step};
use ddpipe::graph::Graph;
use ddpipe::pipeline::{NodeId, Pipeline};
use ddpipe::plan::{Choice, Plan, Planner, Verdict};
use ddpipe::schedule::{Interrupts, Patience, Run, Scheduler, Sharing, Summary};
use ddpipe::sources;
use ddpipe_cache::{Cache, Record};
use ddpipe_interface::Declaration;
use ddpipe_interface::protocol::{Job, JobId};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The kinds that manifests of these tests may use.
pub const KINDS: &[&str] = &[
    r#"name = "make.data"
help = "data from nowhere"
version = 1
[outputs]
data = { type = "dataset", help = "the data" }
[params]
size = { type = "integer", default = 10, help = "how much" }
scale = { type = "float", default = 1.0, help = "how large" }"#,
    r#"name = "make.noise"
help = "random data"
version = 1
seeded = true
[outputs]
data = { type = "dataset", help = "the data" }
[params]
size = { type = "integer", default = 10, help = "how much" }"#,
    r#"name = "make.decoded"
help = "data from a file"
version = 1
[inputs]
file = { type = ["files"], help = "the file" }
[outputs]
data = { type = "dataset", help = "the data" }"#,
    r#"name = "use.step"
help = "data from data"
version = 1
[inputs]
data = { type = ["dataset"], help = "the data" }
more = { type = ["dataset"], help = "more data", optional = true }
[outputs]
data = { type = "dataset", help = "the data" }
rest = { type = "dataset", help = "what is left" }
[params]
x = { type = "integer", default = 0, help = "any number" }"#,
    r#"name = "use.many"
help = "data from much data"
version = 1
[inputs]
all = { type = ["dataset"], help = "the data", many = true, optional = true }
[outputs]
data = { type = "dataset", help = "the data" }
[params]
x = { type = "integer", default = 0, help = "any number" }"#,
    r#"name = "use.score"
help = "numbers from data"
version = 1
seeded = true
[inputs]
data = { type = ["dataset"], help = "the data" }
[outputs]
metrics = { type = "metrics", help = "the numbers" }
[metrics]
accuracy = { help = "how good" }
loss = { help = "how bad" }
[params]
x = { type = "integer", default = 0, help = "any number" }"#,
    r#"name = "use.table"
help = "a table from numbers"
version = 1
[inputs]
results = { type = ["metrics"], help = "the numbers", many = true }
[outputs]
table = { type = "table", help = "the table" }"#,
    r#"name = "use.search"
help = "looks at some of many numbers"
version = 1
[inputs]
results = { type = ["metrics"], help = "the numbers", many = true, on_demand = true }
[outputs]
metrics = { type = "metrics", help = "what was found" }"#,
    r#"name = "use.device"
help = "data that depends on the device"
version = 1
device_in_key = true
[inputs]
data = { type = ["dataset"], help = "the data" }
[outputs]
data = { type = "dataset", help = "the data" }"#,
];

/// A manifest with a cache.
pub struct Lab {
    folder: tempfile::TempDir,
    kinds: Vec<String>,
    overrides: Overrides,
}

impl Lab {
    /// A laboratory with this manifest.
    pub fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kinds = KINDS.iter().map(|kind| kind.to_string()).collect();
        let mut lab = Lab { folder, kinds, overrides: Overrides::default() };
        lab.manifest(manifest);
        lab
    }

    /// Replaces the manifest.
    pub fn manifest(&mut self, text: &str) -> &mut Self {
        let head = if text.contains("[pipeline]") { "" } else { "[pipeline]\nname = \"lab\"\n" };
        self.file("lab.toml", &format!("{head}{text}"))
    }

    /// Writes a file beside the manifest.
    pub fn file(&mut self, name: &str, text: &str) -> &mut Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// Replaces some text of the declaration of a kind.
    pub fn redeclare(&mut self, kind: &str, from: &str, to: &str) -> &mut Self {
        let name = format!("name = {kind:?}");
        let text = self.kinds.iter_mut().find(|text| text.contains(&name)).unwrap();
        assert!(text.contains(from), "{kind} has no {from:?}");
        *text = text.replace(from, to);
        self
    }

    /// `--set` for all later runs; the last for a path wins.
    pub fn set(&mut self, path: &str, value: impl ToString) -> &mut Self {
        self.overrides.sets.retain(|(old, _)| old != path);
        self.overrides.sets.push((path.into(), value.to_string()));
        self
    }

    /// The cache, opened anew: it has verified nothing yet.
    pub fn cache(&self) -> Cache {
        Cache::open(&self.root()).unwrap()
    }

    /// The cache's folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// The manifest, resolved.
    pub fn load(&self) -> Pipeline {
        let kinds = self.kinds.iter().map(|text| Declaration::parse(text).unwrap());
        let (file, catalog) = (self.folder.path().join("lab.toml"), Catalog::from_declarations(kinds));
        ddpipe::load(&file, &self.overrides, catalog).unwrap_or_else(|report| panic!("{report}"))
    }

    /// Runs it; everything goes well.
    pub fn run(&self) -> Ran {
        self.attempt().go()
    }

    /// A run in which this happens instead of success.
    pub fn on(&self, node: &str, step: Step) -> Attempt<'_> {
        self.attempt().on(node, step)
    }

    /// A run to be described further.
    pub fn attempt(&self) -> Attempt<'_> {
        Attempt {
            lab: self,
            script: Vec::new(),
            slots: vec!["cpu"],
            keep_going: false,
            patience: Patience::default(),
            sharing: Sharing::default(),
            choice: (Vec::new(), Vec::new(), "cpu"),
            interrupts: Interrupts::default(),
            cache: None,
            gate: None,
            seconds: Box::new(|_| 1.0),
            watch: Box::new(|_| {}),
            surprises: false,
        }
    }

    /// The report of what is on record now.
    pub fn report(&self) -> String {
        let pipeline = self.load();
        let (graph, cache, plan) = (Graph::link(&pipeline), self.cache(), self.attempt().planned(&pipeline));
        let found = sources::look(&pipeline, &cache, &vec![true; pipeline.nodes.len()]).unwrap();
        ddpipe::report::page(&ddpipe::report::Subject::of_plan(
            &pipeline,
            &graph,
            &cache,
            &plan,
            &found,
            None,
            Default::default(),
        ))
    }

    /// The record of a node as the cache has it now.
    pub fn record(&self, node: &str) -> Option<Record> {
        self.cache().newest_record("lab", node).unwrap()
    }

    /// Overwrites the main output of a node with other bytes of the same length.
    pub fn damage(&self, node: &str) {
        let path = self.blob(node);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 0xff;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }

    /// Removes the main output of a node.
    pub fn lose(&self, node: &str) {
        fs::remove_file(self.blob(node)).unwrap();
    }

    /// Where the main output of a node lies.
    pub fn blob(&self, node: &str) -> PathBuf {
        let record = self.record(node).unwrap();
        self.cache().blobs().path(record.outputs[0].digest)
    }
}

/// A run to be.
pub struct Attempt<'a> {
    lab: &'a Lab,
    script: Vec<(String, Step)>,
    slots: Vec<&'static str>,
    keep_going: bool,
    patience: Patience,
    sharing: Sharing,
    choice: (Vec<String>, Vec<String>, &'static str),
    interrupts: Interrupts,
    cache: Option<Cache>,
    gate: Option<Gate>,
    seconds: Box<dyn Fn(&str) -> f64 + 'a>,
    watch: Box<dyn FnMut(&Event) + 'a>,
    surprises: bool,
}

impl<'a> Attempt<'a> {
    /// This happens when the node runs; calls add up.
    pub fn on(mut self, node: &str, step: Step) -> Self {
        self.script.push((node.into(), step));
        self
    }

    /// The node succeeds with this number.
    pub fn scores(self, node: &str, name: &str, value: f64) -> Self {
        self.on(node, Step::Succeed(vec![(name.into(), value)]))
    }

    /// On these slots.
    pub fn slots(mut self, slots: &[&'static str]) -> Self {
        self.slots = slots.to_vec();
        self
    }

    /// With `--keep-going`.
    pub fn keep_going(mut self) -> Self {
        self.keep_going = true;
        self
    }

    /// With these clocks.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Where only small nodes share a device: the bytes that each of the pipeline's nodes takes, in its order.
    pub fn memory(mut self, bytes: &[Option<u64>]) -> Self {
        self.sharing = Sharing::of_small(bytes.iter().copied());
        self
    }

    /// With `--select`.
    pub fn select(mut self, node: &str) -> Self {
        self.choice.0.push(node.into());
        self
    }

    /// With `--force`.
    pub fn force(mut self, node: &str) -> Self {
        self.choice.1.push(node.into());
        self
    }

    /// On this class of devices.
    pub fn device(mut self, class: &'static str) -> Self {
        self.choice.2 = class;
        self
    }

    /// With interrupts that the test raises.
    pub fn interrupts(mut self, interrupts: &Interrupts) -> Self {
        self.interrupts = interrupts.clone();
        self
    }

    /// With this cache instead of the laboratory's.
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    fn its_cache(&self) -> Cache {
        self.cache.clone().unwrap_or_else(|| self.lab.cache())
    }

    /// Workers say nothing before the gate opens.
    pub fn gate(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Nodes took so long before.
    pub fn seconds(mut self, seconds: impl Fn(&str) -> f64 + 'a) -> Self {
        self.seconds = Box::new(seconds);
        self
    }

    /// The test sees every event as it happens.
    pub fn watch(mut self, watch: impl FnMut(&Event) + 'a) -> Self {
        self.watch = Box::new(watch);
        self
    }

    /// Something happens that no plan can foresee: damage, another process, another's bytes.
    pub fn with_surprises(mut self) -> Self {
        self.surprises = true;
        self
    }

    /// Plans without running.
    pub fn plan(&self) -> Vec<(String, String)> {
        let pipeline = self.lab.load();
        let plan = self.planned(&pipeline);
        pipeline.nodes.iter().map(|node| (node.address(), word(&plan, node.id))).collect()
    }

    fn choice(&self) -> Choice {
        let parse = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Choice {
            select: parse(&self.choice.0),
            force: parse(&self.choice.1),
            device: self.choice.2.into(),
            numerics: None,
            threads: 1,
        }
    }

    fn planned(&self, pipeline: &Pipeline) -> Plan {
        let (graph, cache, choice) = (Graph::link(pipeline), self.its_cache(), self.choice());
        let found = sources::look(pipeline, &cache, &vec![true; pipeline.nodes.len()]).unwrap();
        Planner::new(pipeline, &graph, &cache, &found, Default::default(), &choice).plan()
    }

    /// Runs to the end.
    pub fn go(mut self) -> Ran {
        let pipeline = self.lab.load();
        let plan = self.planned(&pipeline);
        let (graph, cache, choice) = (Graph::link(&pipeline), self.its_cache(), self.choice());
        let found = sources::look(&pipeline, &cache, &vec![true; pipeline.nodes.len()]).unwrap();
        let mut planner = Planner::new(&pipeline, &graph, &cache, &found, Default::default(), &choice);
        let mut scripted = Scripted::new(cache.clone(), &self.slots);
        for (node, step) in std::mem::take(&mut self.script) {
            scripted = scripted.on(&node, step);
        }
        let journal = scripted.journal();
        let mut executor = Gated { inner: scripted, gate: self.gate.take() };
        let mut seen = Seen { events: Vec::new(), watch: &mut self.watch };
        let seconds = |node: NodeId| (self.seconds)(&pipeline.node(node).address());
        let run = Run {
            pipeline: &pipeline,
            graph: &graph,
            planner: &mut planner,
            cache: &cache,
            sources: &found,
            executor: &mut executor,
            observer: &mut seen,
            interrupts: self.interrupts.clone(),
            keep_going: self.keep_going,
            name: None,
            commit: None,
            patience: self.patience,
            sharing: self.sharing,
            peers: None,
        };
        let summary = Scheduler::new(run, seconds).run();
        let events = seen.events;
        let journal = journal.lock().unwrap().clone();
        let planned = pipeline.nodes.iter().map(|node| (node.address(), word(&plan, node.id))).collect();
        let ran = Ran { pipeline, planned, journal, events, summary };
        ran.assert_sound(self.surprises);
        ran
    }
}

fn word(plan: &Plan, node: NodeId) -> String {
    match &plan.verdicts[node.index()] {
        Verdict::Fresh(_) => "fresh".into(),
        Verdict::Run { reasons, .. } => {
            let reasons: Vec<String> = reasons.iter().map(|reason| reason.to_string()).collect();
            format!("run: {}", reasons.join(", "))
        }
        Verdict::Waiting { .. } => "waits".into(),
        Verdict::Missing { file } => format!("missing {file}"),
        Verdict::Unreadable { error } => format!("unreadable: {error}"),
        Verdict::LeftOut { file } => format!("without {file}"),
        Verdict::NotSelected => "left".into(),
    }
}

/// What a run came to.
pub struct Ran {
    /// What was run.
    pub pipeline: Pipeline,
    /// What the plan said before, by node.
    pub planned: Vec<(String, String)>,
    /// What ran, in order, as `node@slot`.
    pub journal: Vec<String>,
    /// Everything that was told.
    pub events: Vec<Event>,
    /// The scheduler's own words.
    pub summary: Summary,
}

impl Ran {
    /// The nodes that ran, in order.
    pub fn order(&self) -> Vec<&str> {
        self.journal.iter().map(|line| line.split('@').next().unwrap()).collect()
    }

    /// Exactly these ran, in this order.
    #[track_caller]
    pub fn ran(&self, nodes: &[&str]) -> &Self {
        assert_eq!(self.order(), nodes);
        self
    }

    /// How a node ended.
    #[track_caller]
    pub fn status(&self, node: &str) -> Status {
        self.outcome(node).status
    }

    /// Why a node has no result.
    #[track_caller]
    pub fn failure(&self, node: &str) -> &Failure {
        self.outcome(node).failure.as_ref().unwrap_or_else(|| panic!("{node} did not fail"))
    }

    /// What became of a node.
    #[track_caller]
    pub fn outcome(&self, node: &str) -> &Outcome {
        let found = self.summary.outcomes.iter().find(|outcome| outcome.node == node);
        found.unwrap_or_else(|| panic!("no outcome of {node}"))
    }

    /// Every node is on record.
    #[track_caller]
    pub fn is_complete(&self) -> &Self {
        for outcome in &self.summary.outcomes {
            assert!(matches!(outcome.status, Status::Ran | Status::Fresh), "{outcome:?}");
        }
        self
    }

    /// Why a node was started, the first time.
    #[track_caller]
    pub fn reasons(&self, name: &str) -> Vec<String> {
        let reasons = self.events.iter().find_map(|event| match event {
            Event::Started { node, reasons, .. } if node == name => Some(reasons),
            _ => None,
        });
        reasons.unwrap_or_else(|| panic!("{name} was not started")).iter().map(|reason| reason.to_string()).collect()
    }

    fn assert_sound(&self, surprises: bool) {
        let planned = |node: &str| self.planned.iter().find(|(name, _)| name == node).map(|(_, word)| word.as_str());
        let mut settled = BTreeSet::new();
        for outcome in &self.summary.outcomes {
            assert!(settled.insert(&outcome.node), "two outcomes of {}", outcome.node);
            let ran = self.order().contains(&outcome.node.as_str());
            match outcome.status {
                Status::Ran => assert!(ran, "{} did not run", outcome.node),
                Status::Fresh if !surprises => assert!(!ran, "{} ran", outcome.node),
                Status::Skipped => assert!(!ran || surprises, "{} ran, then was skipped", outcome.node),
                _ => {}
            }
        }
        let graph = Graph::link(&self.pipeline);
        let on_demand = |node: &str| {
            let asked = |reader: NodeId, read: NodeId| graph.on_demand(reader, read);
            let mut chosen = self.pipeline.nodes.iter().filter(|other| other.address() == node);
            let reached = chosen.next().map(|node| graph.reached_by(graph.ends())[node.id.index()]);
            reached == Some(true) && graph.order().any(|id| graph.reads(id).any(|read| asked(id, read)))
        };
        for (node, word) in &self.planned {
            let out = word == "left" && !on_demand(node);
            assert!(!out || !settled.contains(node), "{node} was left out of the plan, not of the run");
            assert!(word == "left" || settled.contains(node), "{node}: {word}, but no outcome");
        }
        for (index, node) in self.order().iter().enumerate() {
            let at = self.pipeline.nodes.iter().find(|other| other.address() == *node).unwrap();
            for read in graph.reads(at.id).filter(|read| !graph.on_demand(at.id, *read)) {
                let read = self.pipeline.node(read).address();
                let before = self.order()[..index].contains(&read.as_str());
                let there = planned(&read) == Some("fresh") || self.status(&read) == Status::Fresh;
                assert!(before || there, "{node} ran before {read}");
            }
            assert!(planned(node) != Some("fresh") || surprises, "{node} ran, but was planned to be fresh");
        }
        let complete =
            self.summary.outcomes.iter().all(|outcome| matches!(outcome.status, Status::Ran | Status::Fresh));
        for (node, word) in self.planned.iter().filter(|_| complete && !surprises) {
            assert!(!word.starts_with("run") || self.order().contains(&node.as_str()), "{node} was planned to run");
        }
    }
}

/// Keeps workers silent until it opens.
#[derive(Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Lets the workers speak.
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Gated {
    inner: Scripted,
    gate: Option<Gate>,
}

impl Executor for Gated {
    fn slots(&self) -> &[String] {
        self.inner.slots()
    }

    fn device(&self, slot: usize) -> DeviceInfo {
        self.inner.device(slot)
    }

    fn start(&mut self, slot: usize, job: Job) -> Result<(), StartError> {
        self.inner.start(slot, job)
    }

    fn cancel(&mut self, slot: usize, id: JobId) {
        self.inner.cancel(slot, id);
    }

    fn kill(&mut self, slot: usize, death: Death) {
        self.inner.kill(slot, death);
    }

    fn next(&mut self, timeout: Duration) -> Option<Signal> {
        if self.gate.as_ref().is_some_and(|gate| !gate.0.load(Ordering::SeqCst)) {
            std::thread::sleep(timeout.min(Duration::from_millis(5)));
            return None;
        }
        self.inner.next(timeout)
    }

    fn shutdown(&mut self, kill: bool) {
        self.inner.shutdown(kill);
    }
}

struct Seen<'a> {
    events: Vec<Event>,
    watch: &'a mut dyn FnMut(&Event),
}

impl Observer for Seen<'_> {
    fn on_event(&mut self, event: &Event) {
        (self.watch)(event);
        self.events.push(event.clone());
    }
}
