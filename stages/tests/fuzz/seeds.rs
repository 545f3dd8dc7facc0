//! Seeds that stages make: small files of every kind that is read.

use super::readers::{array, picture_of, zip};
use crate::host::{Recorder, Stage, bytes, tensors};
use ddpipe_stages::artifact::{Content, TrajectoryShape, TrajectoryWriter};
use ddpipe_stages::context::{CHECKPOINT, Context, Outputs};
use image::ImageFormat;
use std::time::Duration;
use tch::{Device, Tensor};

/// The seeds of this target, besides those in the corpus.
pub fn of(name: &str) -> Vec<Vec<u8>> {
    match name {
        "idx" => named(&digits(), &["train_images", "train_labels"]),
        "medmnist" => named(&arrays(), &["medmnist"]),
        "npy" => vec![array("(2, 2, 3)", &[7; 12]), array("(2, 1)", &[0, 1])],
        "cifar" => named(&arrays(), &["cifar"]),
        "mhist_table" => named(&polyps("images"), &["annotations"]),
        "mhist_archive" => named(&polyps("images"), &["images"]),
        "folder_archive" => [named(&polyps("classes"), &["images"]), vec![classes()]].concat(),
        "picture" => vec![picture_of(3, ImageFormat::Png), picture_of(5, ImageFormat::Jpeg)],
        "tensor_file" => sets(),
        "trajectories" => vec![trajectories()],
        "checkpoint" => checkpoint(),
        other => panic!("{other} is no target"),
    }
}

fn named(outputs: &Outputs, names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| bytes(outputs, name).to_vec()).collect()
}

fn digits() -> Outputs {
    Stage::of("sample.digits").param("train", 20).param("test", 10).param("size", 8).run().unwrap()
}

fn arrays() -> Outputs {
    Stage::of("sample.arrays").param("train", 10).param("val", 10).param("test", 10).run().unwrap()
}

fn polyps(folders: &str) -> Outputs {
    let stage = Stage::of("sample.polyps").param("train", 6).param("test", 4).param("size", 16);
    stage.param("folders", folders).run().unwrap()
}

/// Two classes in two sets.
fn classes() -> Vec<u8> {
    let (png, jpeg) = (picture_of(20, ImageFormat::Png), picture_of(90, ImageFormat::Jpeg));
    zip(&[("train/cat/1.png", &png), ("train/dog/1.jpg", &jpeg), ("test/cat/1.png", &png), ("test/dog/1.jpg", &jpeg)])
}

/// A data set, and a synthetic one that starts from it.
fn sets() -> Vec<Vec<u8>> {
    let files = digits();
    let (images, labels) = (&files.artifacts["train_images"], &files.artifacts["train_labels"]);
    let real = Stage::of("decode.idx").input("images", "images", images).input("labels", "labels", labels);
    let real = real.run().unwrap();
    let start = Stage::of("init.synthetic").input("real", "train", &real.artifacts["dataset"]).param("ipc", 1);
    let start = start.run().unwrap();
    vec![tensors(&real, "dataset").to_bytes().unwrap(), tensors(&start, "synthetic").to_bytes().unwrap()]
}

fn trajectories() -> Vec<u8> {
    let shape = TrajectoryShape { experts: 2, epochs: 1, parameters: 3 };
    let about = serde_json::json!({ "network": "mlp" });
    let writer = TrajectoryWriter::new(tempfile::tempfile().unwrap(), &about, shape).unwrap();
    for (expert, epoch) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        writer.put(expert, epoch, &Tensor::from_slice(&[expert as f32, epoch as f32, 0.5])).unwrap();
    }
    Content::of_file(writer.finish()).unwrap().to_vec().unwrap().to_vec()
}

/// The file of a checkpoint, and what follows its first line.
fn checkpoint() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (every, host) = (Duration::ZERO, Box::new(Recorder::default()));
    let context = Context::new(Device::Cpu, 0, folder.path().to_path_buf(), every, host);
    let saved = context.step(1, 3, "steps", None, |checkpoint| {
        checkpoint.put("weights", &Tensor::from_slice(&[1f32, 2.0]));
        checkpoint.note("of", 3);
        Ok(())
    });
    saved.unwrap();
    let file = std::fs::read(folder.path().join(CHECKPOINT)).unwrap();
    let line = file.iter().position(|byte| *byte == b'\n').unwrap();
    vec![file[line + 1..].to_vec(), file]
}
