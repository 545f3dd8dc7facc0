//! Random graphs with random failures: of stages, workers, the store, the cache and the protocol, with interrupts, and with
//! another process at the same work. What must always hold is asserted by the laboratory after every run.

use crate::lab::Lab;
use ddpipe::event::{Event, Status};
use ddpipe::executor::Step;
use ddpipe::schedule::Interrupts;
use ddpipe_interface::protocol::Cause;
use proptest::prelude::*;
use std::fmt::Write as _;

/// Per node, which earlier nodes it reads.
fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..12).prop_map(|nodes| {
        let reads = |(node, reads): (usize, &Vec<prop::sample::Index>)| {
            let mut reads: Vec<usize> = reads.iter().filter(|_| node > 0).map(|read| read.index(node)).collect();
            reads.sort();
            reads.dedup();
            reads
        };
        nodes.iter().enumerate().map(reads).collect()
    })
}

fn manifest(graph: &[Vec<usize>], retries: u32) -> String {
    let mut text = String::new();
    for (node, reads) in graph.iter().enumerate() {
        writeln!(text, "[stages.n{node}]\nkind = \"use.many\"\nparams = {{ x = {node} }}\nretries = {retries}")
            .unwrap();
        if !reads.is_empty() {
            let names: Vec<String> = reads.iter().map(|read| format!("\"n{read}\"")).collect();
            writeln!(text, "inputs = {{ all = {{ gather = [{}] }} }}", names.join(", ")).unwrap();
        }
    }
    text
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Fail(Cause::Error)),
        Just(Step::Fail(Cause::OutOfMemory)),
        Just(Step::Fail(Cause::Store)),
        Just(Step::Fail(Cause::DamagedInput)),
        Just(Step::Die),
        Just(Step::DieBeforeStored),
        Just(Step::Lie),
        Just(Step::DoneTwice),
        Just(Step::StoredFirst),
        Just(Step::Give(b"the same".to_vec())),
    ]
}

/// Nodes that a node of these stands behind: what is made from promised bytes that are never written is made again.
fn behind(graph: &[Vec<usize>], lies: &[usize]) -> Vec<bool> {
    let mut behind = vec![false; graph.len()];
    for (node, reads) in graph.iter().enumerate() {
        behind[node] = reads.iter().any(|read| behind[*read] || lies.contains(read));
    }
    behind
}

/// How many cases are tried: `DDPIPE_CASES`, or 256.
fn cases() -> u32 {
    std::env::var("DDPIPE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(256)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_soundly_and_a_good_one_is_final(
        graph in graphs(),
        faults in prop::collection::vec((any::<prop::sample::Index>(), steps()), 0..5),
        slots in 1usize..4,
        retries in 0u32..3,
        keep_going in any::<bool>(),
        interrupt in prop::option::of(1usize..30),
        company in any::<bool>(),
    ) {
        let lab = Lab::new(&manifest(&graph, retries));
        let slots = &["cpu", "cuda:0", "cuda:1"][..slots];
        let interrupts = Interrupts::default();
        let mut events = 0;
        let watch = |_: &Event| {
            events += 1;
            if Some(events) == interrupt {
                interrupts.raise();
            }
        };
        let mut attempt = lab.attempt().slots(slots).interrupts(&interrupts).watch(watch).with_surprises();
        for (node, step) in &faults {
            attempt = attempt.on(&format!("n{}", node.index(graph.len())), step.clone());
        }
        if keep_going {
            attempt = attempt.keep_going();
        }
        // Another process has the same to do, and claims what this one wants.
        let first = std::thread::scope(|scope| {
            let other = company.then(|| scope.spawn(|| lab.attempt().with_surprises().go().is_complete().journal.len()));
            let first = attempt.go();
            if let Some(other) = other {
                other.join().unwrap();
            }
            first
        });
        prop_assert!(first.summary.outcomes.len() == graph.len());
        for outcome in &first.summary.outcomes {
            let blamed = outcome.failure.as_ref().and_then(|failure| failure.message.strip_suffix(" failed"));
            if let Some(blamed) = blamed {
                prop_assert_eq!(first.status(blamed), Status::Failed);
            }
            let alone = outcome.status == Status::Skipped && blamed.is_none();
            prop_assert!(!alone || !keep_going || first.summary.interrupted, "{:?}", outcome);
        }
        let done: Vec<String> = first.summary.outcomes.iter()
            .filter(|outcome| outcome.status == Status::Ran).map(|outcome| outcome.node.clone()).collect();
        let second = lab.attempt().slots(slots).with_surprises().go();
        second.is_complete();
        let lied = faults.iter().filter(|(_, step)| *step == Step::Lie).map(|(node, _)| node.index(graph.len()));
        let behind = behind(&graph, &lied.collect::<Vec<_>>());
        for node in done.iter().filter(|node| !behind[node[1..].parse::<usize>().unwrap()]) {
            prop_assert!(!second.order().contains(&node.as_str()), "{} ran twice", node);
        }
        lab.run().ran(&[]).is_complete();
    }
}
