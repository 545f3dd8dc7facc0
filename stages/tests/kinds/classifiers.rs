//! The stages that train networks, `train.classifier` and `evaluate.classifier`, driven as the worker drives them: what
//! they learn, and that they repeat.

use crate::host::small::Small;
use crate::host::{Stage, byte_set, json, message, tensors};
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::{Chunk, Mode, Network, NetworkSpec, Overrides};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Normalisation, SyntheticSet, TensorFile};
use ddpipe_stages::context::Outputs;
use ddpipe_stages::training::{Criterion, Objective, TrainingSet};
use serde_json::json;
use tch::{Kind, Tensor};

const CLASSES: i64 = 3;

/// Noisy images [N,1,16,16] as bytes; each class has a bright bar at its own place. Class by class.
fn bars(purpose: &str, per_class: i64) -> (Tensor, Tensor) {
    let mut noise = stream(5, purpose, 0);
    let images = noise.uniform_tensor(&[CLASSES * per_class, 1, 16, 16], 0.0, 100.0);
    for class in 0..CLASSES {
        let mut bar = images.narrow(0, class * per_class, per_class).narrow(2, 4 * class + 1, 3);
        let _ = bar.g_add_scalar_(120.0);
    }
    let labels =
        Tensor::arange(CLASSES, (Kind::Int64, tch::Device::Cpu)).repeat_interleave_self_int(per_class, 0, None);
    (images.to_kind(Kind::Uint8), labels)
}

fn dataset(purpose: &str, per_class: i64) -> TensorFile {
    let (images, labels) = bars(purpose, per_class);
    let normalisation = Normalisation::new(vec![0.2], vec![0.25]);
    let origin = "sample data: bars".to_string();
    byte_set(images, labels, CLASSES, normalisation, origin).to_file()
}

/// Images of the data set as a synthetic set, with soft labels when asked for.
pub(super) fn synthetic(ipc: i64, soft: bool) -> TensorFile {
    let real = Dataset::from_file(&dataset("few", ipc)).unwrap();
    let labels =
        if soft { (real.labels.one_hot(CLASSES) * 0.7 + 0.1).to_kind(Kind::Float) } else { real.labels.copy() };
    let images = real.floats();
    let normalisation = real.normalisation;
    SyntheticSet {
        images,
        labels,
        classes: CLASSES,
        ipc,
        normalisation,
        origin: real.origin,
        class_names: Vec::new(),
        lr: None,
        targets: false,
        decoder: None,
    }
    .to_file()
}

/// The same set with regression targets that are not centred classes.
pub(super) fn with_targets(ipc: i64) -> TensorFile {
    let set = SyntheticSet::from_file(&synthetic(ipc, false)).unwrap();
    let labels = set.labels.one_hot(CLASSES).to_kind(Kind::Float) * 1.5 - 0.4;
    SyntheticSet { labels, targets: true, ..set }.to_file()
}

pub(super) fn train() -> Stage {
    let stage = Stage::of("train.classifier").tensors("train", "train", &dataset("train", 20));
    let stage = stage.tensors("test", "test", &dataset("test", 30)).param("arch", "convnet2").param("width", 8);
    stage.param("epochs", 4).param("batch_size", 16).param("lr", 0.05)
}

pub(super) fn evaluate(set: &TensorFile) -> Stage {
    let stage = Stage::of("evaluate.classifier").tensors("synthetic", "set", set);
    let stage = stage.tensors("test", "test", &dataset("test", 30)).param("arch", "convnet2").param("width", 8);
    stage.param("epochs", 10).param("batch_size", 8).param("lr", 0.05).param("students", 3)
}

pub fn small() -> Vec<Small> {
    let trained = train().param("augment", "dsa").param("schedule", "step").param("norm", "batch");
    let evaluated = evaluate(&synthetic(4, false)).param("augment", "dc");
    vec![Small::of(trained).continues(4, [4, 7, 10, 13, 16, 19]), Small::of(evaluated).continues(14, [14, 27, 41, 54])]
}

/// What two runs of the same stage have to agree in, bit by bit.
fn content(outputs: &Outputs) -> (Option<Vec<u8>>, String) {
    let model = outputs.artifacts.contains_key("model").then(|| tensors(outputs, "model").to_bytes().unwrap());
    (model, json(outputs, "metrics").to_string())
}

