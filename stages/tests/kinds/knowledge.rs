//! `distill.knowledge`, driven as the worker drives it: what a student takes from its teacher, that without its answers
//! it is plain training to the last bit, and that chains can be read off.

use crate::host::small::Small;
use crate::host::{Stage, byte_set, json, message, tensors};
use ddpipe_nn::network::{Chunk, Network, NetworkSpec, Parameters};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Model, Normalisation, SyntheticSet, TensorFile, named_tensors};
use ddpipe_stages::context::{CHECKPOINT, Interrupted, Outputs};
use std::time::Duration;
use tch::{Device, Kind, Tensor};

const CLASSES: i64 = 3;

/// Noisy images [N,1,16,16] as bytes; each class has a bright bar at its own place.
fn dataset(purpose: &str, per_class: i64) -> TensorFile {
    let mut noise = stream(5, purpose, 0);
    let images = noise.uniform_tensor(&[CLASSES * per_class, 1, 16, 16], 0.0, 150.0);
    for class in 0..CLASSES {
        let mut bar = images.narrow(0, class * per_class, per_class).narrow(2, 4 * class + 1, 3);
        let _ = bar.g_add_scalar_(60.0);
    }
    let labels = Tensor::arange(CLASSES, (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(per_class, 0, None);
    let (images, origin) = (images.to_kind(Kind::Uint8), "sample data: bars".to_string());
    let normalisation = Normalisation::new(vec![0.2], vec![0.25]);
    byte_set(images, labels, CLASSES, normalisation, origin).to_file()
}

/// Both stages' data and training: a ConvNet of two blocks on 60 images.
fn pupil(kind: &str) -> Stage {
    let stage = Stage::of(kind).tensors("train", "train", &dataset("train", 20));
    let stage = stage.tensors("test", "test", &dataset("test", 30)).param("arch", "convnet2").param("width", 4);
    stage.param("epochs", 3).param("batch_size", 20).param("lr", 0.02)
}

fn teacher() -> Outputs {
    pupil("train.classifier").param("width", 16).param("epochs", 6).param("lr", 0.05).run().unwrap()
}

fn student(teacher: &Outputs) -> Stage {
    pupil("distill.knowledge").input("teacher", "teacher", &teacher.artifacts["model"])
}

pub fn small() -> Vec<Small> {
    let teacher = teacher();
    let fitnet = student(&teacher).param("hint", "fitnet").param("hint_epochs", 3).param("augment", "dsa");
    let attention = student(&teacher).param("hint", "attention").param("norm", "batch");
    vec![
        Small::of(student(&teacher).param("schedule", "step")).continues(5, [3, 5, 7, 9, 11, 12]),
        Small::of(fitnet.param("norm", "batch")).named("hints").continues(5, [4, 8, 12, 15, 18]),
        Small::of(attention).named("attention").continues(5, [3, 6, 9]),
        Small::of(student(&teacher).param("hint", "correlation")).named("correlation").continues(5, [3, 6, 9]),
    ]
}

fn loaded(outputs: &Outputs) -> (Network, Parameters) {
    let model = Model::from_file(tensors(outputs, "model")).unwrap();
    let network = Network::new(&serde_json::from_value::<NetworkSpec>(model.network).unwrap()).unwrap();
    let parameters = network.load(&model.tensors.into_iter().collect()).unwrap();
    (network, parameters)
}

fn weights(outputs: &Outputs) -> Vec<(String, Tensor)> {
    let (network, parameters) = loaded(outputs);
    network.state_dict(&parameters)
}

/// What two runs of the same stage have to agree in, bit by bit.
fn content(outputs: &Outputs) -> (Vec<u8>, String) {
    (tensors(outputs, "model").to_bytes().unwrap(), json(outputs, "metrics").to_string())
}

#[test]
fn without_the_teachers_answers_it_is_plain_training_to_the_last_bit() {
    let teacher = teacher();
    for settings in [
        serde_json::json!({}),
        serde_json::json!({ "augment": "dsa", "norm": "batch", "schedule": "step", "class_weights": "balanced" }),
        serde_json::json!({ "augment": "dc", "schedule": "constant", "flip": "both", "rotation": 20.0, "shift": 0.1 }),
        serde_json::json!({ "dropout": 0.4, "optimiser": "adam", "lr": 0.002, "weight_decay": 0.0 }),
        serde_json::json!({ "norm": "batch", "freeze": ["backbone"], "tune_epochs": 2, "unfreeze": ["features.0"] }),
    ] {
        let each = settings.as_object().unwrap();
        let set = |stage: Stage| each.iter().fold(stage.seed(3), |stage, (name, value)| stage.param(name, value));
        let plain = set(pupil("train.classifier").param("subset", 15)).run().unwrap();
        let taught = set(student(&teacher).param("subset", 15).param("alpha", 0.0)).run().unwrap();
        assert_eq!(weights(&plain), weights(&taught), "{settings:?}");
        let (plain, taught) = (json(&plain, "metrics"), json(&taught, "metrics"));
        for name in plain.as_object().unwrap().keys() {
            assert_eq!(plain[name], taught[name], "{settings:?}: {name}");
        }
    }
}

#[test]
fn a_student_becomes_like_its_teacher() {
    let teacher = teacher();
    let taught = student(&teacher).param("alpha", 1.0).param("epochs", 12).param("lr", 0.05).run().unwrap();
    assert!(taught.metrics["teacher_agreement"] > 0.9, "{:?}", taught.metrics);
    assert_eq!(taught.metrics["teacher_accuracy"], teacher.metrics["accuracy"]);
    let test = Dataset::from_file(&dataset("test", 30)).unwrap();
    let classes = |outputs: &Outputs| {
        let (network, parameters) = loaded(outputs);
        network.forward_chunked(&parameters, &test.floats(), Chunk(7)).unwrap().argmax(1, false)
    };
    let same = classes(&teacher).eq_tensor(&classes(&taught)).to_kind(Kind::Double).mean(Kind::Double);
    assert_eq!(f64::try_from(same).unwrap(), taught.metrics["teacher_agreement"]);
    let document = json(&taught, "metrics");
    for name in ["accuracy", "balanced_accuracy", "macro_f1", "auc", "ece", "teacher_accuracy", "teacher_agreement"] {
        assert_eq!(document[name].as_f64(), Some(taught.metrics[name]), "{name}");
    }
    assert!(taught.metrics["train_seconds"] > 0.0 && taught.metrics["train_seconds"] < taught.metrics["seconds"]);
}

#[test]
fn every_setting_changes_what_the_student_learns_and_repeats() {
    let teacher = teacher();
    let base = || student(&teacher);
    let plain = base().run().unwrap();
    assert_eq!(content(&plain), content(&base().run().unwrap()));
    let fitnet = || base().param("hint", "fitnet").param("hint_epochs", 2);
    let attention = || base().param("hint", "attention");
    let others = [
        base().seed(1),
        base().param("temperature", 1.0),
        base().param("alpha", 0.5),
        base().param("average", "elements"),
        base().param("augment", "dsa"),
        base().param("dropout", 0.3),
        fitnet(),
        fitnet().param("hint_lr", 0.001),
        fitnet().param("hint_loss", "half_sum").param("hint_lr", 1e-5),
        fitnet().param("student_layers", [1]).param("teacher_layers", [1]),
        fitnet().param("student_layers", [0]).param("teacher_layers", [1]).param("augment", "dsa"),
        fitnet().param("student_layers", [2]).param("teacher_layers", [2]),
        attention(),
        attention().param("dropout", 0.3),
        attention().param("beta", 10.0),
        attention().param("student_layers", [1]).param("teacher_layers", [0]),
        base().param("hint", "rkd"),
        base().param("hint", "rkd").param("distance_weight", 0.0),
        base().param("hint", "rkd").param("angle_weight", 0.0),
        base().param("hint", "similarity"),
        base().param("hint", "similarity").param("student_layers", [0]).param("teacher_layers", [0]),
        base().param("hint", "pkt"),
        base().param("hint", "correlation"),
        base().param("hint", "correlation").param("embedding_size", 5),
    ];
    let mut seen = vec![weights(&plain)];
    for (number, stage) in others.into_iter().enumerate() {
        let weights = weights(&stage.run().unwrap());
        assert!(!seen.contains(&weights), "setting {number} changes nothing");
        seen.push(weights);
    }
}

/// The teacher is asked batch by batch where its maps are compared, and once for all where nothing changes the images.
#[test]
fn answers_kept_are_answers_given() {
    let teacher = teacher();
    let kept = weights(&student(&teacher).run().unwrap());
    let given = weights(&student(&teacher).param("hint", "attention").param("beta", 0.0).run().unwrap());
    for ((name, kept), (_, given)) in kept.iter().zip(&given) {
        assert!(kept.allclose(given, 1e-4, 1e-5, false), "{name}: {}", (kept - given).abs().max());
    }
}

#[test]
fn soft_labels_of_a_synthetic_set_are_taken_with_the_answers() {
    let teacher = teacher();
    let real = Dataset::from_file(&dataset("few", 4)).unwrap();
    let set = |labels: Tensor| {
        let (images, normalisation, origin) = (real.floats(), real.normalisation.clone(), real.origin.clone());
        SyntheticSet {
            images,
            labels,
            classes: CLASSES,
            ipc: 4,
            normalisation,
            origin,
            class_names: Vec::new(),
            lr: None,
            targets: false,
            decoder: None,
        }
        .to_file()
    };
    let run = |labels: Tensor, alpha: f64| {
        let stage = Stage::of("distill.knowledge").tensors("train", "set", &set(labels)).param("arch", "convnet2");
        let stage = stage.input("teacher", "teacher", &teacher.artifacts["model"]).param("width", 4);
        let outputs = stage.param("epochs", 2).param("alpha", alpha).run().unwrap();
        assert!(json(&outputs, "metrics")["teacher_agreement"].is_null());
        weights(&outputs)
    };
    let hard = real.labels.one_hot(CLASSES).to_kind(Kind::Float);
    let soft = &hard * 0.7 + 0.1;
    for alpha in [0.0, 0.5] {
        assert_ne!(run(soft.copy(), alpha), run(hard.copy(), alpha), "alpha {alpha}");
    }
    assert_eq!(run(soft.copy(), 1.0), run(hard.copy(), 1.0));
    let classes = run(real.labels.copy(), 0.5);
    for ((name, classes), (_, shares)) in classes.iter().zip(&run(hard, 0.5)) {
        assert!(classes.allclose(shares, 1e-4, 1e-5, false), "{name}");
    }
}

#[test]
fn hints_move_the_layers_up_to_the_guided_one_alone() {
    let teacher = teacher();
    let folder = tempfile::tempdir().unwrap();
    let stage = || student(&teacher).param("hint", "fitnet").param("hint_epochs", 4).param("norm", "batch");
    let stage = || stage().param("student_layers", [0]).param("teacher_layers", [0]).seed(2);
    // Four epochs of three batches: in the middle of the third.
    let stopped = stage().scratch(folder.path(), Duration::from_secs(3600)).interrupt_after(7).run();
    assert!(stopped.unwrap_err().chain().any(|cause| cause.is::<Interrupted>()));
    let bytes = std::fs::read(folder.path().join(CHECKPOINT)).unwrap();
    // Behind the line with its checksum it is a safetensors file.
    let start = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let checkpoint = named_tensors(&bytes[start..], Device::Cpu).unwrap();

    let outputs = stage().run().unwrap();
    let (network, _) = loaded(&outputs);
    let fresh = network.init(stream(2, "init", 0).generator(), Device::Cpu).unwrap();
    let mut moved = Vec::new();
    for (name, fresh) in network.state_dict(&fresh) {
        let now = checkpoint.get(&format!("parameter.{name}")).unwrap();
        moved.extend((*now != fresh).then_some(name));
    }
    assert!(moved.contains(&"features.0.weight".to_string()), "{moved:?}");
    let first_block = ["features.0.", "features.1."];
    assert!(moved.iter().all(|name| first_block.iter().any(|block| name.starts_with(block))), "{moved:?}");
    let losses: Vec<f64> = serde_json::from_value(json(&outputs, "metrics")["hint_losses"].clone()).unwrap();
    assert!(losses.len() == 4 && losses[3] < losses[0], "{losses:?}");
}

/// A relation is one of a whole batch: without its weight it is the training without it, up to rounding, and with a weight
/// that dwarfs the rest the student's similarities become the teacher's.
#[test]
fn relations_are_learnt_and_weigh_what_they_are_told() {
    let teacher = teacher();
    let plain = weights(&student(&teacher).run().unwrap());
    for hint in ["rkd", "similarity", "pkt", "correlation"] {
        let without = student(&teacher).param("hint", hint).param("beta", 0.0).run().unwrap();
        for ((name, plain), (_, without)) in plain.iter().zip(&weights(&without)) {
            assert!(plain.allclose(without, 1e-4, 1e-5, false), "{hint}: {name}");
        }
        let outputs = student(&teacher).param("hint", hint).run().unwrap();
        let document = json(&outputs, "metrics");
        let published = match hint {
            "rkd" => 1.0,
            "similarity" => 3000.0,
            "pkt" => 30000.0,
            _ => 0.02,
        };
        assert_eq!(document["distillation"]["beta"].as_f64(), Some(published), "{hint}");
        assert_eq!(document["distillation"]["layers"].as_array().unwrap().len(), 1, "{hint}");
    }
    let images = Dataset::from_file(&dataset("test", 30)).unwrap().floats();
    let similarities = |outputs: &Outputs| {
        let (network, parameters) = loaded(outputs);
        let maps = network.hidden(&parameters, &images, ddpipe_nn::network::Mode::Eval, 1).unwrap().layers.pop();
        let rows = maps.unwrap().flatten(1, -1);
        let products = rows.matmul(&rows.transpose(0, 1));
        &products / products.norm_scalaropt_dim(2.0, [1i64], true)
    };
    let apart = |outputs: &Outputs| {
        (similarities(outputs) - similarities(&teacher)).square().sum(Kind::Float).double_value(&[])
    };
    let alone = student(&teacher).param("alpha", 0.0).param("epochs", 6).run().unwrap();
    let taught = student(&teacher).param("alpha", 0.0).param("hint", "similarity").param("epochs", 6).run().unwrap();
    assert!(apart(&taught) < 0.7 * apart(&alone), "{} against {}", apart(&taught), apart(&alone));
}

/// Weights from outside are where a student starts, and what is frozen of it stays, for hints and answers alike.
#[test]
fn a_student_starts_from_weights_and_keeps_what_is_frozen() {
    let teacher = teacher();
    let start = pupil("train.classifier").seed(9).run().unwrap();
    for hint in ["none", "fitnet"] {
        let stage = student(&teacher).input("weights", "start", &start.artifacts["model"]).param("hint", hint);
        let outputs = stage.param("hint_epochs", 2).param("freeze", ["features.0"]).run().unwrap();
        for ((name, before), (_, after)) in weights(&start).iter().zip(&weights(&outputs)) {
            let frozen = name.starts_with("features.0.");
            assert_eq!(before == after, frozen, "{hint}: {name}");
        }
        assert!(json(&outputs, "metrics")["weights"].is_string());
    }
}

#[test]
fn a_chain_of_teachers_can_be_read_off_its_end() {
    let teacher = teacher();
    let assistant = student(&teacher).param("width", 8).run().unwrap();
    let last = student(&assistant).param("width", 2).run().unwrap();
    let widths = |outputs: &Outputs| {
        let chain = json(outputs, "metrics")["teachers"].as_array().unwrap().clone();
        chain
            .iter()
            .map(|teacher| teacher["network"]["architecture"]["convnet"]["width"].as_i64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!((widths(&assistant), widths(&last)), (vec![16], vec![16, 8]));
    assert_eq!(last.metrics["teacher_accuracy"], assistant.metrics["accuracy"]);
    assert_eq!(tensors(&last, "model").about["teachers"], json(&last, "metrics")["teachers"]);
}

#[test]
fn what_cannot_work_is_said_before_training() {
    let teacher = teacher();
    let hinted = |hint: &str, ours: &[i64], theirs: &[i64]| {
        message(
            student(&teacher).param("hint", hint).param("student_layers", ours).param("teacher_layers", theirs).run(),
        )
    };
    let text = hinted("fitnet", &[7], &[0]);
    assert!(
        text.contains("the student has no hidden layer 7; its layers are 0 (4x20x20), 1 (4x10x10), 2 (100)"),
        "{text}"
    );
    let text = hinted("fitnet", &[1], &[0]);
    assert!(text.contains("hidden layer 1 of the student and 0 of the teacher: maps of 10x10 cannot"), "{text}");
    let text = hinted("attention", &[0], &[2]);
    assert!(text.contains("hidden layer 2 of the teacher has no maps"), "{text}");
    let text = hinted("none", &[0], &[0]);
    assert!(text.contains("leave them out"), "{text}");

    let smaller = {
        let mut set = Dataset::from_file(&dataset("train", 2)).unwrap();
        set.images = set.images.narrow(2, 0, 12).contiguous();
        set.to_file()
    };
    let other = Stage::of("train.classifier").tensors("train", "train", &smaller).param("arch", "mlp");
    let other = other.param("epochs", 1).run().unwrap();
    let text = message(student(&other).run());
    assert!(text.contains("images of 1x16x16, the training images are 1x12x16"), "{text}");
    let text = message(student(&teacher).param("hint", "fitnet").param("hint_lr", 1e30).run());
    assert!(text.contains("a lower hint_lr may help"), "{text}");
    let text = message(student(&teacher).param("lr", 1e30).run());
    assert!(text.contains("the loss is no longer finite in epoch"), "{text}");
}
