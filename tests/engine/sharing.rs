//! Two schedulers on one cache: every action runs once, and whoever waits says for whom.

use crate::lab::{Gate, Lab};
use ddpipe::event::{Event, Status};
use ddpipe::executor::Step;
use ddpipe_interface::protocol::Cause;

const CHAIN: &str = r#"
[stages.a]
kind = "make.data"
[stages.b]
kind = "use.step"
inputs = { data = "a" }
[stages.c]
kind = "use.step"
inputs = { data = "b" }
"#;

#[test]
fn the_second_of_two_runs_waits_and_takes_what_the_first_made() {
    let lab = Lab::new(CHAIN);
    let (gate, started) = (Gate::default(), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut told = false;
            let watch = |event: &Event| {
                if matches!(event, Event::Started { .. }) && !std::mem::replace(&mut told, true) {
                    started.wait();
                }
            };
            lab.attempt().gate(&gate).watch(watch).with_surprises().go()
        });
        started.wait();
        let opens = |event: &Event| {
            if matches!(event, Event::Waiting { .. }) {
                gate.open();
            }
        };
        let second = lab.attempt().watch(opens).with_surprises().go();
        let first = first.join().unwrap();
        first.is_complete();
        second.is_complete();
        let mut all: Vec<&str> = first.order();
        all.extend(second.order());
        all.sort();
        assert_eq!(all, ["a", "b", "c"]);
        assert_eq!(second.status("a"), Status::Fresh);
        let waits = second.events.iter().find_map(|event| match event {
            Event::Waiting { node, holder } => Some((node.as_str(), holder.as_str())),
            _ => None,
        });
        let (node, holder) = waits.unwrap();
        assert_eq!(node, "a");
        assert!(holder.contains(&std::process::id().to_string()), "{holder}");
        assert!(holder.contains("(a)"), "{holder}");
    });
}

#[test]
fn the_second_takes_over_what_the_first_could_not_make() {
    let lab = Lab::new(CHAIN);
    let (gate, started) = (Gate::default(), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let watch = |event: &Event| {
                if matches!(event, Event::Started { .. }) {
                    started.wait();
                }
            };
            lab.on("a", Step::Fail(Cause::OutOfMemory)).gate(&gate).watch(watch).with_surprises().go()
        });
        started.wait();
        let opens = |event: &Event| {
            if matches!(event, Event::Waiting { .. }) {
                gate.open();
            }
        };
        let second = lab.attempt().watch(opens).with_surprises().go();
        assert_eq!(first.join().unwrap().status("a"), Status::Failed);
        second.ran(&["a", "b", "c"]).is_complete();
    });
}

#[test]
fn while_one_node_waits_for_another_process_the_others_run() {
    let lab = Lab::new(
        "[stages.a]\nkind = \"make.data\"\n[stages.b]\nkind = \"make.noise\"\n[stages.c]\nkind = \"use.step\"\ninputs.data = \"b\"\n",
    );
    let (gate, started) = (Gate::default(), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let watch = |event: &Event| {
                if matches!(event, Event::Started { .. }) {
                    started.wait();
                }
            };
            lab.attempt().select("a").gate(&gate).watch(watch).go()
        });
        started.wait();
        let opens = |event: &Event| {
            if matches!(event, Event::Finished(outcome) if outcome.node == "c") {
                gate.open();
            }
        };
        let second = lab.attempt().watch(opens).with_surprises().go();
        second.ran(&["b", "c"]).is_complete();
        first.join().unwrap().ran(&["a"]).is_complete();
    });
}
