//! `decode.arrays` on what NumPy and MATLAB write: names, types and orders of axes of every sort, SVHN, and damage.

use super::decode_arrays::{npy, npz};
use super::field::{labels, set, told};
use crate::host::small::Small;
use crate::host::{Stage, message};
use ddpipe_stages::context::Outputs;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;
use tch::Kind;

/// A file of arrays with these training images and labels.
fn arrays(images: Vec<u8>, labels: Vec<u8>) -> Stage {
    Stage::of("decode.arrays").file("train", "own.npz", npz(&[("x_train", images), ("y_train", labels)]))
}

fn numbers(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

pub fn small() -> Vec<Small> {
    vec![
        Small::of(arrays(npy("'|u1'", "(8, 3, 4)", &numbers(96)), npy("'|b1'", "(8,)", &[0, 1, 0, 1, 0, 1, 0, 1])))
            .begins_anew(),
    ]
}

#[test]
fn labels_of_every_type_and_form_are_read() {
    let images = || npy("'|u1'", "(4, 2, 3)", &numbers(24));
    let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let whole = |numbers: &[i64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    for (name, labels) in [
        ("bytes", npy("'|u1'", "(4,)", &[0, 1, 0, 1])),
        ("column", npy("'|u1'", "(4, 1)", &[0, 1, 0, 1])),
        ("row", npy("'|u1'", "(1, 4)", &[0, 1, 0, 1])),
        ("bool", npy("'|b1'", "(4,)", &[0, 1, 0, 1])),
        ("int64", npy("'<i8'", "(4,)", &whole(&[0, 1, 0, 1]))),
        ("float", npy("'<f4'", "(4,)", &bytes(&[0.0, 1.0, 0.0, 1.0]))),
        ("one-hot", npy("'|u1'", "(4, 2)", &[1, 0, 0, 1, 1, 0, 0, 1])),
        ("python 2", npy("u'|u1'", "(4L, 1L)", &[0, 1, 0, 1])),
        ("numpy 2", npy("'|u1'", "(np.int64(4),)", &[0, 1, 0, 1])),
    ] {
        let outputs =
            arrays(images(), labels).param("test_share", 0.5).run().unwrap_or_else(|why| panic!("{name}: {why:#}"));
        assert_eq!((labels_of(&outputs), outputs.metrics["classes"]), (vec![0, 1, 0, 1], 2.0), "{name}");
    }
    let text = message(arrays(images(), npy("'<f4'", "(4,)", &bytes(&[0.0, 0.5, 0.0, 1.0]))).run());
    assert!(text.contains("own.npz: y_train: number 1 is 0.5, where whole ones are expected"), "{text}");
    let text = message(arrays(images(), npy("'|u1'", "(4, 2)", &[1, 1, 0, 1, 1, 0, 0, 1])).run());
    assert!(text.contains("2 numbers per image"), "{text}");

    // Those of MedMNIST's layout, too.
    let part = |name: &'static str| {
        [(format!("{name}_images"), images()), (format!("{name}_labels"), npy("'|b1'", "(4,)", &[0, 1, 0, 1]))]
    };
    let all: Vec<(String, Vec<u8>)> = ["train", "val", "test"].into_iter().flat_map(part).collect();
    let all: Vec<(&str, Vec<u8>)> = all.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let outputs = Stage::of("decode.medmnist").file("file", "own.npz", npz(&all)).run().unwrap();
    assert_eq!(labels(&outputs, "train"), [0, 1, 0, 1]);
}

/// The labels of both sets, two of each, in the order of the file.
fn labels_of(outputs: &Outputs) -> Vec<i64> {
    let (train, test) = (labels(outputs, "train"), labels(outputs, "test"));
    let sorted = |mut labels: Vec<i64>| {
        labels.sort();
        labels
    };
    assert_eq!((sorted(train), sorted(test)), (vec![0, 1], vec![0, 1]));
    vec![0, 1, 0, 1]
}

/// The numbers of images of a shape in some order of axes, from the number at an image, row, column and channel.
type Order = fn([usize; 4], &dyn Fn(usize, usize, usize, usize) -> u8) -> Vec<u8>;

#[test]
fn arrays_of_every_order_of_axes_are_the_same_images() {
    let marks = || npy("'|u1'", "(5,)", &[0, 1, 0, 1, 1]);
    // Image, row, column and channel of a number in the order of rows.
    let value =
        |image: usize, row: usize, column: usize, channel: usize| (image * 41 + row * 17 + column * 5 + channel) as u8;
    let made = |order: Order| order([5, 2, 4, 3], &value);
    let nhwc = made(|[n, h, w, c], value| {
        let mut made = Vec::new();
        (0..n)
            .for_each(|i| (0..h).for_each(|y| (0..w).for_each(|x| (0..c).for_each(|k| made.push(value(i, y, x, k))))));
        made
    });
    let nchw = made(|[n, h, w, c], value| {
        let mut made = Vec::new();
        (0..n)
            .for_each(|i| (0..c).for_each(|k| (0..h).for_each(|y| (0..w).for_each(|x| made.push(value(i, y, x, k))))));
        made
    });
    let hwcn = made(|[n, h, w, c], value| {
        let mut made = Vec::new();
        (0..h)
            .for_each(|y| (0..w).for_each(|x| (0..c).for_each(|k| (0..n).for_each(|i| made.push(value(i, y, x, k))))));
        made
    });
    let read = |images: Vec<u8>| set(&arrays(images, marks()).run().unwrap(), "train").images;
    let expected = read(npy("'|u1'", "(5, 2, 4, 3)", &nhwc));
    assert_eq!(expected.size(), [3, 3, 2, 4]);
    assert_eq!(read(npy("'|u1'", "(5, 3, 2, 4)", &nchw)), expected);
    assert_eq!(read(npy("'|u1'", "(2, 4, 3, 5)", &hwcn)), expected);
    let text = message(arrays(npy("'|u1'", "(7, 2, 3)", &numbers(42)), marks()).run());
    assert!(text.contains("[7, 2, 3] numbers, where there are 5 labels"), "{text}");
}

#[test]
fn arrays_have_any_names_and_lie_in_one_file_or_two() {
    let (images, marks) = (|| npy("'|u1'", "(4, 2, 3)", &numbers(24)), || npy("'|u1'", "(4,)", &[0, 1, 0, 1]));
    let own = npz(&[
        ("pixels", images()),
        ("truth", marks()),
        ("pixels2", npy("'|u1'", "(1, 2, 3)", &[9; 6])),
        ("truth2", npy("'|u1'", "(1,)", &[1])),
    ]);
    let stage = || Stage::of("decode.arrays").file("train", "own.npz", own.clone());
    let text = message(stage().run());
    assert!(
        text.contains("own.npz: name the arrays of images and labels") && text.contains("pixels, pixels2, truth"),
        "{text}"
    );
    let outputs = stage().param("train", ["pixels", "truth"]).param("test", ["pixels2", "truth2"]).run().unwrap();
    assert_eq!((labels(&outputs, "train"), labels(&outputs, "test")), (vec![0, 1, 0, 1], vec![1]));
    assert!(
        message(stage().param("train", ["pixels", "class"]).run()).contains("no array \"class\" (parameter `train`)")
    );
    let two = stage().param("train", ["pixels", "truth"]).file(
        "test",
        "test.npz",
        npz(&[("pixels", images()), ("truth", marks())]),
    );
    assert_eq!(labels(&two.run().unwrap(), "test"), [0, 1, 0, 1]);
    // Floats are images as they are; numbers beyond the scale are told.
    let floats: Vec<u8> = (0..24).flat_map(|number| (number as f32 / 24.0).to_le_bytes()).collect();
    let (outputs, said) = told(arrays(npy("'<f4'", "(4, 2, 3)", &floats), marks()).param("test_share", 0.5));
    assert_eq!((set(&outputs, "train").scale, set(&outputs, "train").images.kind()), (1.0, Kind::Float));
    assert!(!said.contains("do not lie in 0 to 1"), "{said}");
    let wide: Vec<u8> = (0..24u16).flat_map(|number| (number * 170).to_le_bytes()).collect();
    let (_, said) = told(arrays(npy("'<u2'", "(4, 2, 3)", &wide), marks()));
    assert!(said.contains("do not lie in 0 to 1; set `scale`"), "{said}");
}

/// A file of MATLAB's version 5 with these arrays of bytes, the first axis the fastest.
fn mat(arrays: &[(&str, &[u32], Vec<u8>)], packed: bool) -> Vec<u8> {
    let element = |kind: u32, bytes: &[u8]| {
        let mut made = [kind.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
        made.extend(bytes);
        made.resize(made.len().next_multiple_of(8), 0);
        made
    };
    let mut file = b"MATLAB 5.0 MAT-file, made by a test".to_vec();
    file.resize(124, b' ');
    file.extend([0, 1, b'I', b'M']);
    for (name, shape, numbers) in arrays {
        let axes: Vec<u8> = shape.iter().flat_map(|axis| axis.to_le_bytes()).collect();
        // Class 9: unsigned bytes. A short name stands in its tag.
        let flags = element(6, &[9, 0, 0, 0, 0, 0, 0, 0]);
        let mut name = [&[1, 0, name.len() as u8, 0][..], name.as_bytes()].concat();
        name.resize(8, 0);
        let inside = [flags, element(5, &axes), name, element(2, numbers)].concat();
        let matrix = element(14, &inside);
        if !packed {
            file.extend(matrix);
            continue;
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&matrix).unwrap();
        let zlib = zlib.finish().unwrap();
        file.extend(15u32.to_le_bytes());
        file.extend((zlib.len() as u32).to_le_bytes());
        file.extend(zlib);
    }
    file
}

#[test]
fn svhn_is_read_as_published() {
    // Rows, columns, channels, images: the row is the fastest.
    let pixels = |images: u32| (0..images * 18).map(|number| number as u8).collect::<Vec<u8>>();
    let file = |images: u32, marks: &[u8], packed| {
        mat(&[("X", &[2, 3, 3, images][..], pixels(images)), ("y", &[images, 1][..], marks.to_vec())], packed)
    };
    let read = |packed: bool| {
        let stage = Stage::of("decode.arrays").file("train", "train_32x32.mat", file(3, &[1, 10, 2], packed));
        stage.file("test", "test_32x32.mat", file(4, &[10, 1, 2, 1], packed)).param("label_of_zero", 10).run().unwrap()
    };
    let outputs = read(true);
    assert_eq!((labels(&outputs, "train"), labels(&outputs, "test")), (vec![1, 0, 2], vec![0, 1, 2, 1]));
    let images = set(&outputs, "train").images;
    assert_eq!(images.size(), [3, 3, 2, 3]);
    // Row 1, column 2, channel 1 of image 2.
    assert_eq!(images.int64_value(&[2, 1, 1, 2]), 1 + 2 * 2 + 6 + 2 * 18);
    assert_eq!(set(&read(false), "train").images, images);
    let refused = |bytes: Vec<u8>| message(Stage::of("decode.arrays").file("train", "x.mat", bytes).run());
    assert!(refused(b"MATLAB 7.3 MAT-file".to_vec()).contains("version 7.3, which is HDF5"));
    let whole = file(3, &[1, 10, 2], true);
    assert!(refused(whole[..whole.len() - 9].to_vec()).contains("the file ends early"));
    assert!(refused(b"MATLAB 5.0".to_vec()).contains("fewer than 128 bytes"));
}

#[test]
fn a_damaged_file_of_matlab_ends_with_words() {
    let whole = mat(&[("X", &[2, 3, 3, 2][..], numbers(36)), ("y", &[2, 1][..], vec![0, 1])], false);
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xFF] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            if let Err(why) = ddpipe_stages::data::mat::read(&bytes, 200) {
                assert!(!why.to_string().is_empty());
            }
        }
        let cut = ddpipe_stages::data::mat::read(&whole[..at], 200);
        assert!(cut.is_err() || cut.is_ok_and(|arrays| arrays.len() < 2), "{at}");
    }
}