#[test]
fn a_trained_network_knows_new_images_and_its_model_says_the_same() {
    let outputs = train().run().unwrap();
    let metrics = json(&outputs, "metrics");
    assert!(outputs.metrics["accuracy"] > 0.95, "{}", outputs.metrics["accuracy"]);
    assert!(outputs.metrics["loss"] < metrics["epochs"][0]["loss"].as_f64().unwrap() / 2.0);
    assert_eq!(metrics["epochs"].as_array().unwrap().len(), 4);
    assert_eq!(metrics["origin"], "sample data: bars");
    assert_eq!(metrics["accuracy"].as_f64(), outputs.metrics.get("accuracy").copied());

    let model = ddpipe_stages::artifact::Model::from_file(tensors(&outputs, "model")).unwrap();
    let spec: NetworkSpec = serde_json::from_value(model.network).unwrap();
    let network = Network::new(&spec).unwrap();
    let parameters = network.load(&model.tensors.into_iter().collect()).unwrap();
    let test = Dataset::from_file(&dataset("test", 30)).unwrap();
    let logits = network.forward_chunked(&parameters, &test.floats(), Chunk(7)).unwrap();
    let right = logits.argmax(1, false).eq_tensor(&test.labels).to_kind(Kind::Double).mean(Kind::Double);
    assert_eq!(f64::try_from(right).unwrap(), outputs.metrics["accuracy"]);
}

#[test]
fn every_augmentation_and_schedule_trains_and_repeats() {
    let plain = content(&train().run().unwrap());
    assert_eq!(plain, content(&train().run().unwrap()));
    assert_ne!(plain, content(&train().seed(1).run().unwrap()));
    let mut seen = vec![plain];
    for (name, value) in [("augment", "dsa"), ("augment", "dc"), ("schedule", "constant"), ("schedule", "step")] {
        let outputs = train().param(name, value).run().unwrap();
        let epochs = json(&outputs, "metrics")["epochs"].as_array().unwrap().clone();
        assert_eq!(epochs.len(), if value == "step" { 5 } else { 4 }, "{name} = {value}");
        let content = content(&outputs);
        assert!(!seen.contains(&content), "{name} = {value} changes nothing");
        seen.push(content);
    }
}

#[test]
fn a_subset_takes_so_many_images_of_every_class() {
    let outputs = train().param("subset", 5).run().unwrap();
    assert_eq!(json(&outputs, "metrics")["images"], 15);
}

#[test]
fn students_differ_and_their_accuracies_are_folded() {
    for soft in [false, true] {
        let outputs = evaluate(&synthetic(4, soft)).run().unwrap();
        let metrics = json(&outputs, "metrics");
        let accuracies: Vec<f64> = serde_json::from_value(metrics["accuracies"].clone()).unwrap();
        assert_eq!(accuracies.len(), 3);
        assert!(outputs.metrics["accuracy"] > 0.9, "{accuracies:?}");
        assert!((outputs.metrics["accuracy"] - accuracies.iter().sum::<f64>() / 3.0).abs() < 1e-12);
        let epochs = metrics["epochs"].as_array().unwrap();
        assert_eq!(epochs[0].as_array().unwrap().len(), 11);
        assert_ne!(epochs[0], epochs[1]);
        let confusion: Vec<Vec<u64>> = serde_json::from_value(metrics["confusion"].clone()).unwrap();
        assert!(confusion.iter().all(|row| row.iter().sum::<u64>() == 90), "{confusion:?}");
    }

    let alone = evaluate(&synthetic(4, false)).param("students", 1).run().unwrap();
    assert!(json(&alone, "metrics")["accuracy_std"].is_null() && !alone.metrics.contains_key("accuracy_std"));
}

/// The document of a run with students together beside that with one after another; what rounding moves is small.
pub(super) fn in_both_layouts(stage: &Stage) -> [serde_json::Value; 2] {
    [Layout::Pieces, Layout::Together].map(|layout| {
        let outputs = layout.on_cpu(|| stage.again().run().unwrap());
        json(&outputs, "metrics").clone()
    })
}

