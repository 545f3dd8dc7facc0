//! `decode.cifar` and `decode.medmnist`: what they read, what `sample.arrays` makes for them, and that every damage is an
//! error that names the file and the place.

use crate::host::small::Small;
use crate::host::{Stage, bytes, message, tensors};
use ddpipe_stages::artifact::Dataset;
use ddpipe_stages::context::Outputs;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Cursor, Read, Write};
use tch::{Kind, Tensor};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const TEN: [&str; 6] = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];

/// Records of these label bytes, their pixels all different.
fn records(labels: &[&[u8]]) -> Vec<u8> {
    let record = |(image, labels): (usize, &&[u8])| {
        let pixels = (0..3072).map(move |pixel: usize| ((pixel * 7 + image * 13 + 1) % 251) as u8);
        labels.iter().copied().chain(pixels).collect::<Vec<u8>>()
    };
    labels.iter().enumerate().flat_map(record).collect()
}

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// The six files of CIFAR-10 in an order of their own, with something else between them.
fn ten() -> Vec<(String, Vec<u8>)> {
    let file = |name: &str, labels: &[&[u8]]| (format!("cifar-10-batches-bin/{name}.bin"), records(labels));
    vec![
        file(TEN[3], &[&[3], &[3]]),
        ("cifar-10-batches-bin/readme.html".into(), b"<html>".to_vec()),
        file(TEN[5], &[&[9], &[8]]),
        file(TEN[0], &[&[0]]),
        file(TEN[4], &[&[4]]),
        file(TEN[2], &[&[2]]),
        file(TEN[1], &[&[1]]),
    ]
}

fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    tar(&files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect::<Vec<_>>())
}

fn archive(bytes: Vec<u8>) -> Stage {
    Stage::of("decode.cifar").file("archive", "cifar.tar.gz", bytes)
}

fn set(outputs: &Outputs, name: &str) -> Dataset {
    Dataset::from_file(tensors(outputs, name)).unwrap()
}

fn labels(outputs: &Outputs, name: &str) -> Vec<i64> {
    Vec::try_from(set(outputs, name).labels).unwrap()
}

#[test]
fn the_archive_is_read_in_the_order_of_its_batches_packed_or_plain() {
    let tar = tar_of(&ten());
    let read = archive(gz(&tar)).run().unwrap();
    assert_eq!(labels(&read, "train"), [0, 1, 2, 3, 3, 4]);
    assert_eq!(labels(&read, "test"), [9, 8]);
    let test = set(&read, "test");
    assert_eq!((test.image_shape(), test.classes, test.scale), ([3, 32, 32], 10, 255.0));
    assert!(test.origin.starts_with("CIFAR-10 archive "), "{}", test.origin);
    // Green, second row, third column of the second test image.
    let pixel = test.images.int64_value(&[1, 1, 1, 2]);
    assert_eq!(pixel, ((1024 + 32 + 2) * 7 + 13 + 1) % 251);
    let plain = archive(tar.clone()).run().unwrap();
    assert_eq!(set(&plain, "train").images, set(&read, "train").images);

    // In several members of gzip, as parallel compressors write them, and with zeros behind the end.
    let (first, second) = tar.split_at(tar.len() / 2);
    for packed in [[gz(first), gz(second)].concat(), [gz(&tar), vec![0; 1024]].concat()] {
        assert_eq!(set(&archive(packed).run().unwrap(), "train").images, set(&read, "train").images);
    }

    // The files themselves give the same images.
    let mut stage = Stage::of("decode.cifar");
    let files = ten();
    for (position, name) in TEN.iter().enumerate() {
        let file = files.iter().find(|(file, _)| file.ends_with(&format!("{name}.bin"))).unwrap();
        stage = stage.file(if position < 5 { "train" } else { "test" }, name, file.1.clone());
    }
    let unpacked = stage.run().unwrap();
    assert_eq!((labels(&unpacked, "train"), unpacked.metrics.clone()), (vec![0, 1, 2, 3, 3, 4], read.metrics.clone()));
    assert_eq!(set(&unpacked, "train").images, set(&read, "train").images);
    assert!(set(&unpacked, "train").origin.starts_with("CIFAR-10 file "));
}

