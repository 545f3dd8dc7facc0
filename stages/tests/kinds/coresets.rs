//! `select.coreset`, driven as the worker drives it: what each method takes, and that it repeats.

use crate::host::small::Small;
use crate::host::{Stage, byte_set, json, message, tensors};
use ddpipe_nn::network::{Chunk, Network, NetworkSpec};
use ddpipe_stages::artifact::{Dataset, Model, Normalisation, SyntheticSet, TensorFile};
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

fn trained(file: &TensorFile) -> Outputs {
    let train = Stage::of("train.classifier").tensors("train", "train", file).param("arch", "convnet1");
    train.param("width", 6).param("norm", "none").param("epochs", 2).run().unwrap()
}

fn confidence(teacher: &Outputs) -> Stage {
    coreset("confidence").param("crops", 2).input("model", "model", &teacher.artifacts["model"])
}

pub fn small() -> Vec<Small> {
    vec![
        Small::of(coreset("random")).named("random"),
        Small::of(coreset("herding")).named("herding").begins_anew(),
        Small::of(coreset("k_center")).named("k_center").begins_anew(),
        Small::of(confidence(&trained(&real()))).named("confidence").begins_anew(),
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
    let teacher = trained(&real());
    let with = |seed: u64| coreset("k_center").seed(seed).input("model", "model", &teacher.artifacts["model"]);
    let outputs = with(0).run().unwrap();
    assert_eq!(content(&outputs), content(&with(0).run().unwrap()));
    let radii = |outputs: &Outputs| json(outputs, "chosen")["about"]["radii"].clone();
    assert_ne!(radii(&outputs), radii(&coreset("k_center").run().unwrap()));

    let mut wide = Dataset::from_file(&real()).unwrap();
    wide.images = wide.images.repeat([1, 3, 1, 1]);
    wide.normalisation = Normalisation::new(vec![0.35; 3], vec![0.2; 3]);
    let other = trained(&wide.to_file());
    let text = message(coreset("herding").input("model", "model", &other.artifacts["model"]).run());
    assert!(text.contains("the network of \"model\""), "{text}");
}

/// Whole images, and crops of them, that the network is surest of; better ones first.
#[test]
fn confidence_takes_what_a_teacher_is_surest_of() {
    let teacher = trained(&real());
    let set = |outputs: &Outputs| SyntheticSet::from_file(tensors(outputs, "synthetic")).unwrap();
    let about = |outputs: &Outputs| json(outputs, "chosen")["about"].clone();
    let data = Dataset::from_file(&real()).unwrap();

    let whole = confidence(&teacher).param("min_area", 1.0).run().unwrap();
    let chosen = positions(&whole);
    assert!(set(&whole).images.equal(&data.floats_at(&Tensor::from_slice(&chosen.concat()))));
    let model = Model::from_file(tensors(&teacher, "model")).unwrap();
    let network = Network::new(&serde_json::from_value::<NetworkSpec>(model.network).unwrap()).unwrap();
    let parameters = network.load(&model.tensors.into_iter().collect()).unwrap();
    let logs = network.forward_chunked(&parameters, &data.floats(), Chunk(7)).unwrap().log_softmax(-1, Kind::Double);
    for (class, chosen) in chosen.iter().enumerate() {
        let surest = |position: &i64| logs.double_value(&[*position, class as i64]);
        let others = data.positions_by_class().unwrap()[class].clone();
        let least = chosen.iter().map(surest).fold(f64::INFINITY, f64::min);
        let passed_over = others.iter().filter(|position| !chosen.contains(position)).map(surest);
        assert!(passed_over.fold(f64::NEG_INFINITY, f64::max) <= least + 1e-6);
        assert!(chosen.windows(2).all(|pair| surest(&pair[0]) >= surest(&pair[1]) - 1e-6));
    }

    let crops = confidence(&teacher).run().unwrap();
    assert_eq!(content(&crops), content(&confidence(&teacher).run().unwrap()));
    assert_ne!(content(&crops), content(&confidence(&teacher).seed(1).run().unwrap()));
    let about_crops = about(&crops)["crops"].clone();
    let drawn = about_crops.as_array().unwrap().iter().flat_map(|class| class.as_array().unwrap());
    let sides: Vec<i64> = drawn.map(|crop| crop["height"].as_i64().unwrap()).collect();
    assert!(sides.iter().all(|side| (2..=8).contains(side)) && sides.iter().any(|side| *side < 8), "{sides:?}");
    let scores =
        |outputs: &Outputs| -> Vec<Vec<f64>> { serde_json::from_value(about(outputs)["scores"].clone()).unwrap() };
    assert!(scores(&crops).iter().all(|scores| scores.len() == 4 && scores.is_sorted()));

    let grids = confidence(&teacher).param("ipc", 2).param("factor", 2).run().unwrap();
    assert_eq!(set(&grids).images.size(), [6, 1, 8, 8]);
    assert_eq!(positions(&grids)[0].len(), 8, "four crops in each of two images");
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
    let text = message(coreset("confidence").run());
    assert!(text.contains("connect input \"model\", a model of train.classifier"), "{text}");
    let teacher = trained(&real());
    let text = message(confidence(&teacher).param("candidates", 3).run());
    assert!(
        text.contains("takes 4 crops of different images, and 3 of class 0 are looked at; raise candidates"),
        "{text}"
    );
    let text = message(confidence(&teacher).param("factor", 9).run());
    assert!(text.contains("cells without pixels; lower factor"), "{text}");
    let text = message(coreset("herding").param("arch", "mlp").run());
    assert!(text.contains("mlp takes no `width`"), "{text}");
}