#[test]
fn students_together_learn_what_each_learns_by_itself() {
    let few = |set: &TensorFile| evaluate(set).param("epochs", 3).param("lr", 0.02);
    let hard = || few(&synthetic(4, false));
    let cases = [
        ("plain", hard().param("augment", "none")),
        ("dsa", hard().param("augment", "dsa").param("norm", "batch").param("schedule", "step")),
        ("dc", hard().param("augment", "dc").param("arch", "convnet2")),
        ("idc", hard().param("augment", "idc")),
        ("mixed", hard().param("augment", "idc_cutmix")),
        ("soft", few(&synthetic(4, true)).param("augment", "none").param("batch_size", 7)),
        ("targets", few(&with_targets(4)).param("augment", "none")),
    ];
    for (what, stage) in cases {
        let [pieces, together] = in_both_layouts(&stage);
        let losses = |document: &serde_json::Value| -> Vec<f64> {
            let students = document["epochs"].as_array().unwrap();
            let epochs = students.iter().flat_map(|student| student.as_array().unwrap());
            epochs.map(|epoch| epoch["loss"].as_f64().unwrap()).collect()
        };
        let (own, all) = (losses(&pieces), losses(&together));
        assert_eq!(own.len(), all.len(), "{what}");
        for (own, all) in own.iter().zip(&all) {
            assert!((own - all).abs() < 1e-3 * own.abs(), "{what}: {own} and {all}");
        }
        assert_eq!(pieces["epochs"][1][0]["rate"], together["epochs"][1][0]["rate"], "{what}");
        let off = pieces["accuracy"].as_f64().unwrap() - together["accuracy"].as_f64().unwrap();
        assert!(off.abs() < 0.02, "{what}: {off}");
    }
}

#[test]
fn students_together_that_were_interrupted_end_with_the_same_bytes() {
    let stage = evaluate(&synthetic(4, false)).param("augment", "dsa").param("norm", "batch").param("epochs", 5);
    // Twelve steps of three students, and a test of each.
    let small = Small::of(stage).continues(4, [12, 24, 36]);
    Layout::Together.on_cpu(|| small.keeps_its_promises()).unwrap();
}

#[test]
fn a_student_is_measured_by_more_than_its_accuracy_and_costs_something() {
    let measures = ["balanced_accuracy", "macro_f1", "auc", "ece"];
    let evaluated = evaluate(&synthetic(4, false)).run().unwrap();
    let trained = train().run().unwrap();
    for outputs in [&evaluated, &trained] {
        let document = json(outputs, "metrics");
        for name in measures {
            assert_eq!(document[name].as_f64(), Some(outputs.metrics[name]), "{name}");
        }
        // As many test images of every class: then the balanced accuracy is the accuracy.
        assert!((outputs.metrics["balanced_accuracy"] - outputs.metrics["accuracy"]).abs() < 1e-12);
        assert!(outputs.metrics["macro_f1"] > 0.9 && outputs.metrics["auc"] > 0.97, "{:?}", outputs.metrics);
        assert!(outputs.metrics["ece"] > 0.0 && outputs.metrics["ece"] < 0.5, "{:?}", outputs.metrics);
        assert_eq!(document["parameters"].as_f64(), Some(outputs.metrics["parameters"]));
        assert_eq!(document["flops"].as_f64(), Some(outputs.metrics["flops"]));
        assert!(outputs.metrics["images_per_second"] > 0.0);
        let (training, all) = (outputs.metrics["train_seconds"], outputs.metrics["seconds"]);
        assert!(training > 0.0 && training < all, "{training} s of {all} s");
        assert!(document.get("images_per_second").is_none() && document.get("seconds").is_none(), "wall time");
    }
    for name in measures {
        assert!(json(&evaluated, "metrics")[format!("{name}_std")].as_f64().is_some_and(|std| std >= 0.0), "{name}");
    }
    let untested = Stage::of("train.classifier").tensors("train", "train", &dataset("train", 4)).param("arch", "mlp");
    let untested = untested.param("epochs", 1).run().unwrap();
    assert!(json(&untested, "metrics")["auc"].is_null() && !untested.metrics.contains_key("auc"));
}

