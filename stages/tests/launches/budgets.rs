//! No step reads from the device where nothing is recorded, and what a step needs of the host is sent at once.

use super::counting::{Step, steps};
use super::methods::Material;
use serde_json::{Value, json};
use std::process::Command;

/// Marks the process that counts: what is counted belongs to the process.
const COUNTS: &str = "DDPIPE_TEST_COUNTS";

/// Runs the test of this name again in a process of its own; false in that process, which has to do what is tested.
fn counted_elsewhere(test: &str) -> bool {
    if std::env::var_os(COUNTS).is_some() {
        return false;
    }
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let mut program = Command::new(std::env::current_exe().unwrap());
    let run = program.args(["--exact", &name, "--nocapture"]).env(COUNTS, "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    true
}

/// What a step may do.
struct Budget {
    method: &'static str,
    /// Numbers that it reads although nothing is recorded.
    reads: i64,
    /// Uploads at once, of any one step of images or of a network.
    uploads: i64,
}

const fn budget(method: &'static str, reads: i64, uploads: i64) -> Budget {
    Budget { method, reads, uploads }
}

/// One upload has all that a step draws. A network that is fresh, and the order of the epochs in which one is trained between
/// two steps of the images, are one more. Trajectories: the vectors of the expert, the batches and their augmentation.
const BUDGETS: &[Budget] = &[
    budget("dm", 0, 1),
    budget("datadam", 0, 1),
    budget("dc", 0, 2),
    budget("dsa", 0, 2),
    budget("idc", 0, 2),
    budget("frepo", 0, 1),
    budget("psg", 0, 2),
    budget("mtt", 0, 3),
    budget("datm", 0, 3),
    budget("student", 0, 1),
    budget("student, dsa", 0, 1),
    // The filter of its splines is sent when the first image is rotated.
    budget("student, dc", 0, 2),
    budget("three students, dsa", 0, 1),
];

#[test]
fn no_step_reads_what_is_not_recorded_and_each_sends_once() {
    if counted_elsewhere("no_step_reads_what_is_not_recorded_and_each_sends_once") {
        return;
    }
    let mut over = Vec::new();
    for (method, stage) in Material::noise(3).methods() {
        let budget = BUDGETS.iter().find(|budget| budget.method == method).unwrap();
        let steps = steps(stage);
        assert!(steps.len() > 1, "{method}: {} steps", steps.len());
        let most = |of: fn(&Step) -> i64| steps.iter().map(of).max().unwrap();
        let found = (most(Step::unrecorded_reads), most(|step| step.uploads_at_once));
        println!("{method}: {found:?}");
        if found.0 > budget.reads || found.1 > budget.uploads {
            over.push(format!("{method}: {found:?}, allowed are {:?}", (budget.reads, budget.uploads)));
        }
    }
    assert!(over.is_empty(), "reads and uploads of a step:\n{}", over.join("\n"));
}

/// Launches of each step of a method on so many classes, with some of its parameters changed. A loss that is shown is read
/// when the clock says so, which adds one now and then; the least of several steps has none.
fn launches(classes: i64, method: &str, changed: &[(&str, Value)]) -> Vec<i64> {
    let (_, mut stage) = Material::noise(classes).methods().into_iter().find(|(name, _)| *name == method).unwrap();
    for (name, value) in changed {
        stage = stage.param(name, value);
    }
    steps(stage).iter().map(|step| step.counts.launches).collect()
}

#[test]
fn there_are_no_more_operations_for_more_classes() {
    if counted_elsewhere("there_are_no_more_operations_for_more_classes") {
        return;
    }
    // Classes that draw unlike augmentations go through each of them; here all draw the same or none.
    let color = [("strategy", json!("color"))];
    for (method, changed) in [("dm", &color[..]), ("datadam", &color), ("dc", &[]), ("dsa", &color)] {
        let [few, more, many] = [2, 5, 10].map(|classes| launches(classes, method, changed));
        println!("{method}: {few:?}");
        assert_eq!((&few, &few), (&more, &many), "{method}: each step with 2, 5 and 10 classes");
    }
}

#[test]
fn there_are_no_more_operations_for_more_students() {
    if counted_elsewhere("there_are_no_more_operations_for_more_students") {
        return;
    }
    for augment in ["none", "dsa"] {
        let of = |students: u64| {
            let changed = [("students", json!(students)), ("augment", json!(augment)), ("strategy", json!("color"))];
            launches(2, "student", &changed).into_iter().min().unwrap()
        };
        let [one, two, five] = [1, 2, 5].map(of);
        println!("students, {augment}: {one}, {two}");
        assert_eq!(two, five, "{augment}");
        // What lies side by side for several students is copied, and is a view for one.
        assert!((0..10).contains(&(two - one)), "{augment}: {one} and {two}");
    }
}

/// Where loops and what they call are, and the files of them that send and read before a loop or after it.
const LOOPS: [&str; 3] = ["nn/src", "training", "distill"];
const ONCE: &[&str] = &[
    "nn/src/network/vit.rs",
    "nn/src/stream.rs",
    "nn/src/transfer.rs",
    "distill/idc/start.rs",
    "distill/knowledge/test.rs",
    "distill/psg/start.rs",
    "distill/trajectory_matching/correct_images.rs",
    "distill/trajectory_matching/initial.rs",
    "training/examples.rs",
    "training/forgetting.rs",
    "training/pretrained.rs",
];

/// What makes a tensor of numbers of the host, or reads one, without being counted.
const UNCOUNTED: [&str; 8] = [
    "Tensor::from_slice(",
    "f_from_slice(",
    "f64::try_from(",
    "f32::try_from(",
    "bool::try_from(",
    "Vec::try_from(",
    "_value(&[",
    "copy_data",
];

#[test]
fn what_loops_send_and_read_is_counted_in_one_place() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut found) = (LOOPS.map(|folder| root.join(folder)).to_vec(), Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if !name.ends_with(".rs") || ONCE.contains(&name.as_str()) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (line, text) in (1..).zip(code.lines()).filter(|(_, text)| !text.trim_start().starts_with("//")) {
                let typed = text.contains("Vec::<") && text.contains(">::try_from(");
                if typed || UNCOUNTED.iter().any(|way| text.contains(way)) {
                    found.push(format!("{name}:{line}: {}", text.trim()));
                }
            }
        }
    }
    assert!(found.is_empty(), "sent or read past ddpipe_nn::transfer, where it is counted:\n{}", found.join("\n"));
}
