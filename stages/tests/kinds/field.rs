//! Data as they are in the wild: what other programs, systems and people leave in files, each with the right result. The
//! files are made here and are tiny.

use crate::host::{Stage, message, tensors};
use ddpipe_stages::artifact::{Dataset, SyntheticSet};
use ddpipe_stages::context::Outputs;
use flate2::Compression;
use flate2::write::GzEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::{Cursor, Write};
use tch::Kind;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

type Files = Vec<(String, Vec<u8>)>;

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn picture(shade: u8, format: ImageFormat) -> Vec<u8> {
    encoded(&RgbImage::from_fn(8, 8, |x, y| Rgb([shade, (x * 9) as u8, (y * 9) as u8])).into(), format)
}

fn png(shade: u8) -> Vec<u8> {
    picture(shade, ImageFormat::Png)
}

fn named(name: impl Into<String>, bytes: Vec<u8>) -> (String, Vec<u8>) {
    (name.into(), bytes)
}

/// Two classes of so many pictures.
fn classes(count: u8) -> Files {
    ["a", "b"]
        .iter()
        .flat_map(|class| (0..count).map(move |number| named(format!("{class}/{number}.png"), png(number))))
        .collect()
}

fn zipped(files: &Files) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// `decode.folder` of a ZIP file of class folders.
fn share(files: &Files) -> Stage {
    Stage::of("decode.folder").file("images", "images.zip", zipped(files)).param("split", "share")
}

pub fn set(outputs: &Outputs, name: &str) -> Dataset {
    Dataset::from_file(tensors(outputs, name)).unwrap()
}

pub fn labels(outputs: &Outputs, name: &str) -> Vec<i64> {
    Vec::try_from(set(outputs, name).labels).unwrap()
}

/// What a stage made, and what it said.
pub fn told(stage: Stage) -> (Outputs, String) {
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    (outputs, format!("{:?}", recorder.events()))
}

#[test]
fn names_of_any_encoding_are_classes_of_their_own() {
    // dog, bird and tiger in GBK, two bytes each, as Windows in Chinese writes them, without the mark of UTF-8.
    let mut files = Files::new();
    for class in ["@0", "@1", "@2", "cat"] {
        files.extend((0..3).map(|number| named(format!("{class}/{number}.png"), png(number))));
    }
    let mut bytes = zipped(&files);
    for (name, raw) in [("@0/", b"\xb9\xb7/"), ("@1/", b"\xc4\xf1/"), ("@2/", b"\xbb\xa2/")] {
        for at in 0..bytes.len() - 3 {
            if &bytes[at..at + 3] == name.as_bytes() {
                bytes[at..at + 3].copy_from_slice(raw);
            }
        }
    }
    let stage = Stage::of("decode.folder").file("images", "pics.zip", bytes).param("split", "share");
    let (outputs, said) = told(stage);
    assert_eq!(outputs.metrics["classes"], 4.0);
    assert!(said.contains("9 files, such as") && said.contains("not UTF-8 text; they are kept apart"), "{said}");
}

#[test]
fn separators_of_windows_and_colons_are_read_and_ways_out_are_not() {
    let windows: Files = classes(4).into_iter().map(|(name, bytes)| (name.replace('/', "\\"), bytes)).collect();
    assert_eq!(share(&windows).run().unwrap().metrics["classes"], 2.0);
    let colons: Files = classes(4).into_iter().map(|(name, bytes)| (format!("scan 10:30/{name}"), bytes)).collect();
    assert_eq!(share(&colons).run().unwrap().metrics["classes"], 2.0);
    for name in ["../a/1.png", "C:\\a\\1.png", "c:/a/1.png", "\\\\host\\a\\1.png", "a\\..\\..\\1.png"] {
        let mut files = classes(4);
        files.push(named(name, png(1)));
        let text = message(share(&files).run());
        assert!(text.contains("a name that leads out of the archive"), "{name}: {text}");
    }
}

