//! Trajectory matching from the experts on: `train.experts`, `distill.mtt` and `distill.datm`, driven as the worker drives
//! them. That experts are what a training gives, that the loss falls, and that a learnt learning rate arrives where it is
//! asked for.

use crate::bars::{CLASSES, IPC, normalisation, start};
use crate::host::small::Small;
use crate::host::{Stage, byte_set, bytes, json, message, tensors};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Content, Dataset, SyntheticSet, TensorFile, Trajectories};
use ddpipe_stages::context::{Artifact, Outputs};
use std::sync::Arc;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

const KINDS: [&str; 2] = ["distill.mtt", "distill.datm"];

/// Noisy images \[N,1,16,16\] as bytes with a bright bar per class.
fn real(each: i64) -> TensorFile {
    let labels: Vec<i64> = (0..CLASSES * each).map(|image| image % CLASSES).collect();
    let images = stream(5, "real", 0).uniform_tensor(&[CLASSES * each, 1, 16, 16], 0.0, 100.0);
    for (image, class) in labels.iter().enumerate() {
        let _ = images.get(image as i64).narrow(1, 4 * class + 1, 3).g_add_scalar_(120.0);
    }
    let origin = "sample data: bars".to_string();
    let (images, labels) = (images.to_kind(Kind::Uint8), Tensor::from_slice(&labels));
    byte_set(images, labels, CLASSES, normalisation(), origin).to_file()
}

fn training() -> Stage {
    let stage = Stage::of("train.experts").tensors("train", "real", &real(8)).param("experts", 2).param("epochs", 3);
    let stage = stage.param("arch", "convnet1").param("width", 8).param("batch_size", 8).param("lr", 0.05);
    stage.param("strategy", "color_crop_cutout_scale_rotate")
}

fn trajectories(outputs: &Outputs) -> Trajectories {
    Trajectories::open(Content::Memory(Arc::new(bytes(outputs, "trajectories").to_vec()))).unwrap()
}

fn stage(kind: &str, experts: &[&Outputs]) -> Stage {
    let mut stage = Stage::of(kind).tensors("start", "start", &start());
    for experts in experts {
        stage = stage.input("experts", "experts", &experts.artifacts["trajectories"]);
    }
    if kind == "distill.datm" {
        stage = stage.tensors("real", "real", &real(8)).param("current_max_start_epoch", 1).param("expansion_end", 4);
        stage = stage.param("threshold", 10.0);
    }
    let stage = stage.param("iterations", 8).param("syn_steps", 4).param("expert_epochs", 1);
    let stage = stage.param("max_start_epoch", 3).param("lr_teacher", 0.05).param("batch_syn", 4);
    stage.param("strategy", "color_crop_cutout_scale_rotate").param("lr_img", 0.03).param("lr_lr", 1e-5)
}

pub fn small() -> Vec<Small> {
    let mut all = Vec::new();
    for method in ["plain", "flat"] {
        // Three steps in each of three epochs of two experts.
        let small = Small::of(training().param("method", method)).named(method);
        all.push(small.continues(1, 1..=18));
    }
    let experts = [training().run().unwrap(), training().seed(1).param("experts", 1).run().unwrap()];
    for kind in KINDS {
        // DATM asks whether to stop once for each class and each expert before it begins.
        let before = if kind == "distill.datm" { CLASSES as u64 + 3 } else { 0 };
        for form in ["unrolled", "recomputed", "tesla"] {
            let stage = stage(kind, &[&experts[0], &experts[1]]).param("gradient", form);
            all.push(Small::of(stage).named(form).asks_before(before).continues(1, 1..=8));
        }
    }
    all
}

#[test]
fn experts_are_kept_after_every_epoch_and_differ_by_seed() {
    let outputs = training().run().unwrap();
    let file = trajectories(&outputs);
    assert_eq!((file.shape.experts, file.shape.epochs), (2, 3));
    assert_eq!(file.shape.parameters as f64, outputs.metrics["parameters"]);
    let mut seen: Vec<Tensor> = Vec::new();
    for (expert, epoch) in (0..2).flat_map(|expert| (0..4).map(move |epoch| (expert, epoch))) {
        let vector = file.at(expert, epoch).unwrap();
        assert!(seen.iter().all(|other| *other != vector), "expert {expert} after {epoch} epochs");
        seen.push(vector);
    }
    let whole = TensorFile::from_bytes(bytes(&outputs, "trajectories"), Device::Cpu).unwrap();
    assert_eq!(whole.artifact, ArtifactType::Trajectories);
    assert_eq!(whole.get("parameters").unwrap().get(1).get(2), seen[6]);
    assert_eq!(bytes(&training().run().unwrap(), "trajectories"), bytes(&outputs, "trajectories"));
    let other = trajectories(&training().seed(1).run().unwrap());
    assert_ne!(other.at(0, 0).unwrap(), seen[0]);
    let flat = trajectories(&training().param("method", "flat").run().unwrap());
    assert_eq!(flat.at(0, 0).unwrap(), seen[0]);
    assert_ne!(flat.at(0, 1).unwrap(), seen[1]);
    // What the file says about itself tells how the experts were made.
    assert_eq!(
        (flat.about["training"]["method"].as_str(), file.about["training"]["flat"].as_f64()),
        (Some("flat"), None)
    );
}

