//! What a run costs before it runs anything: reading a manifest, and planning it when everything is on record.
//! `cargo bench --bench engine`.

use criterion::{Criterion, criterion_group, criterion_main};
use ddpipe::catalog::Catalog;
use ddpipe::executor::Scripted;
use ddpipe::graph::Graph;
use ddpipe::pipeline::Pipeline;
use ddpipe::plan::{Choice, Planner};
use ddpipe::schedule::{Interrupts, Run, Scheduler};
use ddpipe::sources::Sources;
use ddpipe::{Overrides, load};
use ddpipe_cache::Cache;
use std::hint::black_box;
use std::path::PathBuf;

/// `pipelines/ci.toml`: 26 nodes, two matrices, two tables.
fn pipeline() -> Pipeline {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pipelines/ci.toml");
    let loaded = Catalog::built_in().and_then(|catalog| load(&manifest, &Overrides::default(), catalog));
    loaded.unwrap_or_else(|report| panic!("{}", report.render(false)))
}

fn engine(bench: &mut Criterion) {
    bench.bench_function("load ci.toml", |bench| bench.iter(|| black_box(pipeline())));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::open(folder.path()).expect("a cache");
    let (pipeline, sources, choice) = (pipeline(), Sources::default(), Choice::default());
    let graph = Graph::link(&pipeline);
    let mut planner = Planner::new(&pipeline, &graph, &cache, &sources, Default::default(), &choice);
    let mut executor = Scripted::new(cache.clone(), &["cpu"]);
    let mut observers = Vec::new();
    let run = Run {
        pipeline: &pipeline,
        graph: &graph,
        planner: &mut planner,
        cache: &cache,
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
    Scheduler::new(run, |_| 1.0).run();
    let mut planner = Planner::new(&pipeline, &graph, &cache, &sources, Default::default(), &choice);
    assert_eq!(planner.plan().counts().2, pipeline.nodes.len(), "everything is on record");
    bench.bench_function("plan ci.toml, all on record", |bench| bench.iter(|| black_box(planner.plan())));
}

criterion_group!(benches, engine);
criterion_main!(benches);
