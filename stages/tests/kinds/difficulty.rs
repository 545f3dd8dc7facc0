//! Difficulty from scores to sets: `score.difficulty`, `train.experts` on scheduled data, and `distill.pad`, driven as the
//! worker drives them. What is scored as hard, what an epoch sees, and what counts in the loss.

use crate::bars::{CLASSES, normalisation, start};
use crate::host::small::Small;
use crate::host::{Stage, byte_set, bytes, json, message, tensors};
use ddpipe_nn::network::{Network, NetworkSpec, Parameters};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Content, Dataset, Scores, SyntheticSet, TensorFile, Trajectories};
use ddpipe_stages::context::Outputs;
use ddpipe_stages::score::difficulty::measure::Measure;
use ddpipe_stages::train::experts::curriculum::{Curriculum, DataSchedule, Part};
use ddpipe_stages::training::{Batch, Examples};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

const EACH: i64 = 12;
const METHODS: [&str; 5] = ["el2n", "grand", "grand_full", "uncertainty", "forgetting"];

/// Noisy images \[N,1,16,16\] as bytes with a bright bar per class; the first image of every class has another class's bar.
fn real() -> TensorFile {
    let labels: Vec<i64> = (0..CLASSES * EACH).map(|image| image % CLASSES).collect();
    let images = stream(5, "real", 0).uniform_tensor(&[CLASSES * EACH, 1, 16, 16], 0.0, 60.0);
    for (image, class) in labels.iter().enumerate() {
        let shown = if image < CLASSES as usize { (class + 1) % CLASSES } else { *class };
        let _ = images.get(image as i64).narrow(1, 4 * shown + 1, 3).g_add_scalar_(150.0);
    }
    let origin = "sample data: bars".to_string();
    let (images, labels) = (images.to_kind(Kind::Uint8), Tensor::from_slice(&labels));
    byte_set(images, labels, CLASSES, normalisation(), origin).to_file()
}

fn scoring(method: &str) -> Stage {
    let stage = Stage::of("score.difficulty").tensors("real", "real", &real()).param("method", method);
    let stage = stage.param("networks", 2).param("epochs", 8).param("batch_size", 6).param("lr", 0.02);
    stage.param("arch", "convnet1").param("width", 6).param("weight_decay", 0.0)
}

pub fn small() -> Vec<Small> {
    let mut all = Vec::new();
    // A network takes 24 steps, and one in which it is asked, but where forgetting is counted: stopped in the middle and at
    // the end of each.
    for method in METHODS {
        let every = if method == "forgetting" { 4 } else { 5 };
        let small = Small::of(scoring(method).param("epochs", 4)).named(method);
        all.push(small.continues(every, (1..=if method == "forgetting" { 12 } else { 10 }).map(|stop| stop * every)));
    }
    // Three steps, and two batches that the network is asked about: stopped between those, too.
    let mut set = Dataset::from_file(&real()).unwrap();
    (set.images, set.labels) = (set.images.repeat([8, 1, 1, 1]), set.labels.repeat([8]));
    let asked = Stage::of("score.difficulty").tensors("real", "real", &set.to_file()).param("networks", 1);
    let asked = asked.param("epochs", 1).param("batch_size", 96).param("lr", 0.02).param("arch", "mlp");
    all.push(Small::of(asked).named("many images").continues(1, 1..=5));
    // Batches of 8 of 18, 36, 36 and 18 images: 3, 5, 5 and 3 steps for each of two experts.
    let scores = scoring("grand").run().unwrap();
    for method in ["plain", "flat"] {
        let small = Small::of(scheduled(&scores).param("method", method)).named(format!("{method}, scheduled"));
        all.push(small.continues(1, 1..=32));
    }
    // It asks whether to stop once for each class and each expert before it begins.
    let (before, experts) = (CLASSES as u64 + 2, scheduled(&scores).run().unwrap());
    for (select, form) in [("loss", "unrolled"), ("loss", "recomputed"), ("depth", "recomputed"), ("loss", "tesla")] {
        let stage = following("distill.pad", &experts).param("select", select).param("gradient", form);
        let small = Small::of(stage).named(format!("{select}, {form}"));
        all.push(small.asks_before(before).continues(1, 1..=8));
    }
    all
}

