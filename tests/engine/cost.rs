//! What a run costs for each of its nodes, in looks at records and not in time: the same in a run of any size.

use crate::lab::Lab;
use ddpipe::executor::Scripted;
use ddpipe::graph::Graph;
use ddpipe::key::Description;
use ddpipe::plan::{Choice, Plan, Planner, Records};
use ddpipe::schedule::{Interrupts, Run, Scheduler, Summary};
use ddpipe::sources::Sources;
use ddpipe_cache::{Cache, CacheError, Key, Record};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A cache that counts what it is asked.
struct Counted {
    cache: Cache,
    found: AtomicUsize,
    outputs: AtomicUsize,
    /// Records that are on another machine, those of them that are here by now, and how many were asked for at a time.
    distant: HashMap<Key, Record>,
    near: Mutex<HashMap<Key, Record>>,
    waves: Mutex<Vec<usize>>,
}

impl Counted {
    fn new(cache: Cache) -> Self {
        let (found, outputs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Counted { cache, found, outputs, distant: HashMap::new(), near: Mutex::default(), waves: Mutex::default() }
    }
}

impl Records for Counted {
    fn find(&self, key: &Key) -> Result<Option<Record>, CacheError> {
        self.found.fetch_add(1, Ordering::SeqCst);
        self.cache.find(key)
    }

    fn find_here(&self, key: &Key, description: &mut Description) -> Result<Option<Record>, CacheError> {
        match self.distant.is_empty() {
            true => self.find_described(key, description),
            false => Ok(self.near.lock().unwrap().get(key).cloned()),
        }
    }

    fn are_elsewhere_too(&self) -> bool {
        !self.distant.is_empty()
    }

    fn look_ahead(&self, _pipeline: &str, keys: &[Key]) {
        self.waves.lock().unwrap().push(keys.len());
        let found = keys.iter().filter_map(|key| Some((*key, self.distant.get(key)?.clone())));
        self.near.lock().unwrap().extend(found);
    }

    fn find_described(&self, key: &Key, description: &mut Description) -> Result<Option<Record>, CacheError> {
        self.found.fetch_add(1, Ordering::SeqCst);
        self.cache.find_described(key, description)
    }

    fn lost_output(&self, record: &Record) -> Result<Option<String>, CacheError> {
        self.outputs.fetch_add(1, Ordering::SeqCst);
        self.cache.lost_output(record)
    }

    fn newest(&self, pipeline: &str, node: &str) -> Option<Record> {
        self.cache.newest(pipeline, node)
    }
}

/// A fan of chains that all read one node, and one node that gathers all of them.
fn manifest(width: usize) -> String {
    format!(
        "[stages.data]\nkind = \"make.data\"\n\
         [stages.step]\nkind = \"use.step\"\nmatrix = {{ x = {{ from = 0, to = {} }} }}\ninputs = {{ data = \"data\" }}\n\
         [stages.score]\nkind = \"use.score\"\ninputs = {{ data = \"step\" }}\n\
         [stages.table]\nkind = \"use.table\"\ninputs = {{ results = {{ gather = \"score\" }} }}\n",
        width - 1
    )
}

/// Plans and runs as the command does; what came of it, and how often records and outputs were looked for.
fn run(lab: &Lab, is_certain: bool) -> (Summary, usize, usize) {
    let (pipeline, sources) = (lab.load(), Sources::default());
    let graph = Graph::link(&pipeline);
    let counted = Counted::new(lab.cache());
    let choice = Choice { device: "cpu".into(), ..Choice::default() };
    let mut planner = Planner::new(&pipeline, &graph, &counted, &sources, Default::default(), &choice);
    let plan: Plan = planner.plan();
    let (mut executor, mut observers) = (Scripted::new(lab.cache(), &["cpu", "cpu"]), Vec::new());
    let run = Run {
        pipeline: &pipeline,
        graph: &graph,
        planner: &mut planner,
        cache: &counted.cache,
        sources: &sources,
        executor: &mut executor,
        observer: &mut observers,
        interrupts: Interrupts::default(),
        keep_going: false,
        name: None,
        commit: None,
        patience: Default::default(),
        sharing: Default::default(),
        peers: None,
    };
    let mut scheduler = Scheduler::new(run, |_| 1.0);
    if is_certain {
        scheduler.start_from(plan);
    }
    let summary = scheduler.run();
    (summary, counted.found.load(Ordering::SeqCst), counted.outputs.load(Ordering::SeqCst))
}

#[test]
fn a_run_with_nothing_to_do_looks_for_each_record_once() {
    for width in [3, 100] {
        let lab = Lab::new(&manifest(width));
        let nodes = lab.load().nodes.len();
        let (first, ..) = run(&lab, true);
        assert_eq!(first.records.len(), nodes);
        let (again, found, outputs) = run(&lab, true);
        assert_eq!((found, outputs), (nodes, nodes), "{width}");
        assert_eq!(again.records.len(), nodes);
        assert_eq!(first.records, again.records);
        // After a collection every record is looked for again.
        let (_, found, outputs) = run(&lab, false);
        assert_eq!((found, outputs), (2 * nodes, 2 * nodes), "{width}");
    }
}

#[test]
fn a_run_that_computes_everything_looks_for_each_record_a_bounded_number_of_times() {
    for width in [3, 100] {
        let lab = Lab::new(&manifest(width));
        let nodes = lab.load().nodes.len();
        let (summary, found, _) = run(&lab, true);
        assert_eq!(summary.outcomes.len(), nodes);
        // The plan knows the inputs of the first node alone; then each is decided about when its inputs are there.
        assert_eq!(found, nodes + 1, "{width}");
    }
}

/// A stage of 500 nodes waits for another machine as long as one node does.
#[test]
fn records_of_another_machine_are_asked_for_in_waves() {
    let lab = Lab::new(&manifest(500));
    run(&lab, true);
    let (pipeline, sources) = (lab.load(), Sources::default());
    let graph = Graph::link(&pipeline);
    let mut counted = Counted::new(lab.cache());
    counted.distant = lab.cache().records().unwrap().into_iter().map(|record| (record.key, record)).collect();
    let choice = Choice { device: "cpu".into(), ..Choice::default() };
    let mut planner = Planner::new(&pipeline, &graph, &counted, &sources, Default::default(), &choice);
    let plan = planner.plan();
    assert_eq!(plan.fresh().len(), pipeline.nodes.len());
    assert_eq!(*counted.waves.lock().unwrap(), [500, 500], "single nodes are asked for as they come");
    assert_eq!(counted.found.load(Ordering::SeqCst), 2, "the data and the table");
}