#[test]
fn a_plain_expert_learns_and_is_measured() {
    let stage = training().param("epochs", 30).param("experts", 1).param("augment", "none");
    let outputs = stage.tensors("test", "test", &real(4)).run().unwrap();
    assert!(outputs.metrics["accuracy"] > 0.9, "{:?}", outputs.metrics);
    assert_eq!(json(&outputs, "metrics")["epochs"][0].as_array().unwrap().len(), 30);
    // A tenth of the rate after epoch 6/2+1.
    let stage = training().param("epochs", 6).param("experts", 1).param("decay", true);
    let rates = json(&stage.run().unwrap(), "metrics")["epochs"][0].as_array().unwrap().clone();
    let rates: Vec<f64> = rates.iter().map(|epoch| epoch["rate"].as_f64().unwrap()).collect();
    assert_eq!(rates.len(), 6);
    assert!(rates[4] == 0.05 && rates[5] < 0.0051, "{rates:?}");
}

#[test]
fn a_checkpoint_without_its_file_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let part = || training().scratch(folder.path(), Duration::from_secs(3600));
    part().interrupt_after(12).run().unwrap_err();
    std::fs::remove_file(folder.path().join("trajectories.safetensors")).unwrap();
    let outputs = part().run().unwrap();
    assert_eq!(bytes(&outputs, "trajectories"), bytes(&training().run().unwrap(), "trajectories"));
}

#[test]
fn the_loss_falls_and_the_set_carries_its_learning_rate() {
    let experts = training().param("augment", "none").run().unwrap();
    for kind in KINDS {
        let stage =
            stage(kind, &[&experts]).param("iterations", 60).param("augment", "none").param("max_start_epoch", 1);
        let stage = stage.param("lr_img", 0.1).param("lr_teacher", 0.02);
        let outputs = stage.run().unwrap();
        let curve = json(&outputs, "curve")["curves"]["loss"].as_array().unwrap().clone();
        let mean = |points: &[serde_json::Value]| points.iter().map(|point| point[1].as_f64().unwrap()).sum::<f64>();
        let (first, last) = (mean(&curve[..6]), mean(&curve[54..]));
        assert!(last < 0.9 * first, "{kind}: {first} to {last}");
        let file = tensors(&outputs, "synthetic");
        let set = SyntheticSet::from_file(file).unwrap();
        assert_eq!(set.lr, Some(outputs.metrics["lr"]));
        assert_ne!(set.lr, Some(f64::from(0.02f32)));
        if kind == "distill.datm" {
            assert!(
                set.soft_labels()
                    && set.labels.sum_dim_intlist(1, false, Kind::Float).allclose(
                        &Tensor::ones([CLASSES * IPC], (Kind::Float, Device::Cpu)),
                        1e-5,
                        1e-5,
                        false
                    )
            );
            assert_eq!(file.get("label_logits").unwrap().softmax(1, Kind::Float), set.labels);
        } else {
            assert_eq!(set.labels, SyntheticSet::from_file(&start()).unwrap().labels);
        }
    }
}

#[test]
fn recomputing_changes_rounding_only() {
    let experts = training().run().unwrap();
    for kind in KINDS {
        let images = |form: &str, seed: u64| {
            let stage = stage(kind, &[&experts]).param("gradient", form).param("iterations", 3).seed(seed);
            tensors(&stage.run().unwrap(), "synthetic").get("images").unwrap().shallow_clone()
        };
        let off = |a: &Tensor, b: &Tensor| f64::try_from((a - b).abs().max()).unwrap();
        let unrolled = images("unrolled", 0);
        let (same, other) = (off(&images("recomputed", 0), &unrolled), off(&images("unrolled", 1), &unrolled));
        assert!(same < 1e-4 && other > 1e-3, "{kind}: {same}, {other}");
    }
}

#[test]
fn a_run_in_which_nothing_moves_is_no_result() {
    let experts = training().run().unwrap();
    let error = message(stage("distill.mtt", &[&experts]).param("threshold", 1e-6).run());
    assert!(
        error.contains("none of the 8 iterations changed anything") && error.contains("raise the threshold"),
        "{error}"
    );
}