fn scores(outputs: &Outputs) -> Scores {
    Scores::from_file(tensors(outputs, "scores")).unwrap()
}

fn scored(outputs: &Outputs) -> (Vec<u8>, String, Vec<u8>) {
    (
        tensors(outputs, "scores").to_bytes().unwrap(),
        json(outputs, "metrics").to_string(),
        bytes(outputs, "picture").to_vec(),
    )
}

#[test]
fn what_looks_like_another_class_is_hard_and_scores_repeat() {
    for method in METHODS {
        let outputs = scoring(method).run().unwrap();
        assert_eq!(scored(&outputs), scored(&scoring(method).run().unwrap()), "{method}");
        assert_ne!(scored(&outputs).0, scored(&scoring(method).seed(1).run().unwrap()).0, "{method}");
        let scores = scores(&outputs);
        assert_eq!((scores.scores.size(), scores.scores.kind()), (vec![CLASSES * EACH], Kind::Float));
        let order = scores.easy_to_hard().unwrap();
        assert!(order.iter().enumerate().all(|(class, positions)| positions.len() == EACH as usize
            && positions.iter().all(|position| position % CLASSES == class as i64)));
        let picture = image::load_from_memory(bytes(&outputs, "picture")).unwrap();
        // Ten images of twice 16 pixels in a row, two pixels between them.
        assert_eq!((picture.width(), picture.height()), (10 * 34 + 2, 3 * 34 + 2));
        // A network may be as sure of a wrong label as it is told to be; what is not uncertain is not said to be.
        if method != "uncertainty" {
            for (class, positions) in order.iter().enumerate() {
                assert_eq!(positions[EACH as usize - 1], class as i64, "{method}: {order:?}");
                let about = &json(&outputs, "metrics")["per_class"][class];
                assert_eq!(about["hardest"][0].as_i64(), Some(class as i64));
                assert_eq!(about["easiest"][0].as_i64(), Some(positions[0]));
            }
        }
    }
    let uncertain = |measure: &str| scored(&scoring("uncertainty").param("uncertainty", measure).run().unwrap()).0;
    assert_ne!(uncertain("entropy"), uncertain("margin"));
}

/// Against the definitions, on a network of one linear layer.
#[test]
fn uncertainty_is_that_of_the_probabilities() {
    // A thread of tests takes over the number of threads with its first operation, which would be rounded otherwise.
    tch::set_num_threads(1);
    let spec = NetworkSpec::named("mlp", &Default::default(), 1, [4, 4], CLASSES).unwrap();
    let network = Network::new(&spec).unwrap();
    let parameters: Parameters = network.init(stream(1, "init", 0).generator(), Device::Cpu).unwrap();
    let images = stream(2, "images", 0).normal_tensor(&[5, 1, 4, 4]) * 3.0;
    let labels = Tensor::from_slice(&[0i64, 1, 2, 0, 1]);
    let logits = network.forward_chunked(&parameters, &images, ddpipe_nn::network::Chunk(8)).unwrap();
    for (image, logits) in Vec::<Vec<f64>>::try_from(logits.to_kind(Kind::Double)).unwrap().into_iter().enumerate() {
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut p: Vec<f64> = logits.iter().map(|logit| logit.exp() / sum).collect();
        p.sort_by(|a, b| b.total_cmp(a));
        let expected = [
            (Measure::LeastConfidence, 1.0 - p[0]),
            (Measure::Entropy, -p.iter().map(|p| p * p.ln()).sum::<f64>()),
            (Measure::Margin, 1.0 - (p[0] - p[1])),
        ];
        for (measure, expected) in expected {
            let got = measure.of(&network, &parameters, &images, &labels).unwrap().double_value(&[image as i64]);
            assert!((got - expected).abs() < 1e-9, "{measure:?} of image {image}: {got}, expected {expected}");
        }
    }
}

