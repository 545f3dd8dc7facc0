//! ZCA whitening: the numbers of an independent implementation, the way back, what travels to synthetic sets and
//! pictures, and that sets without a whitening are the same bytes as ever.

use crate::host::{Stage, bytes, message, tensors};
use ddpipe_stages::artifact::{Dataset, Normalisation, SyntheticSet, TensorFile};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const GOLDEN: &str = include_str!("../../golden/whitening/zca.json");

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn idx(axes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, axes.len() as u8];
    file.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Two channels of 3 x 2 pixels, correlated, in IDX files.
fn reading(images: &[u8]) -> Stage {
    let count = images.len() as u32 / 12;
    let labels: Vec<u8> = (0..count).map(|image| (image % 2) as u8).collect();
    let stage = Stage::of("decode.idx").file("images", "images", idx(&[count, 2, 3, 2], images));
    stage.file("labels", "labels", idx(&[count], &labels)).param("classes", 2)
}

fn golden_images() -> Vec<u8> {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    numbers(&golden["images"]).iter().map(|&pixel| pixel as u8).collect()
}

fn file(stage: Stage) -> TensorFile {
    let bytes = tensors(&stage.run().unwrap(), "dataset").to_bytes().unwrap();
    TensorFile::from_bytes(&bytes, Device::Cpu).unwrap()
}

fn set(stage: Stage) -> Dataset {
    Dataset::from_file(&file(stage)).unwrap()
}

fn white() -> Stage {
    reading(&golden_images()).param("whitening", "zca").param("whitening_eps", 0.001)
}

#[track_caller]
fn close(got: &Tensor, expected: &[f64], relative: f64) {
    let expected = Tensor::from_slice(expected);
    let error = (got.to_kind(Kind::Double).flatten(0, -1) - &expected).abs().max().double_value(&[]);
    let limit = relative * expected.abs().max().double_value(&[]);
    assert!(error <= limit, "{error:e} is above {limit:e}");
}

#[test]
fn the_numbers_are_those_of_an_independent_implementation() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let stage = reading(&golden_images()).param("whitening", "zca").param("whitening_eps", &case["eps"]);
        let file = file(stage.param("mean", numbers(&case["mean"])).param("std", numbers(&case["std"])));
        close(file.get("whitening_matrix").unwrap(), &numbers(&case["matrix"]), 1e-6);
        close(file.get("whitening_inverse").unwrap(), &numbers(&case["inverse"]), 1e-6);
        let set = Dataset::from_file(&file).unwrap();
        close(&set.floats(), &numbers(&case["white"]), 5e-6);
    }
}

#[test]
fn whitened_images_are_uncorrelated_of_like_variance_and_undone_exactly() {
    let set = set(reading(&golden_images()).param("whitening", "zca").param("whitening_eps", 1e-9));
    let white = set.floats();
    let flat = white.flatten(1, -1).to_kind(Kind::Double);
    let centred = &flat - flat.mean_dim(0, true, Kind::Double);
    let covariance = centred.transpose(0, 1).matmul(&centred) / (set.len() - 1);
    close(
        &covariance,
        &Vec::<f64>::try_from(Tensor::eye(12, (Kind::Double, Device::Cpu)).flatten(0, -1)).unwrap(),
        1e-4,
    );

    let pixels = Vec::<f64>::try_from((set.images.to_kind(Kind::Double) / 255.0).flatten(0, -1)).unwrap();
    close(&set.normalisation.undo(&white), &pixels, 3e-6);
}

#[test]
fn a_test_set_takes_the_whitening_over_with_mean_and_std() {
    let train = white().run().unwrap();
    let some = &golden_images()[..36];
    let test = set(reading(some).tensors("normalisation", "train", tensors(&train, "dataset")));
    let train = Dataset::from_file(tensors(&train, "dataset")).unwrap();
    assert_eq!(test.normalisation, train.normalisation);
    // Not to the last bit: another number of images is multiplied in another order.
    let same = Vec::<f64>::try_from(train.floats().narrow(0, 0, 3).to_kind(Kind::Double).flatten(0, -1)).unwrap();
    close(&test.floats(), &same, 1e-6);

    let plain = file(reading(&golden_images()));
    let refused = message(white().tensors("normalisation", "train", &plain).run());
    assert!(refused.contains("whiten that data set"), "{refused}");
    let other = Stage::of("decode.idx").file("images", "images", idx(&[1, 2, 2, 2], &[7; 8]));
    let other = other.file("labels", "labels", idx(&[1], &[0])).tensors("normalisation", "train", &train.to_file());
    let refused = message(other.run());
    assert!(refused.contains("12") && refused.contains("8 ([2, 2, 2])"), "{refused}");
    let one = message(reading(&golden_images()[..12]).param("whitening", "zca").run());
    assert!(one.contains("two images or more"), "{one}");
}

#[test]
fn rows_and_columns_are_swapped_before_images_are_whitened() {
    let straight = set(white());
    let turned: Vec<u8> = Vec::try_from(straight.images.transpose(2, 3).contiguous().flatten(0, -1)).unwrap();
    let count = straight.len() as u32;
    let labels: Vec<u8> = (0..count).map(|image| (image % 2) as u8).collect();
    let stage = Stage::of("decode.idx").file("images", "images", idx(&[count, 2, 2, 3], &turned));
    let stage = stage.file("labels", "labels", idx(&[count], &labels)).param("classes", 2).param("transpose", true);
    let again = set(stage.param("whitening", "zca").param("whitening_eps", 0.001));
    assert_eq!(again.floats(), straight.floats());
}

