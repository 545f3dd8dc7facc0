//! `decode.folder` on folders and ZIP files: classes, sets, sizes, colours, and every damage as an error that names the
//! file.

use crate::host::small::Small;
use crate::host::{Stage, bytes, message, tensors};
use ddpipe_stages::artifact::{Dataset, SyntheticSet};
use ddpipe_stages::context::Outputs;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::{Cursor, Write};
use std::path::Path;
use tch::{Kind, Tensor};
use tempfile::TempDir;

fn picture(width: u32, height: u32, shade: u8) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([shade, (x * 9) as u8, (y * 9) as u8])).into()
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn png(shade: u8) -> Vec<u8> {
    encoded(&picture(8, 8, shade), ImageFormat::Png)
}

fn jpeg(shade: u8) -> Vec<u8> {
    encoded(&picture(8, 8, shade), ImageFormat::Jpeg)
}

type Files = Vec<(&'static str, Vec<u8>)>;

/// Two classes in two sets.
fn sound() -> Files {
    vec![
        ("train/cat/2.png", png(20)),
        ("train/cat/1.jpg", jpeg(10)),
        ("train/dog/1.PNG", png(40)),
        ("test/cat/1.jpeg", jpeg(60)),
        ("test/dog/9.png", png(80)),
    ]
}

fn folder(files: &Files) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn reading(path: &Path) -> Stage {
    Stage::of("decode.folder").folder("images", "images/", path)
}

fn zipped(files: &Files, above: &str) -> Stage {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(format!("{above}{name}"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    Stage::of("decode.folder").file("images", "images.zip", zip.finish().unwrap().into_inner())
}

pub fn small() -> Vec<Small> {
    vec![Small::of(zipped(&sound(), "")).begins_anew()]
}

fn set(outputs: &Outputs, partition: &str) -> Dataset {
    Dataset::from_file(tensors(outputs, partition)).unwrap()
}

fn labels(set: &Dataset) -> Vec<i64> {
    Vec::try_from(&set.labels).unwrap()
}

/// The first channel's first pixel of each image, which the shade decides.
fn shades(set: &Dataset) -> Vec<i64> {
    Vec::try_from(set.images.select(1, 0).select(1, 0).select(1, 0).to_kind(Kind::Int64)).unwrap()
}

#[test]
fn classes_are_sorted_and_sets_are_folders() {
    let folder = folder(&sound());
    let outputs = reading(folder.path()).run().unwrap();
    let (train, test) = (set(&outputs, "train"), set(&outputs, "test"));
    assert_eq!((train.classes, labels(&train), labels(&test)), (2, vec![0, 0, 1], vec![0, 1]));
    assert_eq!((train.images.kind(), train.images.size()), (Kind::Uint8, vec![3, 3, 8, 8]));
    for (found, expected) in shades(&train).into_iter().chain(shades(&test)).zip([10, 20, 40, 60, 80]) {
        assert!((found - expected).abs() <= 6, "{found}, where {expected} was drawn; JPEG keeps it roughly");
    }
    assert_eq!(shades(&train)[1..], [20, 40], "PNG keeps it exactly");
    assert_eq!(train.normalisation, test.normalisation);
    let pixels = train.images.select(1, 2).to_kind(Kind::Double) / 255.0;
    assert!((train.normalisation.mean[2] - pixels.mean(None).double_value(&[])).abs() < 1e-12);
    assert!(train.origin.starts_with("folder "), "{}", train.origin);
    // Green runs with the columns, blue with the rows: nothing is transposed.
    let image = train.images.get(1).to_kind(Kind::Int64);
    assert_eq!([image.int64_value(&[1, 0, 5]), image.int64_value(&[2, 5, 0])], [45, 45]);
}

#[test]
fn the_names_of_the_classes_go_with_the_images() {
    let outputs = zipped(&sound(), "").run().unwrap();
    let train = tensors(&outputs, "train");
    assert_eq!(Dataset::from_file(train).unwrap().class_names, ["cat", "dog"]);
    let start = Stage::of("init.synthetic").tensors("real", "train", train).param("ipc", 1).run().unwrap();
    let start = tensors(&start, "synthetic");
    assert_eq!(SyntheticSet::from_file(start).unwrap().class_names, ["cat", "dog"]);
    let drawn = Stage::of("report.grid").tensors("images", "set", start).run().unwrap();
    // One image of 8 pixels at twice its size between borders, and three letters before it.
    let width = u32::from_be_bytes(bytes(&drawn, "picture")[16..20].try_into().unwrap());
    assert_eq!(width, 8 * 2 + 2 * 2 + 3 * 8 + 2 * 4);
}

#[test]
fn a_zip_file_of_the_folder_gives_the_same_sets_whatever_lies_above() {
    let folder = folder(&sound());
    let expected = set(&reading(folder.path()).run().unwrap(), "train");
    for above in ["", "leaves/v1/"] {
        let train = set(&zipped(&sound(), above).run().unwrap(), "train");
        assert_eq!((&train.images, &train.labels), (&expected.images, &expected.labels), "{above}");
    }
}

#[test]
fn a_share_of_each_class_is_drawn_by_its_own_seed() {
    let many: Files = (0..40)
        .map(|index| {
            let name = format!("{}/{index:02}.png", if index % 4 == 0 { "rare" } else { "common" });
            (name.leak() as &'static str, png(index * 6))
        })
        .collect();
    let folder = folder(&many);
    let read = |seed: u64, split_seed: u64| {
        let stage = reading(folder.path()).seed(seed).param("split", "share").param("split_seed", split_seed);
        let outputs = stage.param("test_share", 0.3).run().unwrap();
        (set(&outputs, "train"), set(&outputs, "test"))
    };
    let (train, test) = read(0, 0);
    let count = |set: &Dataset, class: i64| labels(set).iter().filter(|&&label| label == class).count();
    assert_eq!([count(&train, 0), count(&test, 0), count(&train, 1), count(&test, 1)], [21, 9, 7, 3]);
    let mut all = [shades(&train), shades(&test)].concat();
    all.sort();
    assert_eq!(all, (0..40).map(|index| index * 6).collect::<Vec<i64>>(), "every image is in one set");
    assert_eq!(shades(&read(5, 0).1), shades(&test), "the pipeline's seed does not matter");
    assert_ne!(shades(&read(0, 1).1), shades(&test));
}

#[test]
fn sizes_agree_or_are_made_to() {
    let mut files = sound();
    files[1].1 = encoded(&picture(12, 8, 10), ImageFormat::Jpeg);
    files[4].1 = encoded(&picture(8, 4, 10), ImageFormat::Png);
    let folder = folder(&files);
    let text = message(reading(folder.path()).run());
    for part in
        ["2 files, train/cat/1.jpg (12 x 8) and test/dog/9.png (8 x 4): another size than most, 8 x 8", "`resize`"]
    {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    let outputs = reading(folder.path()).param("resize", 6).run().unwrap();
    let train = set(&outputs, "train");
    assert_eq!(train.images.size(), [3, 3, 6, 6]);
    let before = set(&zipped(&sound(), "").run().unwrap(), "train").images.narrow(0, 1, 1);
    let resized = ddpipe_stages::data::resize::resize(&before, [6, 6]).unwrap();
    assert_eq!(train.images.narrow(0, 1, 1), resized);
}

#[test]
fn colours_and_grey_turn_into_each_other() {
    let mut files = sound();
    files[2].1 = encoded(&DynamicImage::from(image::GrayImage::from_pixel(8, 8, image::Luma([77]))), ImageFormat::Png);
    files[0].1 = encoded(&picture(8, 8, 20).into_rgba8().into(), ImageFormat::Png);
    let train = set(&zipped(&files, "").run().unwrap(), "train");
    assert_eq!(train.images.get(2), Tensor::full([3, 8, 8], 77, (Kind::Uint8, tch::Device::Cpu)));
    assert_eq!(shades(&train)[1], 20, "transparency is dropped");

    let train = set(&zipped(&sound(), "").param("channels", 1).run().unwrap(), "train");
    assert_eq!(train.image_shape(), [1, 8, 8]);
    // At column 2 of row 3, as Pillow rounds it: 0.299 * 20 + 0.587 * 18 + 0.114 * 27
    assert_eq!(train.images.get(1).to_kind(Kind::Int64).int64_value(&[0, 3, 2]), 20);
    assert!(message(zipped(&sound(), "").param("channels", 2).run()).contains("`channels` is 1"));
}

#[test]
fn everything_that_is_wrong_comes_in_one_error() {
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 40].to_vec();
    let mut flipped = png(3);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    let mut files = sound();
    files.extend([
        ("train/cat/cut.jpg", cut(jpeg(1))),
        ("train/cat/cut.png", cut(png(2))),
        ("train/dog/flipped.png", flipped),
        ("train/dog/empty.png", Vec::new()),
        ("train/dog/text.jpg", b"no picture".to_vec()),
        ("train/dog/other.tiff", b"II*".to_vec()),
        ("train/1.png", png(5)),
        ("test/bird/1.png", png(6)),
        ("train/dog/notes.txt", b"passed over".to_vec()),
        ("train/dog/.hidden.png", b"passed over".to_vec()),
    ]);
    let parts = [
        "9 problems",
        "images/: 3 files, train/cat/cut.jpg, train/cat/cut.png and train/dog/flipped.png: the picture is damaged or cut off",
        "train/dog/empty.png: the file is empty",
        "train/dog/text.jpg: neither a PNG nor a JPEG",
        "train/dog/other.tiff: .tiff: neither PNG nor JPEG; convert it",
        "images/: train/1.png: not in a folder train or test/<class>/<image>",
        "class \"bird\" has no training image",
    ];
    let folder = folder(&files);
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("train/dog/link.png")).unwrap();
    let text = message(reading(folder.path()).run());
    let link =
        ["images/: train/dog/link.png: a link that leads to no file of this folder; such links are not followed"];
    for part in parts.into_iter().chain(link) {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    assert!(!text.contains("notes") && !text.contains("hidden"), "{text}");
}

#[test]
fn other_layouts_are_told_with_the_way_out() {
    let flat: Files = vec![("cat/1.png", png(1)), ("cat/2.png", png(2)), ("dog/1.png", png(3)), ("dog/2.png", png(4))];
    let text = message(zipped(&flat, "").run());
    assert!(text.contains("cat/1.png, cat/2.png and dog/1.png: not in a folder"), "{text}");
    assert!(text.contains("`split = \"share\"`"), "{text}");
    let text = message(zipped(&sound(), "").param("split", "share").run());
    assert!(text.contains("`split = \"folders\"`"), "{text}");
    assert!(message(zipped(&flat[..2].to_vec(), "").param("split", "share").run()).contains("only \"cat\""));
    assert!(message(zipped(&vec![], "").run()).contains("two or more class folders"));

    let mut more = sound();
    more.push(("val/cat/1.png", png(9)));
    let stage = zipped(&more, "");
    let recorder = stage.recorder();
    assert_eq!(set(&stage.run().unwrap(), "test").len(), 2);
    let warned = format!("{:?}", recorder.events());
    assert!(warned.contains("1 images in val/") && warned.contains("classes, from 0: cat, dog"), "{warned}");
    let outputs = zipped(&more, "").param("test", "val").run().unwrap();
    assert_eq!(labels(&set(&outputs, "test")), [0]);
}

#[test]
fn another_sets_normalisation_and_given_numbers_are_taken_over() {
    let first = zipped(&sound(), "").param("mean", [0.1, 0.2, 0.3]).param("std", [1.0, 2.0, 3.0]).run().unwrap();
    let second = zipped(&sound(), "").tensors("normalisation", "first", tensors(&first, "train")).run().unwrap();
    assert_eq!(set(&second, "test").normalisation.std, [1.0, 2.0, 3.0]);
    assert_eq!(
        set(&zipped(&sound(), "").param("normalise", "none").run().unwrap(), "test").normalisation.mean,
        [0.0; 3]
    );
    assert!(
        message(zipped(&sound(), "").param("normalise", "given").run()).contains("needs parameters `mean` and `std`")
    );
}

#[test]
fn sample_tissue_in_class_folders_is_read_and_called_sample_data() {
    let stage = Stage::of("sample.polyps").param("train", 12).param("test", 6).param("size", 16);
    let files = stage.param("folders", "classes").run().unwrap();
    let names: Vec<String> = {
        let zip = zip::ZipArchive::new(Cursor::new(bytes(&files, "images"))).unwrap();
        zip.file_names().map(|name| name.unwrap().into_owned()).collect()
    };
    assert!(names.iter().any(|name| name.starts_with("train/SSA/sample_")), "{names:?}");
    let outputs = Stage::of("decode.folder").input("images", "images.zip", &files.artifacts["images"]).run().unwrap();
    let (train, test) = (set(&outputs, "train"), set(&outputs, "test"));
    assert_eq!((train.len(), test.len(), train.classes, train.origin.as_str()), (12, 6, 2, "sample data"));

    // The same pictures as by the table.
    let split = Stage::of("split.mhist")
        .input("annotations", "annotations.csv", &files.artifacts["annotations"])
        .input("images", "images.zip", &files.artifacts["images"])
        .param("size", 16)
        .param("expect", "none");
    let split = set(&split.run().unwrap(), "train");
    let sums = |set: &Dataset| {
        let mut sums =
            Vec::<i64>::try_from(set.images.flatten(1, -1).sum_dim_intlist([1i64].as_slice(), false, Kind::Int64));
        sums.as_mut().unwrap().sort();
        sums.unwrap()
    };
    assert_eq!(sums(&split), sums(&train));
    let mean = (split.normalisation.mean[0] - train.normalisation.mean[0]).abs();
    assert!(mean < 1e-12, "{mean}");
}

#[test]
fn a_whitening_is_the_training_sets_and_another_set_hands_on_its_own() {
    let there = folder(&sound());
    let white = || reading(there.path()).param("whitening", "zca").param("normalise", "none").param("resize", 4);
    let made = white().run().unwrap();
    let (train, test) = (set(&made, "train"), set(&made, "test"));
    assert!(train.normalisation.whitening.is_some());
    let raw = test.images.to_kind(Kind::Float) / 255.0;
    let back = test.normalisation.undo(&test.floats());
    assert!((back - raw).abs().max().double_value(&[]) < 1e-4);
    assert!(train.floats().mean(Kind::Double).double_value(&[]).abs() < 1e-4, "whitened training images have mean 0");

    let taken = reading(there.path()).param("resize", 4).tensors("normalisation", "train", tensors(&made, "train"));
    assert!(set(&taken.run().unwrap(), "test").floats().equal(&test.floats()));
    let plain = reading(there.path()).param("resize", 4).run().unwrap();
    let text = message(white().tensors("normalisation", "train", tensors(&plain, "train")).run());
    assert!(text.contains("whiten that data set"), "{text}");
}
