//! `select.coreset`, driven as the worker drives it: what each method takes, and that it repeats.

use crate::host::small::Small;
use crate::host::{Stage, byte_set, json, message, tensors};
use ddpipe_stages::artifact::{Dataset, Normalisation, SyntheticSet, TensorFile};
use ddpipe_stages::context::Outputs;
use ddpipe_stages::select::coreset::forgetting::most_forgotten;
use ddpipe_stages::training::forgetting::Events;
use tch::{Device, Kind, Tensor};

/// 3 classes of 20 images of 1x8x8, in turn: image i is all of brightness 3 i.
fn real() -> TensorFile {
    let brightness = Tensor::arange(60, (Kind::Int64, Device::Cpu)) * 3;
    let images = brightness.to_kind(Kind::Uint8).reshape([60, 1, 1, 1]).repeat([1, 1, 8, 8]);
    let labels = Tensor::arange(60, (Kind::Int64, Device::Cpu)).remainder(3);
    let normalisation = Normalisation::new(vec![0.35], vec![0.2]);
    let origin = "sample data: greys".to_string();
    byte_set(images, labels, 3, normalisation, origin).to_file()
}

fn coreset(method: &str) -> Stage {
    let stage = Stage::of("select.coreset").tensors("real", "train", &real()).param("method", method);
    let stage = stage.param("ipc", 4).param("arch", "convnet1").param("width", 4);
    stage.param("epochs", 3).param("batch_size", 8).param("lr", 0.1)
}

pub fn small() -> Vec<Small> {
    vec![
        Small::of(coreset("random")).named("random"),
        Small::of(coreset("herding")).named("herding").begins_anew(),
        Small::of(coreset("k_center")).named("k_center").begins_anew(),
        Small::of(coreset("forgetting")).named("forgetting").continues(6, [6, 12, 18, 24]),
    ]
}

fn positions(outputs: &Outputs) -> Vec<Vec<i64>> {
    serde_json::from_value(json(outputs, "chosen")["positions"].clone()).unwrap()
}

fn content(outputs: &Outputs) -> (Vec<u8>, String) {
    (tensors(outputs, "synthetic").to_bytes().unwrap(), json(outputs, "chosen").to_string())
}

#[test]
fn every_method_gives_a_synthetic_set_of_real_images_class_by_class_and_repeats() {
    let real = Dataset::from_file(&real()).unwrap();
    for method in ["random", "herding", "k_center", "forgetting"] {
        let outputs = coreset(method).run().unwrap();
        assert_eq!(content(&outputs), content(&coreset(method).run().unwrap()), "{method}");
        let chosen = positions(&outputs);
        let set = SyntheticSet::from_file(tensors(&outputs, "synthetic")).unwrap();
        assert_eq!((set.ipc, set.classes, set.origin.as_str()), (4, 3, "sample data: greys"), "{method}");
        assert_eq!(set.normalisation, real.normalisation);
        assert_eq!(Vec::<i64>::try_from(&set.labels).unwrap(), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert!(set.images.equal(&real.floats_at(&Tensor::from_slice(&chosen.concat()))), "{method}");
        for (class, mut chosen) in chosen.into_iter().enumerate() {
            assert!(chosen.iter().all(|position| position % 3 == class as i64), "{method}: {chosen:?}");
            chosen.sort();
            chosen.dedup();
            assert_eq!(chosen.len(), 4, "{method}: an image twice");
        }
    }
    let random = |seed| positions(&coreset("random").seed(seed).run().unwrap());
    assert_ne!(random(1), random(2));
}

/// In pixels the images lie on a line, where it is plain what is right.
#[test]
fn herding_stays_in_the_middle_and_k_center_goes_to_the_ends() {
    let pixels = |method| coreset(method).param("features", "pixels").param("ipc", 2).run().unwrap();
    // Class 0 is 0, 3, ..., 57 with mean 28.5: 27 and 30 are equally good but for rounding, then the other one is.
    let mut middle = positions(&pixels("herding"))[0].clone();
    middle.sort();
    assert_eq!(middle, [27, 30]);
    let centers = pixels("k_center");
    for (class, chosen) in positions(&centers).iter().enumerate() {
        let (low, high) = (class as i64, 57 + class as i64);
        let farthest = if chosen[0] - low >= high - chosen[0] { low } else { high };
        assert_eq!(chosen[1], farthest, "{chosen:?}");
    }
    assert!(json(&centers, "chosen")["about"]["radii"].as_array().unwrap().len() == 3);
}

#[test]
fn features_come_from_the_model_where_one_is_connected() {
    let model = |width: i64, file: &TensorFile| {
        let train = Stage::of("train.classifier").tensors("train", "train", file).param("arch", "convnet1");
        train.param("width", width).param("epochs", 1).run().unwrap()
    };
    let trained = model(6, &real());
    let with = |seed: u64| coreset("k_center").seed(seed).input("model", "model", &trained.artifacts["model"]);
    let outputs = with(0).run().unwrap();
    assert_eq!(content(&outputs), content(&with(0).run().unwrap()));
    let radii = |outputs: &Outputs| json(outputs, "chosen")["about"]["radii"].clone();
    assert_ne!(radii(&outputs), radii(&coreset("k_center").run().unwrap()));

    let mut wide = Dataset::from_file(&real()).unwrap();
    wide.images = wide.images.repeat([1, 3, 1, 1]);
    wide.normalisation = Normalisation::new(vec![0.35; 3], vec![0.2; 3]);
    let other = model(6, &wide.to_file());
    let text = message(coreset("herding").input("model", "model", &other.artifacts["model"]).run());
    assert!(text.contains("the network of \"model\""), "{text}");
}

#[test]
fn forgetting_counts_what_was_known_and_is_no_longer() {
    let mut events = Events::new(4, Device::Cpu);
    let seen = Tensor::from_slice(&[2i64, 0, 1]);
    for right in [[true, false, true], [false, false, true], [true, false, true], [false, false, true]] {
        events.count(&seen, &Tensor::from_slice(&right)).unwrap();
    }
    let counted = events.per_image().unwrap();
    assert_eq!(counted, [None, Some(0), Some(2), None]);
    assert_eq!(most_forgotten(&[0, 1, 2, 3], &counted, 3), [0, 3, 2]);
    assert_eq!(most_forgotten(&[1, 2], &counted, 1), [2]);
}

#[test]
fn too_few_images_and_settings_that_mean_nothing_are_said() {
    let text = message(coreset("random").param("ipc", 21).run());
    assert!(text.contains("class 0 has 20 real images, fewer than ipc = 21; lower ipc"), "{text}");
    let text = message(coreset("herding").param("arch", "mlp").run());
    assert!(text.contains("mlp takes no `width`"), "{text}");
}
