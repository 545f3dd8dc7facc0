//! Golden cases of family `idx`, and what an IDX reader has to bear: every element type, both byte layouts, files that
//! do not belong together, and bytes that are no IDX file at all.

use crate::host::{Stage, message, tensors};
use crate::memory;
use crate::walker::{self, Case, Report};
use ddpipe_stages::artifact::Dataset;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write;

/// A stage that reads these two files, named `images.idx` and `labels.idx`.
fn reading(images: &[u8], labels: &[u8]) -> Stage {
    Stage::of("decode.idx").file("images", "images.idx", images).file("labels", "labels.idx", labels)
}

fn dataset(stage: Stage) -> Dataset {
    Dataset::from_file(tensors(&stage.run().unwrap(), "dataset")).unwrap()
}

#[test]
fn cases() {
    walker::run("idx", |case, report| {
        let folder = case.path.parent().unwrap();
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let (images, labels) = (read("images_valid.idx3-ubyte.gz"), read("labels_valid.idx1-ubyte.gz"));
        for file in case.list("files") {
            let name = file["file"].as_str().unwrap();
            let expected = file["expected"].as_str().unwrap();
            let bytes = read(name);
            report.equal(case, name, bytes.len() as u64, file["bytes"].as_u64().unwrap());
            let stage = Stage::of("decode.idx");
            let stage = if name.starts_with("labels_") && !expected.starts_with("error") {
                stage.file("images", "images_valid", images.clone()).file("labels", name, bytes)
            } else {
                stage.file("images", name, bytes).file("labels", "labels_valid", labels.clone())
            };
            memory::begin();
            let result = stage.run();
            report.check(case, &format!("{name}: {} bytes at once", memory::largest()), memory::largest() < 1 << 20);
            let refused =
                !expected.starts_with("ok") || expected.contains("zero images") || expected.contains("differ");
            match result {
                Ok(_) => report.check(case, &format!("{name}: was read, though: {expected}"), !refused),
                Err(error) => {
                    let text = format!("{error:#}");
                    report.check(case, &format!("{name}: {text}"), refused && text.contains(name));
                    let place = text.contains("offset") || expected.contains("differ");
                    report.check(case, &format!("{name}: names no offset: {text}"), place);
                }
            }
        }
        check_values(case, report, &images, &labels);
    });
}

fn check_values(case: &Case, report: &mut Report, images: &[u8], labels: &[u8]) {
    let set = dataset(reading(images, labels).param("mean", [0.1307]).param("std", [0.3081]));
    report.compare(case, "pixels", &set.images.squeeze_dim(1).to_kind(tch::Kind::Int64));
    report.compare(case, "labels", &set.labels);
    report.compare(case, "normalised", &set.floats().squeeze_dim(1));
}

/// An IDX file of this element type.
fn idx(code: u8, axes: &[u32], payload: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, code, axes.len() as u8];
    file.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    file.extend(payload);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn values(set: &Dataset) -> Vec<f64> {
    Vec::try_from(set.images.flatten(0, -1).to_kind(tch::Kind::Double)).unwrap()
}