#[test]
fn synthetic_sets_carry_the_way_back_and_pictures_show_it() {
    let real = white().run().unwrap();
    let made = Stage::of("init.synthetic").input("real", "real", &real.artifacts["dataset"]).param("ipc", 3);
    let made = made.run().unwrap();
    let file = tensors(&made, "synthetic");
    assert!(file.get("whitening_inverse").is_ok() && file.get("whitening_matrix").is_err());

    let data = Dataset::from_file(tensors(&real, "dataset")).unwrap();
    let made =
        SyntheticSet::from_file(&TensorFile::from_bytes(&file.to_bytes().unwrap(), Device::Cpu).unwrap()).unwrap();
    assert_eq!(made.normalisation, data.normalisation);
    // Every image is a real one: undone, it has whole bytes, which whitened are the image again.
    let pictures = made.normalisation.undo(&made.images) * 255.0;
    let steps = (&pictures - pictures.round()).abs().max().double_value(&[]);
    assert!(steps < 1e-3, "{steps}");
    let again = made.normalisation.apply(&(pictures.round() / 255.0));
    close(&again, &Vec::<f64>::try_from(made.images.to_kind(Kind::Double).flatten(0, -1)).unwrap(), 2e-6);
    assert_eq!(made.with_images(made.images.zeros_like()).to_file().tensors.len(), 4);
}

/// The picture of untouched real images has the bytes of the picture of the same images without a whitening.
#[test]
fn a_grid_of_a_whitened_set_shows_the_true_images() {
    let picture = |zca: &str| {
        let images: Vec<u8> = (0..600u32).map(|pixel| (pixel * pixel * 31 % 247) as u8).collect();
        let stage = Stage::of("decode.idx").file("images", "images", idx(&[40, 3, 5], &images));
        let labels: Vec<u8> = (0..40).map(|image| image / 20).collect();
        let stage = stage.file("labels", "labels", idx(&[40], &labels)).param("classes", 2);
        let real = stage.param("whitening", zca).run().unwrap();
        let start = Stage::of("init.synthetic").input("real", "real", &real.artifacts["dataset"]).param("ipc", 4);
        let start = start.run().unwrap();
        let grid = Stage::of("report.grid").input("images", "start", &start.artifacts["synthetic"]).run().unwrap();
        bytes(&grid, "picture").to_vec()
    };
    let (plain, white) = (picture("none"), picture("zca"));
    // The data sets differ in nothing that a picture tells, since the origin is that of the file.
    assert_eq!(plain, white);
}

/// Results on record before there was any whitening keep their keys only if these bytes stay as they are.
#[test]
fn sets_without_a_whitening_have_the_bytes_that_they_always_had() {
    let normalisation = || Normalisation::new(vec![0.25], vec![0.5]);
    let set = Dataset {
        images: Tensor::from_slice(&[1u8, 2, 3, 250]).view([2, 1, 1, 2]),
        labels: Tensor::from_slice(&[1i64, 0]),
        agreement: None,
        classes: 2,
        normalisation: normalisation(),
        scale: 255.0,
        origin: "a test".into(),
        class_names: Vec::new(),
    };
    let made = SyntheticSet {
        images: Tensor::from_slice(&[0.5f32, -1.0]).view([2, 1, 1, 1]),
        labels: Tensor::from_slice(&[0i64, 1]),
        classes: 2,
        ipc: 1,
        normalisation: normalisation(),
        origin: "a test".into(),
        class_names: Vec::new(),
        lr: None,
        targets: false,
        decoder: None,
    };
    let header = |file: TensorFile| {
        let bytes = file.to_bytes().unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let text = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap();
        (text.trim_end().to_string(), bytes[8 + length..].to_vec())
    };
    let (text, data) = header(set.to_file());
    assert_eq!(
        text,
        r#"{"__metadata__":{"ddpipe":"{\"type\":\"dataset\",\"about\":{\"classes\":2,\"normalisation\":{\"mean\":[0.25],\"std\":[0.5]},\"scale\":255.0,\"origin\":\"a test\"}}"},"labels":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"images":{"dtype":"U8","shape":[2,1,1,2],"data_offsets":[16,20]}}"#
    );
    assert_eq!(data, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 250]);
    let (text, data) = header(made.to_file());
    assert_eq!(
        text,
        r#"{"__metadata__":{"ddpipe":"{\"type\":\"synthetic\",\"about\":{\"classes\":2,\"ipc\":1,\"normalisation\":{\"mean\":[0.25],\"std\":[0.5]},\"origin\":\"a test\"}}"},"labels":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"images":{"dtype":"F32","shape":[2,1,1,1],"data_offsets":[16,24]}}"#
    );
    assert_eq!(data.len(), 24);
}

#[test]
fn a_damaged_whitening_is_an_error() {
    let mut file = file(white());
    file.tensors.insert("whitening_matrix".into(), Tensor::zeros([12, 11], (Kind::Float, Device::Cpu)));
    assert!(Dataset::from_file(&file).unwrap_err().to_string().contains("whitening of 12 pixels"));
    file.tensors.shift_remove("whitening_mean");
    assert!(Dataset::from_file(&file).unwrap_err().to_string().contains("whitening_mean"));
}