#[test]
fn cifar_100_has_fine_and_coarse_labels() {
    let files = [
        ("cifar-100-binary/train.bin", records(&[&[19, 99], &[0, 7], &[4, 0]])),
        ("cifar-100-binary/test.bin", records(&[&[3, 42]])),
    ];
    let read = |kind: &str| archive(tar(&files)).param("set", "cifar100").param("labels", kind).run().unwrap();
    let (fine, coarse) = (read("fine"), read("coarse"));
    assert_eq!((labels(&fine, "train"), set(&fine, "train").classes), (vec![99, 7, 0], 100));
    assert_eq!((labels(&coarse, "train"), set(&coarse, "test").classes), (vec![19, 0, 4], 20));
    assert_eq!((labels(&fine, "test"), labels(&coarse, "test")), (vec![42], vec![3]));
    let refused = message(archive(tar_of(&ten())).param("labels", "coarse").run());
    assert!(refused.contains("CIFAR-10 has one kind of label"), "{refused}");
}

#[test]
fn the_training_set_alone_gives_the_normalisation() {
    let read = |stage: Stage| stage.run().unwrap();
    let computed = read(archive(tar_of(&ten())));
    let (train, test) = (set(&computed, "train"), set(&computed, "test"));
    assert_eq!(train.normalisation, test.normalisation);
    let red = train.images.select(1, 0).to_kind(Kind::Double) / 255.0;
    assert!((train.normalisation.mean[0] - red.mean(Kind::Double).double_value(&[])).abs() < 1e-12);
    assert!((train.normalisation.std[0] - red.std(false).double_value(&[])).abs() < 1e-12);
    assert_eq!(computed.metrics["std_2"], train.normalisation.std[2]);

    let given = archive(tar_of(&ten())).param("mean", [0.4914, 0.4822, 0.4465]).param("std", [0.2023, 0.1994, 0.2010]);
    assert_eq!(set(&read(given), "test").normalisation.mean, [0.4914, 0.4822, 0.4465]);
    let none = read(archive(tar_of(&ten())).param("normalise", "none").param("origin", "the real one"));
    assert_eq!(set(&none, "test").normalisation.std, [1.0; 3]);
    assert_eq!(set(&none, "test").origin, "the real one");
    let refused = message(archive(tar_of(&ten())).param("mean", [0.5; 3]).run());
    assert!(refused.contains("go together"), "{refused}");
}

#[test]
fn every_damage_of_cifar_is_an_error_that_names_the_file_and_the_place() {
    let whole = tar_of(&ten());
    let packed = gz(&whole);
    let mut flipped = packed.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    let with = |name: &str, bytes: Vec<u8>| {
        let mut files = ten();
        files.iter_mut().find(|(file, _)| file.ends_with(name)).unwrap().1 = bytes;
        tar_of(&files)
    };
    let batch = "cifar.tar.gz: cifar-10-batches-bin/data_batch_3.bin";
    let link = {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "cifar-10-batches-bin/data_batch_3.bin", "/etc/passwd").unwrap();
        archive.into_inner().unwrap()
    };
    let huge = {
        let mut header = tar::Header::new_gnu();
        header.set_path("cifar-10-batches-bin/data_batch_3.bin").unwrap();
        header.set_size(1 << 40);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let cut = whole.len() - 3 * 1024 - 1000;
    let cases: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("empty archive", Vec::new(), vec!["cifar.tar.gz: the file is empty"]),
        ("no archive", vec![7; 4096], vec!["cifar.tar.gz: not a tar archive"]),
        ("tail", [packed.clone(), b"signature".to_vec()].concat(), vec!["9 bytes that are not gzip follow the end"]),
        ("cut gzip", packed[..packed.len() / 2].to_vec(), vec!["cifar.tar.gz", "damaged or incomplete"]),
        ("wrong checksum", flipped, vec!["cifar.tar.gz", "damaged or incomplete"]),
        ("cut tar", whole[..cut].to_vec(), vec!["cifar.tar.gz"]),
        ("missing file", tar_of(&ten()[..6]), vec!["lacks cifar-10-batches-bin/data_batch_2.bin"]),
        ("twice", tar_of(&[ten(), ten()].concat()), vec!["data_batch_4.bin: the archive holds two files"]),
        ("link", link, vec![batch, "a link"]),
        ("huge", huge, vec![batch, "1099511627776 bytes are announced", "30730000"]),
        (
            "other set",
            tar(&[("cifar-100-binary/train.bin", vec![1])]),
            vec!["it holds CIFAR-100: `set = \"cifar100\"`"],
        ),
        ("python", tar(&[("cifar-10-batches-py/data_batch_1", vec![1])]), vec!["lacks", "fetch the binary version"]),
        ("empty file", with("data_batch_3.bin", Vec::new()), vec![batch, "the file is empty"]),
        (
            "cut file",
            with("data_batch_3.bin", records(&[&[1], &[2]])[..5000].to_vec()),
            vec![batch, "offset 3073: image 1 has 1927 of the 3073 bytes"],
        ),
        (
            "label",
            with("data_batch_3.bin", records(&[&[1], &[10]])),
            vec![batch, "offset 3073: label 10 of image 1 is not in 0 to 9"],
        ),
    ];
    for (damage, bytes, parts) in cases {
        let text = message(archive(bytes).run());
        assert!(parts.iter().all(|part| text.contains(part)), "{damage}: {text:?} lacks one of {parts:?}");
    }
}