/// The test images with votes: those of class 1 at 4 and 7, the others at 3 and 0, in turn.
fn voted() -> TensorFile {
    let mut set = Dataset::from_file(&dataset("test", 30)).unwrap();
    let sure = Tensor::arange(90, (Kind::Int64, tch::Device::Cpu)).remainder(2);
    let ones = set.labels.eq(1).to_kind(Kind::Int64);
    set.agreement = Some(&ones * (&sure * 3 + 4) + (1 - &ones) * (3 - &sure * 3));
    set.to_file()
}

#[test]
fn votes_add_the_accuracy_by_agreement_and_change_nothing_else() {
    let set = synthetic(4, false);
    let with = |test: &TensorFile| -> [Outputs; 2] {
        let few = |stage: Stage| stage.tensors("test", "test", test).param("arch", "mlp").param("epochs", 1);
        let train = few(Stage::of("train.classifier").tensors("train", "train", &dataset("train", 20)));
        let evaluate = few(Stage::of("evaluate.classifier").tensors("synthetic", "set", &set));
        [train.run().unwrap(), evaluate.param("students", 2).run().unwrap()]
    };
    for (voted, plain) in with(&voted()).iter().zip(&with(&dataset("test", 30))) {
        let mut document = json(voted, "metrics").clone();
        assert!(json(plain, "metrics").get("by_agreement").is_none(), "{document}");
        let fields = document.as_object_mut().unwrap();
        let by_agreement = fields.remove("by_agreement").unwrap();
        let by_majority = fields.remove("by_majority").unwrap();
        assert_eq!(document.to_string(), json(plain, "metrics").to_string());
        let keys = |groups: &serde_json::Value| groups.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!((keys(&by_agreement).join(" "), keys(&by_majority).join(" ")), ("0 3 4 7".into(), "4/7 7/7".into()));
        let images: Vec<u64> =
            by_agreement.as_object().unwrap().values().map(|group| group["images"].as_u64().unwrap()).collect();
        assert_eq!(images, [30, 30, 15, 15]);
        let (hard, easy) = (voted.metrics["accuracy_4_of_7"], voted.metrics["accuracy_7_of_7"]);
        assert_eq!(
            (by_majority["4/7"]["accuracy"].as_f64(), by_majority["7/7"]["images"].as_u64()),
            (Some(hard), Some(45))
        );
        assert!(((hard + easy) / 2.0 - voted.metrics["accuracy"]).abs() < 1e-12, "{hard} and {easy}");
        assert!(!plain.metrics.contains_key("accuracy_4_of_7"));
    }
}

#[test]
fn what_cannot_work_is_said_before_training() {
    let text = message(train().param("arch", "mlp").run());
    assert!(text.contains("mlp takes no `width`"), "{text}");
    let text = message(train().param("arch", "convnet8").run());
    assert!(text.contains("too small at layer"), "{text}");
    let text = message(train().param("augment", "dsa").param("strategy", "color_crp").run());
    assert!(text.contains("\"crp\" is not known"), "{text}");
    let text = message(train().param("lr", 1e30).run());
    assert!(text.contains("the loss is no longer finite in epoch"), "{text}");
    let other = TensorFile::from_bytes(&dataset("test", 2).to_bytes().unwrap(), tch::Device::Cpu).unwrap();
    let images = Tensor::zeros([6, 3, 16, 16], (Kind::Uint8, tch::Device::Cpu));
    let wide = other.with("images", images);
    let stage = Stage::of("evaluate.classifier").tensors("synthetic", "set", &synthetic(2, false));
    let text = message(stage.tensors("test", "test", &wide).run());
    assert!(text.contains("images of 3x16x16, the training images are 1x16x16"), "{text}");
}