#[test]
fn a_schedule_takes_easy_images_first_and_leaves_the_easiest_out_later() {
    let schedule =
        DataSchedule { init_share: 0.5, all_epoch: 2, drop_epochs: vec![3, 4], drop_shares: vec![0.25, 0.5] };
    let parts: Vec<Part> = (0..7).map(|epoch| schedule.part(epoch)).collect();
    let (easiest, without) = (Part::Easiest, Part::Without);
    assert_eq!(
        parts,
        [easiest(0.5), easiest(0.75), easiest(1.0), Part::All, without(0.25), without(0.5), without(0.5)]
    );
    let at_once = DataSchedule { all_epoch: 0, ..schedule.clone() };
    assert_eq!(at_once.part(0), Part::Easiest(1.0));

    // Image i of class c is at 3 i + c; the later ones are easier.
    let set = Dataset::from_file(&real()).unwrap();
    let scores = Scores {
        scores: Tensor::arange(CLASSES * EACH, (Kind::Float, Device::Cpu)).neg(),
        labels: set.labels.shallow_clone(),
        classes: CLASSES,
        method: "by hand".into(),
        origin: set.origin.clone(),
        prepared: None,
    };
    let curriculum = Curriculum::new(&set, 7, 8, Some((schedule, scores))).unwrap();
    let seen = |epoch: u64| {
        let subset = curriculum.subset(&set, epoch).unwrap();
        let all = Tensor::arange(subset.count(), (Kind::Int64, Device::Cpu));
        let Batch { images, labels, .. } = subset.at(&all).unwrap();
        let positions: Vec<i64> = (0..subset.count())
            .map(|at| (0..set.len()).find(|&image| set.floats().get(image) == images.get(at)).unwrap())
            .collect();
        assert_eq!(labels, set.labels.index_select(0, &Tensor::from_slice(&positions)));
        positions
    };
    let range = |from: i64, to: i64| (from * CLASSES..to * CLASSES).collect::<Vec<_>>();
    assert_eq!([seen(0), seen(1)], [range(6, 12), range(3, 12)]);
    assert_eq!([seen(2), seen(3)], [range(0, 12), range(0, 12)]);
    assert_eq!([seen(4), seen(5)], [range(0, 9), range(0, 6)]);
    // Batches of 8 of 18, 27, 36, 36, 27, 18 and 18 images.
    let before: Vec<u64> = (0..8).map(|epoch| curriculum.before(epoch)).collect();
    assert_eq!(before, [0, 3, 7, 12, 17, 21, 24, 27]);
    assert_eq!(curriculum.total(), 27);
}

fn training() -> Stage {
    let stage = Stage::of("train.experts").tensors("train", "real", &real()).param("experts", 2).param("epochs", 4);
    let stage = stage.param("arch", "convnet1").param("width", 8).param("batch_size", 8).param("lr", 0.05);
    stage.param("strategy", "color_crop_cutout_scale_rotate")
}

fn scheduled(scores: &Outputs) -> Stage {
    let stage = training().input("difficulty", "scores", &scores.artifacts["scores"]).param("init_share", 0.5);
    stage.param("all_epoch", 1).param("drop_epochs", [2]).param("drop_shares", [0.5])
}

fn trajectories(outputs: &Outputs) -> Trajectories {
    Trajectories::open(Content::Memory(Arc::new(bytes(outputs, "trajectories").to_vec()))).unwrap()
}

#[test]
fn experts_follow_the_schedule() {
    let scores = scoring("el2n").run().unwrap();
    for method in ["plain", "flat"] {
        let whole = scheduled(&scores).param("method", method).run().unwrap();
        let file = trajectories(&whole);
        let all = trajectories(&training().param("method", method).run().unwrap());
        assert_eq!(file.at(0, 0).unwrap(), all.at(0, 0).unwrap());
        assert_ne!(file.at(0, 1).unwrap(), all.at(0, 1).unwrap());
        assert_eq!(file.about["training"]["difficulty"].as_str(), Some("el2n"));
        assert_eq!(all.about["training"].get("data_schedule"), None);
    }
}

#[test]
fn a_schedule_of_everything_changes_nothing() {
    let scores = scoring("el2n").run().unwrap();
    let all = scheduled(&scores).param("init_share", 1.0).param("drop_shares", [0.0]).run().unwrap();
    let (all, plain) = (trajectories(&all), trajectories(&training().run().unwrap()));
    for epoch in 0..=4 {
        assert_eq!(all.at(1, epoch).unwrap(), plain.at(1, epoch).unwrap(), "epoch {epoch}");
    }
}

