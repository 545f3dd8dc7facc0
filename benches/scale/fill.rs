//! Puts a record of every node into a cache, without a worker: the outputs are a few bytes that depend on what the node
//! reads.

use ddpipe::executor::Scripted;
use ddpipe::graph::Graph;
use ddpipe::pipeline::Pipeline;
use ddpipe::plan::{Choice, Planner};
use ddpipe::schedule::{Interrupts, Run, Scheduler};
use ddpipe::sources::Sources;
use ddpipe_cache::Cache;
use std::time::{Duration, Instant};

/// Runs the pipeline with an executor that makes up its outputs; how long that took.
pub fn fill(pipeline: &Pipeline, cache: &Cache) -> Duration {
    let (sources, graph) = (Sources::default(), Graph::link(pipeline));
    let choice = Choice { device: "cpu".into(), ..Choice::default() };
    let mut planner = Planner::new(pipeline, &graph, cache, &sources, Default::default(), &choice);
    let mut executor = Scripted::new(cache.clone(), &["cpu", "cpu"]);
    let mut observers = Vec::new();
    let run = Run {
        pipeline,
        graph: &graph,
        planner: &mut planner,
        cache,
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
    let begun = Instant::now();
    Scheduler::new(run, |_| 1.0).run();
    begun.elapsed()
}
