//! Random graphs with random failures. What must always hold is asserted by the laboratory after every run.

use crate::lab::Lab;
use ddpipe::event::Status;
use ddpipe::executor::Step;
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

fn manifest(graph: &[Vec<usize>]) -> String {
    let mut text = String::new();
    for (node, reads) in graph.iter().enumerate() {
        writeln!(text, "[stages.n{node}]\nkind = \"use.many\"\nparams = {{ x = {node} }}").unwrap();
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
        Just(Step::Die),
        Just(Step::DieBeforeStored),
        Just(Step::Give(b"the same".to_vec())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_soundly_and_a_good_one_is_final(
        graph in graphs(),
        faults in prop::collection::vec((any::<prop::sample::Index>(), steps()), 0..4),
        slots in 1usize..4,
        keep_going in any::<bool>(),
    ) {
        let lab = Lab::new(&manifest(&graph));
        let slots = &["cpu", "cuda:0", "cuda:1"][..slots];
        let mut attempt = lab.attempt().slots(slots).with_surprises();
        for (node, step) in &faults {
            attempt = attempt.on(&format!("n{}", node.index(graph.len())), step.clone());
        }
        if keep_going {
            attempt = attempt.keep_going();
        }
        let first = attempt.go();
        for outcome in &first.summary.outcomes {
            let blamed = outcome.failure.as_ref().and_then(|failure| failure.message.strip_suffix(" failed"));
            if let Some(blamed) = blamed {
                prop_assert_eq!(first.status(blamed), Status::Failed);
            }
            prop_assert!(outcome.status == Status::Failed || !keep_going || outcome.failure.is_none() || blamed.is_some());
        }
        let done: Vec<String> = first.summary.outcomes.iter()
            .filter(|outcome| outcome.status == Status::Ran).map(|outcome| outcome.node.clone()).collect();
        let second = lab.attempt().slots(slots).go();
        second.is_complete();
        for node in &done {
            prop_assert!(!second.order().contains(&node.as_str()), "{} ran twice", node);
        }
        lab.run().ran(&[]).is_complete();
    }
}