#[test]
fn what_systems_leave_behind_counts_nowhere() {
    let expected = share(&classes(5)).run().unwrap();
    let mut files = classes(5);
    for name in [
        ".ipynb_checkpoints/0-checkpoint.png",
        "a/.ipynb_checkpoints/0-checkpoint.png",
        "__MACOSX/a/._0.png",
        "a/@eaDir/0.png/thumb.jpg",
        "b/Thumbs.db",
        "desktop.ini",
        ".DS_Store",
    ] {
        files.push(named(name, png(9)));
    }
    let found = share(&files).run().unwrap();
    assert_eq!(found.metrics, expected.metrics);
    assert_eq!(set(&found, "train").images, set(&expected, "train").images);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let found =
        Stage::of("decode.folder").folder("images", "images/", folder.path()).param("split", "share").run().unwrap();
    assert_eq!(found.metrics, expected.metrics);
}

#[test]
fn endings_do_not_decide_what_a_picture_is() {
    let jpeg = || picture(40, ImageFormat::Jpeg);
    let mut files = classes(2);
    for (name, bytes) in
        [("a/x.jfif", jpeg()), ("a/y.JPE", jpeg()), ("b/really_a_png.jpg", png(3)), ("b/no_ending", png(4))]
    {
        files.push(named(name, bytes));
    }
    let outputs = share(&files).run().unwrap();
    assert_eq!(outputs.metrics["train_images"] + outputs.metrics["test_images"], 8.0);
    // What lies behind a picture's end does not matter.
    for (name, mut bytes) in [("a/behind.png", png(5)), ("b/behind.jpg", jpeg())] {
        bytes.extend(b"\xFF\xDAleft by a camera");
        files.push(named(name, bytes));
    }
    let outputs = share(&files).run().unwrap();
    assert_eq!(outputs.metrics["train_images"] + outputs.metrics["test_images"], 10.0);
    // Other pictures are refused: once for all files of an ending.
    files.extend((0..30).map(|number| named(format!("c/{number}.pgm"), b"P5\n1 1\n255\n0".to_vec())));
    let text = message(share(&files).run());
    let wanted = "images.zip: 30 files, such as c/0.pgm, c/1.pgm and c/2.pgm: .pgm: neither PNG nor JPEG; convert it";
    assert!(text.ends_with(wanted), "{text}");
}

#[test]
fn more_than_one_in_a_hundred_files_is_not_passed_over_without_a_word() {
    let mut files = classes(5);
    files.push(named("README.txt", b"about the data".to_vec()));
    files.push(named("a/0.npy", b"not read".to_vec()));
    let text = message(share(&files).run());
    assert!(text.contains("a/0.npy: no pictures, or named by no row; 1 of 11 files would be passed over"), "{text}");
    assert!(text.contains("`max_passed_over` to more than 0.01"), "{text}");
    let (outputs, said) = told(share(&files).param("max_passed_over", 0.1));
    assert_eq!(outputs.metrics["passed_over"], 2.0);
    assert!(said.contains("1 files that are no pictures") && said.contains("a/0.npy"), "{said}");
}

#[test]
fn folders_in_class_folders_count_to_the_class() {
    let mut files = classes(3);
    files.push(named("a/more/deep/1.png", png(1)));
    let (outputs, said) = told(share(&files));
    assert_eq!((outputs.metrics["classes"], outputs.metrics["passed_over"]), (2.0, 0.0));
    assert!(said.contains("1 images lie in folders inside class folders, such as more/"), "{said}");
}

#[test]
fn a_jpeg_without_its_end_marker_is_the_users_choice() {
    let mut files = classes(2);
    for number in 0..3 {
        let jpeg = picture(number, ImageFormat::Jpeg);
        files.push(named(format!("a/{number}.jpg"), jpeg[..jpeg.len() - 2].to_vec()));
    }
    let text = message(share(&files).run());
    assert!(
        text.contains("images.zip: 3 files, a/") && text.contains("jpg: the JPEG file has no end marker"),
        "{text}"
    );
    let (outputs, said) = told(share(&files).param("jpeg_end", "optional"));
    assert_eq!(outputs.metrics["train_images"] + outputs.metrics["test_images"], 7.0);
    assert!(said.contains("3 JPEG files have no end marker"), "{said}");
}

