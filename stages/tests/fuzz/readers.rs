//! One function for each reader: it takes any bytes and returns. Most go through the stage that reads such a file, which
//! has to end with outputs or with an error in words.

#![allow(dead_code)]

use crate::host::{Recorder, Stage};
use ddpipe_cache::Digest;
use ddpipe_stages::artifact::{Content, Dataset, SyntheticSet, TensorFile, Trajectories};
use ddpipe_stages::context::{CHECKPOINT, Context};
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tch::Device;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const TABLE: &str = "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition\n\
    a.png,HP,0,train\nb.png,SSA,6,train\nc.png,HP,3,test\nd.png,SSA,4,test\n";

fn ends(stage: Stage) {
    if let Err(error) = stage.run() {
        assert!(!format!("{error:#}").is_empty());
    }
}

/// A ZIP file, its files stored as they are.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A picture of 8 x 8 pixels.
pub fn picture_of(shade: u8, format: image::ImageFormat) -> Vec<u8> {
    let drawn = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([shade, (x * 9) as u8, (y * 9) as u8]));
    let mut file = Cursor::new(Vec::new());
    image::DynamicImage::from(drawn).write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn png(shade: u8) -> Vec<u8> {
    picture_of(shade, image::ImageFormat::Png)
}

/// A file of images beside sound labels, and a file of labels beside sound images.
pub fn idx(data: &[u8]) {
    let images: &[u8] = &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1];
    let labels: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 2, 0, 1];
    let reading = |images: &[u8], labels: &[u8]| {
        Stage::of("decode.idx").file("images", "images.idx", images).file("labels", "labels.idx", labels)
    };
    ends(reading(data, labels));
    ends(reading(images, data));
}

/// An archive of arrays.
pub fn medmnist(data: &[u8]) {
    ends(Stage::of("decode.medmnist").file("file", "any.npz", data));
    ends(Stage::of("decode.arrays").file("train", "any.npz", data));
}

/// A .npy file of these numbers.
pub fn array(shape: &str, numbers: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((text.len() as u16).to_le_bytes());
    file.extend(text.as_bytes());
    file.extend(numbers);
    file
}

/// One array of images in a sound archive, and then one of labels.
pub fn npy(data: &[u8]) {
    let (images, labels) = (array("(2, 2, 3)", &[7, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), array("(2, 1)", &[0, 1]));
    let archive = |train_images: &[u8], train_labels: &[u8]| {
        let files: [(&str, &[u8]); 6] = [
            ("train_images.npy", train_images),
            ("train_labels.npy", train_labels),
            ("val_images.npy", &images),
            ("val_labels.npy", &labels),
            ("test_images.npy", &images),
            ("test_labels.npy", &labels),
        ];
        zip(&files)
    };
    medmnist(&archive(data, &labels));
    medmnist(&archive(&images, data));
}

/// An archive, and a file of records beside a sound one.
pub fn cifar(data: &[u8]) {
    ends(Stage::of("decode.cifar").file("archive", "any.tar.gz", data));
    let mut record = vec![3u8];
    record.extend((0..3072).map(|pixel| (pixel % 251) as u8));
    ends(Stage::of("decode.cifar").file("train", "a.bin", data).file("test", "b.bin", record));
}

fn mhist(table: &[u8], images: Vec<u8>) {
    let stage = Stage::of("split.mhist").file("annotations", "annotations.csv", table);
    ends(stage.file("images", "images.zip", images).param("size", 8).param("expect", "none"));
}

/// A table beside a sound archive.
pub fn mhist_table(data: &[u8]) {
    let images = png(7);
    mhist(
        data,
        zip(&["images/a.png", "images/b.png", "images/c.png", "images/d.png"].map(|name| (name, images.as_slice()))),
    );
}

/// An archive beside a sound table.
pub fn mhist_archive(data: &[u8]) {
    mhist(TABLE.as_bytes(), data.to_vec());
}

/// An archive of folders of classes.
pub fn folder_archive(data: &[u8]) {
    ends(Stage::of("decode.folder").file("images", "any.zip", data));
}

/// One picture among sound ones.
pub fn picture(data: &[u8]) {
    let (one, two) = (png(20), png(90));
    folder_archive(&zip(&[
        ("train/cat/1.png", data),
        ("train/cat/2.png", &one),
        ("train/dog/1.png", &two),
        ("test/cat/1.png", &one),
        ("test/dog/1.png", &two),
    ]));
}

/// An artifact of tensors. What is read is written as it can be read again.
pub fn tensor_file(data: &[u8]) {
    let Ok(file) = TensorFile::from_bytes(data, Device::Cpu) else { return };
    let _ = (Dataset::from_file(&file), SyntheticSet::from_file(&file));
    let bytes = file.to_bytes().unwrap();
    let again = TensorFile::from_bytes(&bytes, Device::Cpu).unwrap();
    assert!(again.to_bytes().unwrap() == bytes, "written otherwise the second time");
}

/// A file of trajectories: what its header promises can be read.
pub fn trajectories(data: &[u8]) {
    let Ok(file) = Trajectories::open(Content::Memory(Arc::new(data.to_vec()))) else { return };
    let (experts, epochs) = (file.shape.experts, file.shape.epochs);
    let _ = file.at(0, 0).unwrap();
    let _ = file.at(experts - 1, epochs).unwrap();
    assert!(file.at(experts, 0).is_err() && file.at(0, epochs + 1).is_err());
}

/// A checkpoint as it is, and with a checksum that fits.
pub fn checkpoint(data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    resumed(folder.path(), data);
    let line = format!("ddpipe checkpoint 1 {}\n", Digest::of(data));
    resumed(folder.path(), &[line.as_bytes(), data].concat());
}

fn resumed(folder: &Path, bytes: &[u8]) {
    std::fs::write(folder.join(CHECKPOINT), bytes).unwrap();
    let (every, host) = (Duration::from_secs(3600), Box::new(Recorder::default()));
    let context = Context::new(Device::Cpu, 0, folder.to_path_buf(), every, host);
    if let Some(checkpoint) = context.resume() {
        let _ = (checkpoint.get("weights"), checkpoint.noted::<u64>("of"));
        checkpoint.below("");
    }
}