#[test]
fn files_and_inputs_that_do_not_belong_together_are_errors() {
    let files = || Stage::of("decode.cifar").file("train", "a.bin", records(&[&[1]]));
    let cases: Vec<(Stage, &str)> = vec![
        (files(), "`test` with the test file"),
        (Stage::of("decode.cifar"), "connect `archive`"),
        (files().file("archive", "x", b"x".to_vec()), "leave inputs `train` and `test` out"),
        (files().file("test", "b.bin", records(&[&[1]])), "b.bin is the same file as a.bin"),
        (files().file("test", "b.tar.gz", gz(b"x")), "belongs at input `archive`"),
        (files().file("test", "b.html", b"<html>".to_vec()), "web page"),
        (files().file("test", "b", b"\x80\x04pickle".to_vec()), "pickled"),
        (files().file("test", "b.bin", records(&[&[1, 2]])), "it may be CIFAR-100: `set = \"cifar100\"`"),
        (
            files().param("set", "cifar100").file("test", "b.bin", records(&[&[1]])),
            "a.bin: offset 0: image 0 has 3073 of the 3074 bytes that one of CIFAR-100 has; by its size it may be CIFAR-10",
        ),
        (
            Stage::of("decode.cifar").param("set", "cifar100").file("train", "a.bin", records(&[&[20, 0]])).file(
                "test",
                "b.bin",
                records(&[&[0, 0]]),
            ),
            "a.bin: offset 0: coarse label 20 of image 0 is not in 0 to 19",
        ),
    ];
    for (stage, part) in cases {
        let text = message(stage.run());
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

/// A .npy file, version 1, of this type and shape.
pub fn npy(descr: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((text.len() as u16).to_le_bytes());
    file.extend(text.as_bytes());
    file.extend(numbers);
    file
}

pub fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Grey images of 2 x 3 pixels, four, two and one of them.
fn grey() -> Vec<(&'static str, Vec<u8>)> {
    let images = |count: u8| npy("'|u1'", &format!("({count}, 2, 3)"), &(0..6 * count).collect::<Vec<u8>>());
    vec![
        ("train_images", images(4)),
        ("train_labels", npy("'|u1'", "(4, 1)", &[0, 1, 1, 0])),
        ("val_images", images(2)),
        ("val_labels", npy("'>i2'", "(2, 1)", &[0, 1, 0, 0])),
        ("test_images", images(1)),
        ("test_labels", npy("'<i8'", "(1,)", &[1, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn medmnist(bytes: Vec<u8>) -> Stage {
    Stage::of("decode.medmnist").file("file", "blood.npz", bytes)
}

#[test]
fn what_numpy_writes_is_read() {
    let read = medmnist(include_bytes!("../../golden/medmnist/rgb.npz").to_vec()).run().unwrap();
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../golden/medmnist/rgb.json")).unwrap();
    for name in ["train", "val", "test"] {
        let list = |what: &str| -> Vec<i64> { serde_json::from_value(golden[name][what].clone()).unwrap() };
        let set = set(&read, name);
        assert_eq!(set.images.size(), list("shape"), "{name}");
        assert_eq!(set.images.kind(), Kind::Uint8);
        assert_eq!(Vec::<i64>::try_from(set.images.to_kind(Kind::Int64).flatten(0, -1)).unwrap(), list("images"));
        assert_eq!(Vec::<i64>::try_from(&set.labels).unwrap(), list("labels"), "{name}");
        assert_eq!((set.classes, read.metrics[&format!("{name}_images")]), (3, set.len() as f64));
    }
}

#[test]
fn grey_images_have_one_channel_and_labels_any_whole_type() {
    let read = medmnist(npz(&grey())).run().unwrap();
    assert_eq!(set(&read, "train").images.size(), [4, 1, 2, 3]);
    assert_eq!((labels(&read, "val"), labels(&read, "test")), (vec![1, 0], vec![1]));
    assert_eq!(set(&read, "val").normalisation, set(&read, "train").normalisation);
    assert!(set(&read, "val").origin.starts_with("MedMNIST file "));
    assert_eq!(set(&medmnist(npz(&grey())).param("classes", 7).run().unwrap(), "test").classes, 7);
}

#[test]
fn every_damage_of_an_npz_is_an_error_that_names_the_file_and_the_array() {
    let with = |name: &str, bytes: Vec<u8>| {
        let mut arrays = grey();
        arrays.iter_mut().find(|(array, _)| *array == name).unwrap().1 = bytes;
        npz(&arrays)
    };
    let images = |descr: &str, shape: &str, numbers: usize| with("train_images", npy(descr, shape, &vec![1; numbers]));
    let labels = |descr: &str, shape: &str, numbers: &[u8]| with("train_labels", npy(descr, shape, numbers));
    let whole = npz(&grey());
    let mut flipped = npz(&grey());
    let at = flipped.windows(2).position(|pair| pair == b"PK").unwrap() + 60;
    flipped[at] ^= 0x55;
    let cases: Vec<(&str, Vec<u8>, Vec<&str>)> = vec![
        ("empty", Vec::new(), vec!["blood.npz: the file is empty"]),
        ("no zip", b"<html>".to_vec(), vec!["blood.npz: not an .npz archive"]),
        ("cut", whole[..whole.len() - 30].to_vec(), vec!["blood.npz: not an .npz archive"]),
        ("flipped", flipped, vec!["blood.npz: train_images.npy"]),
        ("missing", npz(&grey()[..3]), vec!["blood.npz: the archive has no val_labels.npy; it has", "val_images.npy"]),
        ("no npy", with("val_images", b"nothing like it".to_vec()), vec!["val_images.npy: not a .npy file"]),
        ("no bytes", with("val_images", Vec::new()), vec!["val_images.npy: the file ends inside the header"]),
        ("version", with("val_images", b"\x93NUMPY\x09\x00\x00\x00".to_vec()), vec!["version 9"]),
        ("objects", labels("'|O'", "(4, 1)", b"pickle"), vec!["train_labels.npy", "Python objects"]),
        ("several labels", labels("'|u1'", "(4, 14)", &[0; 56]), vec!["train_labels.npy: 14 labels per image"]),
        (
            "half labels",
            labels("'<f4'", "(4, 1)", &[0, 0, 0, 63].repeat(4)),
            vec!["train_labels.npy: number 0 is 0.5, where whole"],
        ),
        ("few labels", labels("'|u1'", "(3, 1)", &[0; 3]), vec!["train_images.npy holds 4 images", "3 labels"]),
        ("cut labels", labels("'|u1'", "(4, 1)", &[0; 3]), vec!["train_labels.npy: the header", "3 bytes are there"]),
        ("negative", labels("'|i1'", "(4, 1)", &[0, 1, 255, 0]), vec!["train_labels.npy: label -1 of image 2"]),
        ("large label", labels("'|u1'", "(4, 1)", &[0, 1, 200, 0]), vec!["label 200 makes 201 classes of 4 images"]),
        ("late label", with("test_labels", npy("'|u1'", "(1, 1)", &[2])), vec!["test_labels.npy: label 2 of image 0"]),
        ("float images", images("'<f4'", "(4, 2, 3)", 96), vec!["train_images.npy: images of type f4"]),
        ("volumes", images("'|u1'", "(4, 2, 3, 5)", 120), vec!["train_images.npy: volumes of 2 x 3 x 5 voxels"]),
        ("flat", images("'|u1'", "(4, 6)", 24), vec!["train_images.npy: [4, 6] numbers are no images"]),
        ("none", images("'|u1'", "(0, 2, 3)", 0), vec!["there are no images"]),
        ("cut images", images("'|u1'", "(4, 2, 3)", 23), vec!["train_images.npy", "(24 bytes), 23 bytes are there"]),
        ("long images", images("'|u1'", "(4, 2, 3)", 25), vec!["train_images.npy", "(24 bytes), more are there"]),
        (
            "endless",
            images("'|u1'", "(4, 4611686018427387904, 3)", 24),
            vec!["train_images.npy", "more than can exist"],
        ),
        ("huge", images("'|u1'", "(4, 1073741824, 3)", 24), vec!["train_images.npy", "times the", "`max_ratio`"]),
    ];
    for (damage, bytes, parts) in cases {
        let text = message(medmnist(bytes).run());
        assert!(parts.iter().all(|part| text.contains(part)), "{damage}: {text:?} lacks one of {parts:?}");
    }
    let refused = message(medmnist(npz(&grey())).param("classes", 1).run());
    assert!(refused.contains("label 1 of image 1 is not in 0 to 0 (by parameter `classes`)"), "{refused}");
}

#[test]
fn images_are_resized_before_anything_is_computed_of_them() {
    let black_and_white: Vec<u8> = (0..24).map(|pixel| if pixel % 2 == 0 { 0 } else { 200 }).collect();
    let mut arrays = grey();
    arrays[0].1 = npy("'|u1'", "(4, 1, 6)", &black_and_white);
    let read = |size: i64| medmnist(npz(&arrays)).param("resize", size).param("normalise", "none").run().unwrap();
    assert_eq!(set(&read(5), "train").image_shape(), [1, 5, 5]);
    assert_eq!(set(&read(5), "test").image_shape(), [1, 5, 5]);
    let one = set(&read(1), "train").images;
    assert!((i64::try_from(one.max()).unwrap() - 100).abs() <= 20, "{one}");
    let flat = message(medmnist(npz(&arrays)).param("resize", 1).run());
    assert!(flat.contains("all pixels of channel 0 are the same"), "{flat}: the std is that of the images before");
    let small = archive(tar_of(&ten())).param("resize", 16).run().unwrap();
    assert_eq!(set(&small, "test").image_shape(), [3, 16, 16]);
}

fn sampling(seed: u64) -> Stage {
    Stage::of("sample.arrays").seed(seed).param("train", 23).param("val", 11).param("test", 12)
}

fn sample(seed: u64) -> Outputs {
    sampling(seed).run().unwrap()
}

pub fn small() -> Vec<Small> {
    vec![
        Small::of(archive(gz(&tar_of(&ten())))).begins_anew(),
        Small::of(medmnist(npz(&grey()))).begins_anew(),
        Small::of(sampling(3)).begins_anew(),
    ]
}

#[test]
fn the_sample_is_read_by_both_kinds_and_called_what_it_is() {
    let made = sample(3);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| sample(3));
    let other = sample(4);
    for output in ["cifar", "medmnist"] {
        assert_eq!(bytes(&made, output), bytes(&alone, output), "{output}");
        assert_ne!(bytes(&made, output), bytes(&other, output), "{output} does not depend on the seed");
    }
    let cifar = archive(bytes(&made, "cifar").to_vec()).run().unwrap();
    let medmnist = medmnist(bytes(&made, "medmnist").to_vec()).run().unwrap();
    for (read, name, count) in [
        (&cifar, "train", 23),
        (&cifar, "test", 12),
        (&medmnist, "train", 23),
        (&medmnist, "val", 11),
        (&medmnist, "test", 12),
    ] {
        let set = set(read, name);
        let shape = if set.image_shape()[0] == 3 { [3, 32, 32] } else { [1, 28, 28] };
        assert_eq!((set.len(), set.image_shape(), set.origin.as_str(), set.classes), (count, shape, "sample data", 10));
        let each: Vec<usize> = set.positions_by_class().unwrap().iter().map(Vec::len).collect();
        assert!(each.iter().all(|&images| (1..=3).contains(&images)), "{name}: {each:?}");
        let low = set.images.amin([1, 2, 3], false).to_kind(Kind::Int64);
        let contrast: Tensor = set.images.amax([1, 2, 3], false).to_kind(Kind::Int64) - low;
        assert!(contrast.min().int64_value(&[]) > 50, "an image shows no digit");
    }
    let channels = set(&cifar, "train").images;
    assert_ne!(channels.select(1, 0), channels.select(1, 1));

    let mut names = Vec::new();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes(&made, "cifar")).read_to_end(&mut unpacked).unwrap();
    for entry in tar::Archive::new(unpacked.as_slice()).entries().unwrap() {
        let entry = entry.unwrap();
        names.push((entry.path().unwrap().display().to_string(), entry.size() / 3073));
    }
    let expected: Vec<_> =
        TEN.iter().map(|name| format!("cifar-10-batches-bin/{name}.bin")).zip([4, 5, 4, 5, 5, 12]).collect();
    assert_eq!(names, expected);
    let header = flate2::read::GzDecoder::new(bytes(&made, "cifar"));
    assert_eq!(header.header().unwrap().comment().unwrap(), b"ddpipe sample data, not CIFAR-10");
}