/// A JPEG file with EXIF data that say how the picture is to be turned.
fn held(picture: &DynamicImage, orientation: u8) -> Vec<u8> {
    let mut tiff = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    tiff.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (tiff.len() as u16 + 2).to_be_bytes();
    let jpeg = encoded(picture, ImageFormat::Jpeg);
    [&jpeg[..2], &[0xFF, 0xE1], &length, &tiff, &jpeg[2..]].concat()
}

/// Of a picture whose left half is black and that is to be turned clockwise, the upper half is black.
#[test]
fn pictures_are_turned_as_their_exif_data_say_on_request() {
    let left = RgbImage::from_fn(16, 8, |x, _| Rgb([if x < 8 { 0 } else { 255 }; 3])).into();
    let files: Files =
        ["a/0", "a/1", "b/0", "b/1"].iter().map(|name| named(format!("{name}.jpg"), held(&left, 6))).collect();
    let reading = || share(&files).param("channels", 1).param("normalise", "none");
    let (outputs, said) = told(reading());
    assert!(said.contains("EXIF data of 4 pictures say") && said.contains("turns them"), "{said}");
    let stored = set(&outputs, "train").images;
    assert_eq!(stored.size(), [2, 1, 8, 16]);
    let (outputs, said) = told(reading().param("orientation", "exif"));
    assert!(!said.contains("EXIF"), "{said}");
    let turned = set(&outputs, "train").images;
    assert_eq!(turned.size(), [2, 1, 16, 8]);
    assert!(turned.narrow(2, 0, 8).max().int64_value(&[]) < 9 && turned.narrow(2, 8, 8).min().int64_value(&[]) > 246);
    assert_eq!(turned, stored.rot90(-1, [2, 3]));
}

#[test]
fn pictures_of_twelve_bits_in_sixteen_are_told_and_scaled_on_request() {
    let wide = |top: u16| {
        let picture = image::ImageBuffer::from_fn(8, 8, |x, y| image::Luma([top - (x + 8 * y) as u16]));
        encoded(&DynamicImage::ImageLuma16(picture), ImageFormat::Png)
    };
    let files: Files =
        ["a/0", "a/1", "b/0", "b/1"].iter().map(|name| named(format!("{name}.png"), wide(4095))).collect();
    let reading = || share(&files).param("channels", 1).param("normalise", "none");
    let (outputs, said) = told(reading());
    assert!(
        said.contains("go up to 4095 of 65535, which leaves 16 levels") && said.contains("`white = 4095`"),
        "{said}"
    );
    assert_eq!(i64::try_from(set(&outputs, "train").images.max()).unwrap(), 16);
    let (outputs, said) = told(reading().param("white", 4095));
    assert!(!said.contains("levels"), "{said}");
    assert_eq!(i64::try_from(set(&outputs, "train").images.max()).unwrap(), 255);
    assert_eq!(i64::try_from(set(&outputs, "train").images.min()).unwrap(), (4032 * 255 + 2047) / 4095);
}