/// Against the loss written down: half the squared distance, averaged over the images, of classes less 1/K.
#[test]
fn the_squared_error_and_its_gradient_are_those_of_the_formula() {
    let set = |file: &TensorFile| TrainingSet::Synthetic(SyntheticSet::from_file(file).unwrap());
    let spec = NetworkSpec::named("convnet2", &Overrides { width: Some(8), ..Overrides::default() }, 1, [16, 16], 3);
    let network = Network::new(&spec.unwrap()).unwrap();
    let parameters = network.init(stream(1, "network", 0).generator(), tch::Device::Cpu).unwrap();
    for (file, criterion) in [
        (with_targets(4), Criterion::Auto),
        (with_targets(4), Criterion::Mse),
        (synthetic(4, false), Criterion::Mse),
        (synthetic(4, true), Criterion::Mse),
    ] {
        let set = set(&file);
        let batch = set.examples().at(&Tensor::arange(12, (Kind::Int64, tch::Device::Cpu))).unwrap();
        let labels = &batch.labels;
        let targets = match (labels.dim(), set.label_kind()) {
            (2, "targets") => labels.shallow_clone(),
            (2, _) => labels - 1.0 / 3.0,
            _ => labels.one_hot(3) - 1.0 / 3.0,
        };
        let leaves = parameters.tracked();
        let logits = network.forward(&leaves, &batch.images, Mode::Train).unwrap().logits;
        let loss = (logits - targets).square().sum(Kind::Float) / 24.0;
        let expected = Tensor::run_backward(&[&loss], &leaves.trainable, false, false);
        let objective = Objective::of(criterion, &set).unwrap();
        let got = objective.gradient(None, &network, &parameters, &batch, Chunk(5)).unwrap();
        let loss = f64::try_from(&loss).unwrap();
        assert!((f64::try_from(&got.loss).unwrap() - loss).abs() < 1e-5 * loss);
        for (got, expected) in got.gradients.iter().zip(&expected) {
            assert!(got.allclose(expected, 1e-4, 1e-5, false));
        }
    }
}

#[test]
fn regression_targets_are_learnt_as_such() {
    let set = with_targets(4);
    let outputs = evaluate(&set).run().unwrap();
    let document = json(&outputs, "metrics");
    assert!(outputs.metrics["accuracy"] > 0.9, "{:?}", document["accuracies"]);
    assert_eq!((&document["labels"], &document["protocol"]["loss"]), (&json!("targets"), &json!("mse")));
    assert!(!outputs.metrics.contains_key("ece") && document["ece"].is_null(), "a softmax of targets says nothing");
    assert!(outputs.metrics["auc"] > 0.95);
    assert_eq!(content(&outputs), content(&evaluate(&set).param("loss", "mse").run().unwrap()), "auto follows the set");
    let text = message(evaluate(&set).param("loss", "cross_entropy").run());
    assert!(text.contains("regression targets and no probabilities; give loss = \"auto\""), "{text}");

    // Classes may be regressed on too, and are not unless asked for.
    let hard = evaluate(&synthetic(4, false));
    let by_default = hard.run().unwrap();
    assert!(json(&by_default, "metrics")["protocol"].get("loss").is_none());
    let regressed = evaluate(&synthetic(4, false)).param("loss", "mse").run().unwrap();
    assert_eq!(json(&regressed, "metrics")["labels"], "hard");
    assert!(regressed.metrics["accuracy"] > 0.9 && regressed.metrics["loss"] != by_default.metrics["loss"]);

    let trained = |loss: &str| {
        let stage =
            Stage::of("train.classifier").tensors("train", "set", &set).tensors("test", "test", &dataset("test", 30));
        stage
            .param("arch", "convnet2")
            .param("width", 8)
            .param("epochs", 20)
            .param("lr", 0.05)
            .param("loss", loss)
            .run()
    };
    let outputs = trained("auto").unwrap();
    assert!(outputs.metrics["accuracy"] > 0.9 && !outputs.metrics.contains_key("ece"));
    assert!(message(trained("cross_entropy")).contains("regression targets"));
}

/// What is left out between is the test alone; the last epoch is always tested.
#[test]
fn testing_less_often_changes_nothing_but_the_accuracies_on_the_way() {
    let stage = || train().param("epochs", 5);
    let (always, seldom) = (stage().run().unwrap(), stage().param("test_every", 2).run().unwrap());
    assert_eq!(always.metrics["accuracy"], seldom.metrics["accuracy"]);
    let accuracies = |outputs: &Outputs| -> Vec<Option<f64>> {
        let epochs = json(outputs, "metrics")["epochs"].as_array().unwrap().clone();
        epochs.iter().map(|epoch| epoch["accuracy"].as_f64()).collect()
    };
    let (always, seldom) = (accuracies(&always), accuracies(&seldom));
    assert!(always.iter().all(Option::is_some), "{always:?}");
    assert_eq!(seldom, [None, always[1], None, always[3], always[4]]);
}