#[test]
fn every_element_type_is_read_big_endian() {
    let labels = idx(0x08, &[2], &[1, 0]);
    let whole = [-3i16, 0, 100, 127];
    let real = [-0.5f64, 0.0, 1.5, 2.0f64.powi(-30)];
    let types: [(u8, Vec<u8>, Vec<f64>, f64); 5] = [
        (0x09, whole.iter().flat_map(|&v| (v as i8).to_be_bytes()).collect(), whole.map(f64::from).to_vec(), 255.0),
        (0x0B, whole.iter().flat_map(|v| v.to_be_bytes()).collect(), whole.map(f64::from).to_vec(), 255.0),
        (0x0C, whole.iter().flat_map(|&v| i32::from(v).to_be_bytes()).collect(), whole.map(f64::from).to_vec(), 255.0),
        (0x0D, real.iter().flat_map(|&v| (v as f32).to_be_bytes()).collect(), real.to_vec(), 1.0),
        (0x0E, real.iter().flat_map(|v| v.to_be_bytes()).collect(), real.to_vec(), 1.0),
    ];
    for (code, payload, expected, scale) in types {
        let set = dataset(reading(&idx(code, &[2, 1, 2], &payload), &labels));
        assert_eq!((values(&set), set.images.kind()), (expected.clone(), tch::Kind::Float), "type {code:#04x}");
        assert_eq!(set.scale, scale, "type {code:#04x}");
        assert_eq!(dataset(reading(&idx(code, &[2, 1, 2], &payload), &labels).param("scale", 7.5)).scale, 7.5);
        let numbers = gzip(&idx(code, &[2], &payload[..2 * payload.len() / 4]));
        let images = idx(0x08, &[2, 1, 1], &[1, 2]);
        let stage = reading(&images, &numbers).param("label_offset", -3);
        match code {
            0x0D | 0x0E => assert!(message(stage.run()).contains("whole numbers")),
            _ => assert_eq!(Vec::<i64>::try_from(dataset(stage).labels).unwrap(), [0, 3], "type {code:#04x}"),
        }
    }
    let infinite = idx(0x0E, &[2, 1, 1], &[1.0f64.to_be_bytes(), 1e300f64.to_be_bytes()].concat());
    assert!(message(reading(&infinite, &labels).run()).contains("offset 24: a pixel of image 1 is inf"));
}