#[test]
fn tiny_imagenet_is_read_as_published() {
    let mut files = Files::new();
    let mut table = String::new();
    for (label, class) in ["n01443537", "n01629819", "n01641577"].iter().enumerate() {
        for number in 0..3 {
            files.push(named(
                format!("t/train/{class}/images/{class}_{number}.JPEG"),
                picture(label as u8, ImageFormat::Jpeg),
            ));
        }
        files.push(named(format!("t/train/{class}/{class}_boxes.txt"), b"x\t0\t0\t1\t1\n".to_vec()));
        files.push(named(format!("t/val/images/val_{label}.JPEG"), picture(9, ImageFormat::Jpeg)));
        table.push_str(&format!("val_{label}.JPEG\t{class}\t0\t0\t15\t15\n"));
        files.push(named(format!("t/test/images/test_{label}.JPEG"), picture(9, ImageFormat::Jpeg)));
    }
    files.push(named("t/val/val_annotations.txt", table.clone().into_bytes()));
    files.push(named("t/wnids.txt", b"n01443537\n".to_vec()));
    let reading = |files: &Files| Stage::of("decode.folder").file("images", "tiny-imagenet-200.zip", zipped(files));
    let outputs = reading(&files).param("test", "val").run().unwrap();
    assert_eq!((outputs.metrics["classes"], labels(&outputs, "test")), (3.0, vec![0, 1, 2]));
    assert_eq!(labels(&outputs, "train"), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let text = message(reading(&files).run());
    assert!(text.contains("class \"images\" has no training image") && text.contains("`test = \"val\"`"), "{text}");
    files.push(named("t/val/images/val_9.JPEG", picture(9, ImageFormat::Jpeg)));
    let text = message(reading(&files).param("test", "val").run());
    assert!(text.contains("t/val/images/val_9.JPEG: no row of the table beside it names this picture"), "{text}");
}

#[test]
fn a_table_says_what_pictures_are() {
    let pictures: Files = (0..6).map(|number| named(format!("pics/{number}.png"), png(number * 10))).collect();
    let by = |table: &str| {
        Stage::of("decode.folder").file("images", "pics.zip", zipped(&pictures)).file("labels", "labels.csv", table)
    };
    // Another separator, quotes, other columns, names without an ending, classes that are numbers.
    let table =
        "id;note;\"class\";part\n0;\"a; b\";10;train\n1;;10;test\n2;;9;train\n3;;9;test\n4;;9;train\n5;;10;train\n";
    let stage = by(table).param("name_column", "id").param("label_column", "class").param("split_column", "part");
    let outputs = stage.run().unwrap();
    let train = set(&outputs, "train");
    assert_eq!(
        (train.class_names.clone(), labels(&outputs, "train"), labels(&outputs, "test")),
        (vec!["9".into(), "10".into()], vec![0, 0, 1, 1], vec![0, 1])
    );
    let reds: Vec<i64> =
        Vec::try_from(train.images.select(1, 0).select(1, 0).select(1, 0).to_kind(Kind::Int64)).unwrap();
    assert_eq!(reds, [20, 40, 0, 50]);
    // Without a column of sets a share is drawn.
    let plain = "file,label\npics/0.png,x\n1.png,x\n2.png,y\n3.png,y\n";
    let text = message(by(plain).run());
    assert!(text.contains("no column says which pictures are test images"), "{text}");
    let text = message(by(plain).param("split", "share").run());
    assert!(
        text.contains("2 files, pics/4.png and pics/5.png: no pictures, or named by no row; 2 of 6 files"),
        "{text}"
    );
    let outputs = by(plain).param("split", "share").param("max_passed_over", 0.5).run().unwrap();
    assert_eq!((outputs.metrics["train_images"], outputs.metrics["passed_over"]), (2.0, 2.0));
    for (table, part) in [
        ("name,label\n", "labels.csv:1: there is no column \"file\"; the columns are name, label"),
        (
            "file,label\n7.png,x\n8.png,y\n",
            "labels.csv: 2 files, 7.png (line 2) and 8.png (line 3): there is no such picture in pics.zip",
        ),
        ("file,label\n1.png,x\n1.png,y\n", "1.png (line 3): the picture is listed twice"),
        ("file,label\n1.png,\n", "1.png (line 2): the column \"label\" is empty"),
    ] {
        let text = message(by(table).param("split", "share").run());
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// An IDX file of bytes.
fn idx(axes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, axes.len() as u8];
    axes.iter().for_each(|axis| file.extend(axis.to_be_bytes()));
    file.extend(bytes);
    file
}

fn idx_pair(images: Vec<u8>, labels: Vec<u8>) -> Stage {
    Stage::of("decode.idx").file("images", "images.gz", images).file("labels", "labels.gz", labels).param("classes", 2)
}

#[test]
fn gzip_in_members_and_with_padding_is_read_and_damage_is_told_apart() {
    let (pixels, labels) = (idx(&[4, 1, 2], &[1, 2, 3, 4, 5, 6, 7, 8]), idx(&[4], &[0, 1, 0, 1]));
    let whole = gz(&pixels);
    let read = |images: Vec<u8>| idx_pair(images, gz(&labels)).run();
    let expected = set(&read(whole.clone()).unwrap(), "dataset").images;
    let (first, second) = pixels.split_at(9);
    for images in [[gz(first), gz(second)].concat(), [whole.clone(), vec![0; 600]].concat()] {
        assert_eq!(set(&read(images).unwrap(), "dataset").images, expected);
    }
    let text = message(read([whole.clone(), b"signature of a mirror\n".to_vec()].concat()));
    assert!(text.contains("22 bytes that are not gzip follow the end of what was packed"), "{text}");
    assert!(message(read(whole[..whole.len() - 9].to_vec())).contains("incomplete"));
}

#[test]
fn emnist_and_qmnist_are_read_as_published() {
    let pixels = idx(&[3, 1, 2], &[1, 2, 3, 4, 5, 6]);
    let archive = zipped(&vec![
        named("gzip/letters-images.gz", gz(&pixels)),
        named("gzip/letters-labels.gz", gz(&idx(&[3], &[1, 2, 1]))),
    ]);
    let stage = || {
        let stage = Stage::of("decode.idx").file("images", "gzip.zip", archive.clone()).file(
            "labels",
            "gzip.zip",
            archive.clone(),
        );
        stage.param("classes", 2).param("label_offset", 1)
    };
    let outputs = stage()
        .param("image_file", "gzip/letters-images.gz")
        .param("label_file", "gzip/letters-labels.gz")
        .run()
        .unwrap();
    assert_eq!(labels(&outputs, "dataset"), [0, 1, 0]);
    let text = message(stage().run());
    assert!(
        text.contains("gzip.zip: a ZIP file; `image_file` says which of its files: gzip/letters-images.gz"),
        "{text}"
    );
    assert!(message(stage().param("image_file", "x").run()).contains("no file \"x\""));
    // Rows of three numbers, of which the second is the label.
    let rows = || idx_pair(gz(&pixels), gz(&idx(&[3, 3], &[9, 0, 9, 9, 1, 9, 9, 1, 9])));
    assert_eq!(labels(&rows().param("label_column", 1).run().unwrap(), "dataset"), [0, 1, 1]);
    assert!(message(rows().run()).contains("3 numbers per image; `label_column` says which"));
    assert!(message(rows().param("label_column", 3).run()).contains("no column 3"));
}

#[test]
fn a_class_without_images_is_told_and_does_not_lower_f1() {
    let pixels: Vec<u8> = (0..12).flat_map(|number| if number % 2 == 0 { [255, 0] } else { [0, 255] }).collect();
    let marks: Vec<u8> = (0..12).map(|number| 1 + number % 2).collect();
    let stage = idx_pair(idx(&[12, 1, 2], &pixels), idx(&[12], &marks)).param("classes", 3);
    let (outputs, said) = told(stage);
    assert!(
        said.contains("class 0 has no image; labels that are numbered from 1") && said.contains("label_offset"),
        "{said}"
    );
    let data = tensors(&outputs, "dataset");
    let trained = Stage::of("train.classifier").tensors("train", "set", data).tensors("test", "set", data);
    let trained = trained.param("arch", "mlp").param("epochs", 30).param("batch_size", 4).param("lr", 0.05);
    let metrics = trained.run().unwrap().metrics;
    assert_eq!((metrics["accuracy"], metrics["macro_f1"]), (1.0, 1.0));
    let text = message(Stage::of("init.synthetic").tensors("real", "set", data).param("ipc", 1).run());
    assert!(text.contains("class 0 has no real image"), "{text}");
}

#[test]
fn small_classes_are_repeated_or_smaller_on_request() {
    let marks: Vec<u8> = (0..11).map(|number| u8::from(number > 7)).collect();
    let pixels: Vec<u8> = (0..22).collect();
    let outputs = idx_pair(idx(&[11, 1, 2], &pixels), idx(&[11], &marks)).param("normalise", "none").run().unwrap();
    let start =
        |ipc: i64| Stage::of("init.synthetic").tensors("real", "set", tensors(&outputs, "dataset")).param("ipc", ipc);
    let text = message(start(5).run());
    assert!(
        text.contains("class 1 has 3 real images, fewer than ipc = 5") && text.contains("short = \"repeat\""),
        "{text}"
    );
    let (made, said) = told(start(5).param("short", "repeat"));
    assert!(said.contains("1 classes have repeated images, among them class 1 (3)"), "{said}");
    let images = SyntheticSet::from_file(tensors(&made, "synthetic")).unwrap().images;
    let mut rare: Vec<f32> = Vec::try_from(images.narrow(0, 5, 5).select(3, 0).flatten(0, -1)).unwrap();
    rare.sort_by(f32::total_cmp);
    let counts: Vec<usize> = [16.0f32, 18.0, 20.0]
        .iter()
        .map(|pixel| rare.iter().filter(|found| **found == pixel / 255.0).count())
        .collect();
    assert!(counts.iter().all(|count| (1..=2).contains(count)) && counts.iter().sum::<usize>() == 5, "{counts:?}");
    // Where there are enough, the draw is the same as without it.
    let (with, without) = (start(3).param("short", "repeat").run().unwrap(), start(3).run().unwrap());
    assert_eq!(tensors(&with, "synthetic").to_bytes().unwrap(), tensors(&without, "synthetic").to_bytes().unwrap());
    let (made, said) = told(start(5).param("short", "fewer"));
    assert!(said.contains("1 classes have fewer images, among them class 1 (3)"), "{said}");
    let fewer = SyntheticSet::from_file(tensors(&made, "synthetic")).unwrap();
    assert_eq!(Vec::<i64>::try_from(&fewer.labels).unwrap(), [0, 0, 0, 0, 0, 1, 1, 1]);
    let first: Vec<f32> = Vec::try_from(fewer.images.narrow(0, 5, 3).select(3, 0).flatten(0, -1)).unwrap();
    let mut found: Vec<u8> = first.iter().map(|pixel| (pixel * 255.0).round() as u8).collect();
    found.sort_unstable();
    assert_eq!(found, [16, 18, 20], "all that the class has");

    // Methods by class take such a set, each class with its own number of images.
    let on = |kind: &str| {
        Stage::of(kind).tensors("real", "set", tensors(&outputs, "dataset")).tensors(
            "start",
            "start",
            tensors(&made, "synthetic"),
        )
    };
    for kind in ["distill.dm", "distill.dc", "distill.dsa"] {
        let stage = on(kind).param("arch", "mlp");
        let stage = match kind {
            "distill.dm" => stage.param("networks", 2).param("augment", "none"),
            _ => stage.param("iterations", 2).param("outer_loop", 2).param("inner_loop", 1),
        };
        let stage = if kind == "distill.dsa" { stage.param("strategy", "color") } else { stage };
        let learnt = SyntheticSet::from_file(tensors(&stage.run().unwrap(), "synthetic")).unwrap();
        assert_eq!(learnt.labels, fewer.labels, "{kind}");
        let moved = (learnt.images - &fewer.images).abs().amax([1, 2, 3], false);
        let (least, most) =
            (moved.narrow(0, 0, 5).min().double_value(&[]), moved.narrow(0, 5, 3).max().double_value(&[]));
        assert!(least > 0.0 && most.is_finite(), "{kind}: {least} {most}");
        // Class 1 is all of its real images already: their means agree, and nothing pulls it.
        assert!(kind != "distill.dm" || least > 10.0 * most, "{least} {most}");
    }
    let text = message(on("distill.idc").param("factor", 1).param("arch", "mlp").run());
    assert!(text.contains("fewer than 5 images of some classes") && text.contains("short = \"repeat\""), "{text}");
    let grid = Stage::of("report.grid").tensors("images", "set", tensors(&made, "synthetic")).run().unwrap();
    assert!(!crate::host::bytes(&grid, "picture").is_empty());
}