#[test]
fn first_images_are_real_ones_and_where_no_expert_knows_any() {
    let experts = training().run().unwrap();
    let none = |images: &str| {
        let stage = stage("distill.datm", &[&experts])
            .param("images", images)
            .param("lr_img", 1e-30)
            .param("lr_lr", 1e-30)
            .param("iterations", 1);
        let stage = stage.param("label_epoch", 0);
        SyntheticSet::from_file(tensors(&stage.run().unwrap(), "synthetic")).unwrap()
    };
    let floats = Dataset::from_file(&real(8)).unwrap().floats();
    // One step moves them by next to nothing.
    let near = |one: &Tensor, other: &Tensor| one.allclose(other, 1e-4, 1e-4, false);
    let chosen = none("right");
    for image in 0..CLASSES * IPC {
        let same = (0..floats.size()[0]).filter(|&other| near(&floats.get(other), &chosen.images.get(image)));
        let classes: Vec<i64> = same.map(|other| other % CLASSES).collect();
        assert_eq!(classes, [image / IPC], "image {image}: {}", chosen.images.get(image).abs().max());
    }
    assert!(bool::try_from(chosen.labels.isfinite().all()).unwrap());
    assert!(near(&none("start").images, &SyntheticSet::from_file(&start()).unwrap().images));
}

#[test]
fn what_does_not_fit_is_refused_with_a_way_out() {
    let experts = training().run().unwrap();
    for kind in KINDS {
        let error = message(stage(kind, &[&experts]).param("max_start_epoch", 4).run());
        assert!(error.contains("need experts of 4 epochs, these have 3"), "{error}");
        let other = training().param("width", 4).run().unwrap();
        let error = message(stage(kind, &[&experts, &other]).run());
        assert!(error.contains("another network"), "{error}");
        let mut small = SyntheticSet::from_file(&start()).unwrap();
        small.images = small.images.narrow(2, 0, 8);
        let short = Stage::of(kind).tensors("start", "start", &small.to_file());
        let short = short.input("experts", "experts", &experts.artifacts["trajectories"]);
        let error = message(short.run());
        assert!(error.contains("[1, 16, 16]") && error.contains("[1, 8, 16]"), "{error}");
        let cut = Artifact::Bytes(ArtifactType::Trajectories, bytes(&experts, "trajectories")[..500].to_vec());
        let broken = Stage::of(kind).tensors("start", "start", &start()).input("experts", "cut", &cut);
        assert!(message(broken.run()).contains("cut"));
    }
    let error = message(stage("distill.mtt", &[&experts]).param("lr_img", 1e38).param("iterations", 20).run());
    assert!(error.contains("a smaller lr_img"), "{error}");
    let error = message(stage("distill.datm", &[&experts]).param("min_start_epoch", 2).run());
    assert!(error.contains("no start epoch from 2 to below 1"), "{error}");
    let stage = Stage::of("distill.datm").tensors("start", "start", &start());
    let error = message(
        stage
            .input("experts", "e", &experts.artifacts["trajectories"])
            .param("max_start_epoch", 1)
            .param("current_max_start_epoch", 1)
            .param("expert_epochs", 1)
            .run(),
    );
    assert!(error.contains("connect input \"real\""), "{error}");
}

#[test]
fn evaluations_take_the_learnt_rate_where_they_are_asked_to() {
    let mut set = SyntheticSet::from_file(&start()).unwrap();
    set.lr = Some(0.25);
    let run = |kind: &str, input: &str, set: &SyntheticSet, learned: bool| {
        let stage = Stage::of(kind).tensors(input, "set", &set.to_file()).tensors("test", "test", &real(4));
        stage.param("arch", "mlp").param("epochs", 1).param("learned_lr", learned).run()
    };
    for (kind, input) in [("evaluate.classifier", "synthetic"), ("train.classifier", "train")] {
        let rate = |learned| {
            let outputs = run(kind, input, &set, learned).unwrap();
            let epochs = &json(&outputs, "metrics")["epochs"];
            let first = if epochs[0].is_array() { &epochs[0][0] } else { &epochs[0] };
            first["rate"].as_f64().unwrap()
        };
        assert_eq!((rate(true), rate(false)), (0.25, 0.01), "{kind}");
        let error = message(run(kind, input, &SyntheticSet::from_file(&start()).unwrap(), true));
        assert!(error.contains("no learning rate was learnt"), "{error}");
        let negative = SyntheticSet { lr: Some(-0.1), ..SyntheticSet::from_file(&start()).unwrap() };
        assert!(message(run(kind, input, &negative, true)).contains("is -0.1"));
    }
}

#[test]
fn a_set_keeps_its_learnt_rate_and_one_without_has_the_bytes_it_had() {
    let mut set = SyntheticSet::from_file(&start()).unwrap();
    assert!(!start().about.to_string().contains("lr"), "{}", start().about);
    set.lr = Some(0.1 + 0.2);
    let back = SyntheticSet::from_file(&set.to_file()).unwrap();
    assert_eq!(back.lr, Some(0.1 + 0.2));
    assert_eq!(set.with_images(set.images.copy()).lr, Some(0.1 + 0.2));
    let relabelled = Stage::of("label.synthetic").tensors("synthetic", "set", &set.to_file()).param("labels", "hard");
    let relabelled = relabelled.run().unwrap();
    assert_eq!(SyntheticSet::from_file(tensors(&relabelled, "synthetic")).unwrap().lr, Some(0.1 + 0.2));
}
