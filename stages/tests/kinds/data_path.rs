//! From drawn digits to a picture of the first synthetic set: the stages that handle data, one after the other.

use crate::host::small::Small;
use crate::host::{Stage, byte_set, bytes, message, tensors};
use ddpipe_stages::artifact::{Dataset, SyntheticSet};
use ddpipe_stages::context::{Artifact, Outputs};
use tch::Tensor;

fn decoding(images: i64) -> Stage {
    let files = Stage::of("sample.digits").param("train", images).param("test", 10).run().unwrap();
    let (images, labels) = (&files.artifacts["train_images"], &files.artifacts["train_labels"]);
    Stage::of("decode.idx").input("images", "images", images).input("labels", "labels", labels)
}

fn train_set() -> Outputs {
    decoding(200).run().unwrap()
}

pub fn small() -> Vec<Small> {
    let white = decoding(40).param("whitening", "zca").param("resize", 8);
    let real = train_set();
    vec![
        Small::of(decoding(60)).begins_anew(),
        Small::of(white).named("whitened").begins_anew(),
        Small::of(start(&real).param("ipc", 2)).named("real images"),
        Small::of(start(&real).param("ipc", 2).param("from", "noise")).named("noise"),
        Small::of(Stage::of("report.grid").input("images", "images", &real.artifacts["dataset"])),
    ]
}

fn start(real: &Outputs) -> Stage {
    Stage::of("init.synthetic").input("real", "train", &real.artifacts["dataset"])
}

fn set(outputs: &Outputs) -> SyntheticSet {
    SyntheticSet::from_file(tensors(outputs, "synthetic")).unwrap()
}

/// Width and height of a PNG file, and its `Source` text.
fn picture(file: &[u8]) -> (u32, u32, Option<String>) {
    let reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let info = reader.info();
    let source = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == "Source");
    (info.width, info.height, source.map(|chunk| chunk.text.clone()))
}

#[test]
fn real_images_of_each_class_start_the_set_none_of_them_twice() {
    let outputs = train_set();
    let real = Dataset::from_file(tensors(&outputs, "dataset")).unwrap();
    let made = set(&start(&outputs).param("ipc", 20).seed(5).run().unwrap());
    assert_eq!((made.images.size(), made.ipc, made.classes), (vec![200, 1, 28, 28], 20, 10));
    assert_eq!(made.normalisation, real.normalisation);
    let labels = Vec::<i64>::try_from(&made.labels).unwrap();
    assert!(labels.is_sorted() && labels[19] == 0 && labels[20] == 1, "{labels:?}");

    // All 20 images of every class are asked for, so each real image has to be there exactly once, in its class.
    let (floats, flat) = (real.floats().flatten(1, -1), made.images.flatten(1, -1));
    let mut found = vec![0; 200];
    for position in 0..200 {
        let same = floats.eq_tensor(&flat.get(position)).all_dim(1, false).nonzero().flatten(0, -1);
        assert_eq!(same.size(), [1], "image {position} is no real image");
        let index = same.int64_value(&[0]);
        assert_eq!(real.labels.int64_value(&[index]), labels[position as usize]);
        found[index as usize] += 1;
    }
    assert!(found.iter().all(|&times| times == 1));

    let few = |seed| set(&start(&outputs).param("ipc", 3).seed(seed).run().unwrap()).images;
    assert!(few(1).equal(&few(1)) && !few(1).equal(&few(2)), "the seed decides");
}

#[test]
fn too_few_real_images_are_an_error_that_names_the_class() {
    let text = message(start(&train_set()).param("ipc", 21).run());
    assert!(text.contains("class 0 has 20 real images, fewer than ipc = 21"), "{text}");
}

#[test]
fn noise_is_standard_normal_and_its_own_for_every_class() {
    let outputs = train_set();
    let made = set(&start(&outputs).param("ipc", 30).param("from", "noise").run().unwrap());
    assert_eq!(made.images.size(), [300, 1, 28, 28]);
    let (std, mean) = made.images.std_mean(true);
    // 235,200 numbers: five standard errors of mean and std.
    assert!(mean.double_value(&[]).abs() < 0.011 && (std.double_value(&[]) - 1.0).abs() < 0.008);
    assert!(!made.images.narrow(0, 0, 30).equal(&made.images.narrow(0, 30, 30)));
}

#[test]
fn pictures_show_one_class_per_row_and_say_where_the_images_come_from() {
    let outputs = train_set();
    let made = start(&outputs).param("ipc", 3).run().unwrap();
    let draw = |artifact: &Artifact| Stage::of("report.grid").input("images", "images", artifact);
    let once = draw(&made.artifacts["synthetic"]).run().unwrap();
    // Three images of 28 pixels at scale 2 and four borders of 2; ten rows.
    assert_eq!(picture(bytes(&once, "picture")), (3 * 58 + 2, 10 * 58 + 2, Some("sample data".into())));
    let again = draw(&made.artifacts["synthetic"]).run().unwrap();
    assert_eq!(bytes(&once, "picture"), bytes(&again, "picture"));

    let two = draw(&made.artifacts["synthetic"]).param("per_class", 2).param("scale", 1).param("border", 0);
    let two = two.run().unwrap();
    assert_eq!(picture(bytes(&two, "picture")), (56, 280, Some("sample data".into())));
    let real = draw(&outputs.artifacts["dataset"]).run().unwrap();
    assert_eq!(picture(bytes(&real, "picture")).0, 10 * 58 + 2);
}

/// The pixels of a drawn synthetic set are those of the real images it holds: normalised, then undone.
#[test]
fn a_drawn_set_has_the_pixels_of_the_files() {
    let outputs = train_set();
    let real = Dataset::from_file(tensors(&outputs, "dataset")).unwrap();
    let made = start(&outputs).param("ipc", 1).run().unwrap();
    let drawn = Stage::of("report.grid").input("images", "images", &made.artifacts["synthetic"]);
    let drawn = drawn.param("scale", 1).param("border", 0).run().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes(&drawn, "picture"))).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let pixels = Tensor::from_slice(&pixels).reshape([10, 784]);
    let raw = real.images.reshape([200, 784]);
    for class in 0..10 {
        let same = raw.eq_tensor(&pixels.get(class)).all_dim(1, false);
        assert_eq!(same.sum(tch::Kind::Int64).int64_value(&[]), 1, "row {class} shows no real image");
    }
}

#[test]
fn classes_with_fewer_images_leave_white_places() {
    let images = Tensor::zeros([3, 1, 2, 2], (tch::Kind::Uint8, tch::Device::Cpu));
    let normalisation = ddpipe_stages::artifact::Normalisation::new(vec![0.0], vec![1.0]);
    let labels = Tensor::from_slice(&[1i64, 1, 0]);
    let set = byte_set(images, labels, 3, normalisation, "");
    let drawn = Stage::of("report.grid").tensors("images", "set", &set.to_file()).param("scale", 1).param("border", 0);
    let drawn = drawn.run().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes(&drawn, "picture"))).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels, [[0, 0, 255, 255], [0, 0, 255, 255], [0; 4], [0; 4], [255; 4], [255; 4]].concat());
}