#[test]
fn four_axes_are_channels_and_transposing_swaps_rows_and_columns() {
    let pixels: Vec<u8> = (0..24).collect();
    let labels = idx(0x08, &[2], &[0, 1]);
    let set = dataset(reading(&idx(0x08, &[2, 3, 1, 4], &pixels), &labels));
    assert_eq!((set.images.size(), set.images.kind()), (vec![2, 3, 1, 4], tch::Kind::Uint8));
    assert_eq!(set.normalisation.mean.len(), 3);
    let set = dataset(reading(&idx(0x08, &[2, 3, 4], &pixels), &labels).param("transpose", true));
    assert_eq!(set.images.size(), [2, 1, 4, 3]);
    assert_eq!(values(&set)[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
}

#[test]
fn the_normalisation_is_given_or_taken_over_or_computed() {
    let images = idx(0x08, &[2, 1, 2], &[0, 51, 102, 255]);
    let labels = idx(0x08, &[2], &[0, 1]);
    let read = || reading(&images, &labels);
    let computed = dataset(read());
    assert_eq!(computed.normalisation.mean, [0.4]);
    assert!((computed.normalisation.std[0] - 0.14f64.sqrt()).abs() < 1e-15, "{:?}", computed.normalisation);

    let other = dataset(reading(&idx(0x08, &[2, 1, 1], &[0, 255]), &labels)).to_file();
    let taken = dataset(read().tensors("normalisation", "train", &other));
    assert_eq!((taken.normalisation.mean, taken.normalisation.std), (vec![0.5], vec![0.5]));

    let given = || read().param("mean", [0.25]).param("std", [2.0]);
    let set = dataset(given().tensors("normalisation", "train", &other));
    assert_eq!((set.normalisation.mean, set.normalisation.std), (vec![0.25], vec![2.0]));
    let none = dataset(read().param("normalise", "none"));
    assert_eq!((none.normalisation.mean, none.normalisation.std), (vec![0.0], vec![1.0]));

    assert!(message(read().param("mean", [0.25]).run()).contains("go together"));
    assert!(message(read().param("normalise", "given").run()).contains("needs parameters `mean` and `std`"));
    assert_eq!(dataset(given().param("normalise", "given")).normalisation.mean, [0.25]);
    assert!(message(given().param("std", [1.0, 2.0]).run()).contains("1 means and 2 stds"));
    let flat = idx(0x08, &[2, 1, 1], &[9, 9]);
    assert!(message(reading(&flat, &labels).run()).contains("no std to divide by"));
}

#[test]
fn errors_name_the_file_the_place_and_the_way_out() {
    let images = idx(0x08, &[2, 1, 1], &[1, 2]);
    let labels = idx(0x08, &[2], &[3, 12]);
    let cases: [(&[u8], &[u8], &[&str]); 8] = [
        (&labels, &images, &["images.idx: offset 3", "label file", "swapped"]),
        (&images, &images, &["labels.idx: offset 3", "swapped"]),
        (&images, &labels, &["labels.idx: offset 9", "label 12 of image 1", "0 to 9", "label_offset"]),
        (&images, &labels[..9], &["labels.idx: offset 9", "ends early"]),
        (&[&images[..], b"x"].concat(), &labels, &["images.idx: offset 18", "more bytes"]),
        (b"PK\x03\x04", &labels, &["images.idx: not a complete ZIP file", "fetch it again"]),
        (b"<!DOCTYPE html>", &labels, &["images.idx: offset 0", "web page"]),
        (&idx(0x0A, &[1, 1, 1], &[0]), &labels, &["images.idx: offset 2", "0x0a"]),
    ];
    for (images, labels, parts) in cases {
        let text = message(reading(images, labels).run());
        assert!(parts.iter().all(|part| text.contains(part)), "{text:?} lacks one of {parts:?}");
    }
    let three = idx(0x08, &[3], &[1, 2, 3]);
    assert!(message(reading(&images, &three).run()).contains("2 images, but labels.idx 3 labels"));
    let set = dataset(reading(&images, &labels).param("classes", 10).param("label_offset", 3));
    assert_eq!(Vec::<i64>::try_from(set.labels).unwrap(), [0, 9]);
}

#[test]
fn the_origin_depends_on_content_and_parameters_never_on_the_name() {
    let images = idx(0x08, &[2, 1, 1], &[1, 2]);
    let labels = idx(0x08, &[2], &[0, 1]);
    let named = |name: &str| Stage::of("decode.idx").file("images", name, &images[..]).file("labels", "l", &labels[..]);
    assert_eq!(dataset(named("a")).origin, dataset(named("b")).origin);
    assert!(dataset(named("a")).origin.starts_with("IDX file "));
    assert_eq!(dataset(named("a").param("origin", "MNIST")).origin, "MNIST");
}

proptest! {
    /// Whatever the bytes: an answer, no panic, and no more memory than the bytes can stand for (deflate packs at most
    /// 1,032 to one, and buffers grow by doubling).
    #[test]
    fn mutated_files_are_read_or_refused(
        code in 0x07u8..0x10,
        axes in prop::collection::vec(prop_oneof![0u32..5, any::<u32>()], 0..5),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        (packed, whole, as_labels) in any::<(bool, bool, bool)>(),
    ) {
        let mut bytes = idx(code, &axes, &payload);
        if packed {
            bytes = gzip(&bytes);
        }
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let labels = idx(0x08, &[2], &[0, 1]);
        let images = idx(0x08, &[2, 1, 1], &[0, 1]);
        let stage = if as_labels { reading(&images, &bytes) } else { reading(&bytes, &labels) };
        memory::begin();
        let result = stage.run();
        let limit = (64 << 10) + 2 * 1032 * bytes.len();
        prop_assert!(memory::largest() <= limit, "{} bytes at once for a file of {}", memory::largest(), bytes.len());
        if let Err(error) = result {
            let text = format!("{error:#}");
            prop_assert!(text.contains("images.idx") || text.contains("labels.idx") || text.contains("channel"), "{}", text);
        }
    }

    #[test]
    fn sound_files_are_read_back(
        (images, rows, columns) in (1u32..4, 1u32..5, 1u32..5),
        seed in any::<u64>(),
        packed: bool,
    ) {
        let count = images * rows * columns;
        let pixels: Vec<u8> = (0..count).map(|i| (seed >> (i % 56)) as u8 ^ i as u8).collect();
        let labels: Vec<u8> = (0..images).map(|i| i as u8).collect();
        let mut file = idx(0x08, &[images, rows, columns], &pixels);
        if packed {
            file = gzip(&file);
        }
        let set = dataset(reading(&file, &idx(0x08, &[images], &labels)).param("normalise", "none"));
        prop_assert_eq!(values(&set), pixels.iter().map(|&pixel| f64::from(pixel)).collect::<Vec<_>>());
        prop_assert_eq!(set.images.size(), [images, 1, rows, columns].map(i64::from));
    }
}