#[test]
fn scores_and_schedules_that_do_not_fit_are_refused_with_a_way_out() {
    let scores = scoring("el2n").run().unwrap();
    let mut other = Scores::from_file(tensors(&scores, "scores")).unwrap();
    other.labels = other.labels.flip([0]);
    let error = message(training().tensors("difficulty", "scores", &other.to_file()).run());
    assert!(error.contains("score the images that are used"), "{error}");
    let error = message(scheduled(&scores).param("drop_shares", [0.1, 0.2]).run());
    assert!(error.contains("1 drop_epochs, but 2 drop_shares"), "{error}");
    let error = message(scheduled(&scores).param("drop_epochs", [3, 2]).param("drop_shares", [0.1, 0.2]).run());
    assert!(error.contains("go back"), "{error}");
    let error = message(scheduled(&scores).param("drop_shares", [1.0]).run());
    assert!(error.contains("no image in epoch 3"), "{error}");
    let error = message(scoring("forgetting").param("epochs", 1).run());
    assert!(error.contains("epochs = 2"), "{error}");
}

fn following(kind: &str, experts: &Outputs) -> Stage {
    let stage = Stage::of(kind).tensors("start", "start", &start()).tensors("real", "real", &real());
    let stage = stage.input("experts", "experts", &experts.artifacts["trajectories"]);
    let stage = stage.param("iterations", 8).param("syn_steps", 4).param("expert_epochs", 1).param("batch_syn", 4);
    let stage = stage.param("current_max_start_epoch", 1).param("expansion_end", 4).param("max_start_epoch", 3);
    let stage = stage.param("lr_teacher", 0.05).param("lr_img", 0.03).param("threshold", 10.0);
    stage.param("strategy", "color_crop_cutout_scale_rotate")
}

fn content(outputs: &Outputs) -> (Vec<u8>, String) {
    (tensors(outputs, "synthetic").to_bytes().unwrap(), json(outputs, "curve").to_string())
}

#[test]
fn with_all_parameters_it_is_datm_and_what_is_left_out_matters() {
    let experts = training().run().unwrap();
    let made = |select: &str, ratio: f64, form: &str| {
        let stage = following("distill.pad", &experts).param("select", select).param("ratio", ratio);
        content(&stage.param("gradient", form).run().unwrap())
    };
    let datm = content(&following("distill.datm", &experts).run().unwrap());
    assert_eq!(made("loss", 0.0, "unrolled"), datm);
    assert_eq!(made("depth", 0.0, "unrolled"), datm);
    let halves = [made("loss", 0.5, "unrolled"), made("depth", 0.5, "unrolled"), made("loss", 0.25, "unrolled")];
    assert!(halves.iter().enumerate().all(|(at, half)| *half != datm && !halves[..at].contains(half)));
    let images = |content: &(Vec<u8>, String)| {
        TensorFile::from_bytes(&content.0, Device::Cpu).unwrap().get("images").unwrap().shallow_clone()
    };
    let off = |a: &Tensor, b: &Tensor| f64::try_from((a - b).abs().max()).unwrap();
    for (at, select) in ["loss", "depth"].into_iter().enumerate() {
        let unrolled = images(&halves[at]);
        let (same, other) = (off(&images(&made(select, 0.5, "recomputed")), &unrolled), off(&images(&datm), &unrolled));
        assert!(same < 1e-4 && other > 1e-3, "{select}: {same}, {other}");
    }
}

#[test]
fn pad_follows_scheduled_experts_and_learns_labels_and_a_rate() {
    let scores = scoring("grand").run().unwrap();
    let experts = scheduled(&scores).run().unwrap();
    for (select, form) in [("loss", "unrolled"), ("loss", "recomputed"), ("depth", "recomputed"), ("loss", "tesla")] {
        let stage = following("distill.pad", &experts).param("select", select).param("gradient", form);
        let whole = stage.run().unwrap();
        let set = SyntheticSet::from_file(tensors(&whole, "synthetic")).unwrap();
        assert!(set.soft_labels() && set.lr == Some(whole.metrics["lr"]));
    }
}
