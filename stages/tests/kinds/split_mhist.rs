//! What `split.mhist` does with damaged archives and tables, and with its parameters. Every damage is an error that
//! names the file.

use crate::host::small::Small;
use crate::host::{Stage, message, tensors};
use ddpipe_stages::artifact::{Dataset, Folder, TensorFile};
use png::{BitDepth, ColorType};
use std::io::{Cursor, Write};
use tch::Device;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const HEADER: &str = "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition\n";
const TABLE: &str = "img_a.png,HP,0,train\nimg_b.png,SSA,6,train\nimg_c.png,HP,3,test\nimg_d.png,SSA,4,test\n";
const SIZE: u32 = 8;

/// A PNG file of these properties, its bytes all different.
fn png(size: u32, color: ColorType, depth: BitDepth) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size, size);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette((0..=255u8).flat_map(|index| [index; 3]).collect::<Vec<u8>>());
    }
    let bytes = size * size * color.samples() as u32 * (depth as u32) / 8;
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&(0..bytes).map(|index| (index * 37 % 251) as u8).collect::<Vec<u8>>()).unwrap();
    writer.finish().unwrap();
    file
}

fn sound() -> Vec<u8> {
    png(SIZE, ColorType::Rgb, BitDepth::Eight)
}

fn images() -> Vec<(String, Vec<u8>)> {
    ["a", "b", "c", "d"].map(|letter| (format!("images/img_{letter}.png"), sound())).to_vec()
}

fn zip(images: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in images {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn reading(rows: &str, images: Vec<u8>) -> Stage {
    let stage = Stage::of("split.mhist").file("annotations", "annotations.csv", format!("{HEADER}{rows}"));
    stage.file("images", "images.zip", images).param("size", SIZE).param("expect", "none")
}

pub fn small() -> Vec<Small> {
    vec![Small::of(reading(TABLE, zip(&images()))).begins_anew()]
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert_eq!(found, 2, "{from}: once before the file and once in the list");
    bytes
}

/// A sound PNG file whose header announces another size, with the checksum that belongs to it.
fn huge() -> Vec<u8> {
    let mut file = sound();
    file[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    let mut crc = flate2::Crc::new();
    crc.update(&file[12..29]);
    file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    file
}

#[test]
fn every_damage_is_an_error_that_names_the_file() {
    let with = |bytes: Vec<u8>| {
        let mut images = images();
        images[1].1 = bytes;
        zip(&images)
    };
    let renamed = |from: &str, to: &str| replaced(&zip(&images()), from, to);
    let link = {
        let mut zip = ZipWriter::new(Cursor::new(zip(&[])));
        for (name, bytes) in images() {
            if name.contains("_b") {
                zip.add_symlink(name, "/etc/passwd", SimpleFileOptions::default()).unwrap();
            } else {
                zip.start_file(name, SimpleFileOptions::default()).unwrap();
                zip.write_all(&bytes).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    };
    let more = |name: &str| zip(&[images(), vec![(name.to_string(), sound())]].concat());
    let mut flipped = sound();
    let middle = flipped.len() - 20;
    flipped[middle] ^= 1;
    let whole = zip(&images());
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("missing image", zip(&images()[..3]), &["annotations.csv:5: img_d.png", "not in images.zip"]),
        ("extra image", more("images/img_e.png"), &["images.zip: img_e.png", "no row"]),
        ("cut off", with(sound()[..sound().len() - 30].to_vec()), &["img_b.png (annotations.csv:3)", "cut off"]),
        ("flipped bit", with(flipped), &["img_b.png (annotations.csv:3)", "damaged"]),
        ("huge header", with(huge()), &["img_b.png (annotations.csv:3)", "2147483647 x 2147483647"]),
        ("long file", with([sound(), vec![0; 2 << 20]].concat()), &["img_b.png (annotations.csv:3)", "too many"]),
        ("wrong size", with(png(9, ColorType::Rgb, BitDepth::Eight)), &["img_b.png", "9 x 9", "8 x 8", "`size`"]),
        ("palette", with(png(SIZE, ColorType::Indexed, BitDepth::Eight)), &["img_b.png", "a palette image"]),
        ("grey", with(png(SIZE, ColorType::Grayscale, BitDepth::Eight)), &["img_b.png", "a grey image"]),
        ("alpha", with(png(SIZE, ColorType::Rgba, BitDepth::Eight)), &["img_b.png", "RGB with alpha"]),
        ("16 bits", with(png(SIZE, ColorType::Rgb, BitDepth::Sixteen)), &["img_b.png", "16 bits"]),
        ("no PNG", with(b"GIF89a, or so it says".to_vec()), &["img_b.png (annotations.csv:3)", "PNG"]),
        ("empty", with(Vec::new()), &["img_b.png (annotations.csv:3)", "empty"]),
        ("climbs", renamed("images/img_b.png", "im/../mg_b/b.png"), &["images.zip: \"im/../mg_b/b.png\"", "leads out"]),
        ("absolute", renamed("images/img_b.png", "/mages/img_b.png"), &["\"/mages/img_b.png\"", "leads out"]),
        ("link", link, &["images.zip: images/img_b.png", "a link"]),
        ("same name", renamed("images/img_b.png", "images/img_a.png"), &["images.zip: images/img_a.png", "two files"]),
        ("two folders", more("others/img_b.png"), &["images.zip: others/img_b.png", "twice", "images/img_b.png"]),
        ("cut archive", whole[..whole.len() - 40].to_vec(), &["images.zip", "not a ZIP file"]),
        ("no archive", sound(), &["images.zip", "not a ZIP file"]),
    ];
    for (damage, images, parts) in cases {
        let text = message(reading(TABLE, images).run());
        assert!(parts.iter().all(|part| text.contains(part)), "{damage}: {text:?} lacks one of {parts:?}");
    }
}

#[test]
fn everything_that_is_wrong_comes_in_one_error() {
    let rows = "img_a.png,HP,8,train\nimg_b.png,SSX,6,learn\nimg_c.png,HP\nimg_c.png,HP,0,test\n../x.png,HP,0,test\n\
                img_z.png,HP,none,test\n";
    let mut images = images();
    images[0].1 = b"no".to_vec();
    let text = message(reading(rows, zip(&images)).run());
    for part in [
        "9 problems",
        "annotations.csv:2: img_a.png: 8 votes",
        "annotations.csv:3: img_b.png: unknown label \"SSX\"; there are HP and SSA; unknown partition \"learn\"",
        "annotations.csv:4: img_c.png: the row has 2 fields",
        "annotations.csv:5: img_c.png: the image is listed twice, first in line 4",
        "annotations.csv:6: \"../x.png\"",
        "annotations.csv:7: img_z.png: \"none\" is not a number of votes",
        "annotations.csv:7: img_z.png: the image is not in images.zip",
        "images.zip: img_d.png: no row",
        "images.zip: img_a.png (annotations.csv:2): not a readable PNG",
    ] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    let many: String = (0..70).map(|index| format!("img_{index}.png,XX,0,train\n")).collect();
    let text = message(reading(&many, zip(&[])).run());
    assert!(text.contains("140 problems") && text.contains("and 90 more"), "{text}");
    assert!(text.lines().count() < 60, "{text}");
}

#[test]
fn files_that_systems_leave_in_an_archive_are_passed_over() {
    let more = ["__MACOSX/images/._img_a.png", "images/.DS_Store"].map(|name| (name.to_string(), b"x".to_vec()));
    let bytes = zip(&[images(), more.to_vec()].concat());
    assert_eq!(reading(TABLE, bytes).run().unwrap().metrics["train_images"], 2.0);
}

fn set(stage: Stage, partition: &str) -> Dataset {
    Dataset::from_file(tensors(&stage.run().unwrap(), partition)).unwrap()
}

#[test]
fn the_votes_travel_along_and_can_choose_the_images() {
    let read = || reading(TABLE, zip(&images()));
    let votes = |set: &Dataset| Vec::<i64>::try_from(set.agreement.as_ref().unwrap()).unwrap();
    let train = set(read(), "train");
    assert_eq!((votes(&train), Vec::<i64>::try_from(&train.labels).unwrap()), (vec![0, 6], vec![0, 1]));
    let bytes = train.to_file().to_bytes().unwrap();
    let back = Dataset::from_file(&TensorFile::from_bytes(&bytes, Device::Cpu).unwrap()).unwrap();
    assert_eq!(votes(&back), [0, 6]);

    let mut old = train.to_file();
    old.tensors.shift_remove("agreement");
    assert!(Dataset::from_file(&old).unwrap().agreement.is_none(), "a file without votes is a data set too");

    let all = ["train", "test"].map(|partition| set(read().param("min_agreement", 4), partition).len());
    assert_eq!(all, [2, 2]);
    let rows = format!("{TABLE}img_e.png,SSA,7,test\n");
    let images = [images(), vec![("img_e.png".to_string(), sound())]].concat();
    let clear = set(reading(&rows, zip(&images)).param("min_agreement", 5), "test");
    assert_eq!(votes(&clear), [7]);
    assert!(message(read().param("min_agreement", 5).run()).contains("no image of partition test"));
}

#[test]
fn the_training_set_alone_gives_the_normalisation() {
    let read = || reading(TABLE, zip(&images()));
    let (train, test) = (set(read(), "train"), set(read(), "test"));
    assert_eq!(train.normalisation, test.normalisation);
    let pixels = Vec::<f64>::try_from(train.images.select(1, 1).flatten(0, -1).to_kind(tch::Kind::Double)).unwrap();
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64 / 255.0;
    let variance = pixels.iter().map(|pixel| (pixel / 255.0 - mean).powi(2)).sum::<f64>() / pixels.len() as f64;
    let found = (train.normalisation.mean[1], train.normalisation.std[1]);
    assert!((found.0 - mean).abs() < 1e-12 && (found.1 - variance.sqrt()).abs() < 1e-12, "{found:?}");

    let given = set(read().param("mean", [0.5, 0.4, 0.3]).param("std", [1.0, 2.0, 3.0]), "test");
    assert_eq!((given.normalisation.mean, given.normalisation.std), (vec![0.5, 0.4, 0.3], vec![1.0, 2.0, 3.0]));
    assert_eq!(set(read().param("normalise", "none"), "train").normalisation.std, [1.0; 3]);
    assert!(message(read().param("normalise", "given").run()).contains("needs parameters `mean` and `std`"));
    assert!(message(read().param("mean", [0.5]).param("std", [1.0]).run()).contains("one per channel"));
}

/// The images of [`images`], each in the folder its name says.
fn folder(images: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in images {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

fn reading_folder(rows: &str, path: &std::path::Path) -> Stage {
    let stage = Stage::of("split.mhist").file("annotations", "annotations.csv", format!("{HEADER}{rows}"));
    stage.folder("images", "images/", path).param("size", SIZE).param("expect", "none")
}

#[test]
fn a_folder_of_images_is_as_good_as_an_archive() {
    let folder = folder(&[images(), vec![(".DS_Store".to_string(), b"x".to_vec())]].concat());
    let (from_folder, from_zip) =
        (set(reading_folder(TABLE, folder.path()), "train"), set(reading(TABLE, zip(&images())), "train"));
    assert_eq!((&from_folder.images, &from_folder.labels), (&from_zip.images, &from_zip.labels));
    assert!(from_folder.origin.starts_with("folder "), "{}", from_folder.origin);
}

#[test]
fn everything_that_is_wrong_with_a_folder_comes_in_one_error() {
    let mut images = images();
    images[0].1 = b"no".to_vec();
    images[1].1 = [sound(), vec![0; 2 << 20]].concat();
    images[2].0 = "others/img_e.png".into();
    images.push(("others/img_d.png".into(), sound()));
    let folder = folder(&images);
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("img_c.png")).unwrap();
    let text = message(reading_folder(TABLE, folder.path()).run());
    for part in [
        "6 problems",
        "images/: img_c.png: a link that leads to no file of this folder",
        "images/: others/img_d.png: the image is there twice, first as images/img_d.png",
        "annotations.csv:4: img_c.png: the image is not in images/",
        "images/: img_e.png: no row of annotations.csv",
        "images/: img_a.png (annotations.csv:2): not a readable PNG",
        "images/: img_b.png (annotations.csv:3): the file has more than",
    ] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
}

#[test]
fn a_folder_that_changes_is_noticed() {
    let folder = folder(&images());
    let stage = reading_folder(TABLE, folder.path());
    std::fs::write(folder.path().join("images/img_a.png"), sound().repeat(2)).unwrap();
    assert!(message(stage.run()).contains("it has changed since this run began"));
    let digests = ddpipe_cache::folder::walk(folder.path()).unwrap();
    let digest = |path: &std::path::Path| ddpipe_cache::Digest::of_file(path).unwrap().0;
    let listed: Vec<_> =
        digests.iter().map(|found| (found.name.as_str(), found.place.as_ref().ok().map(|path| digest(path)))).collect();
    let opened = Folder::open(folder.path(), ddpipe_cache::folder::digest_of(listed)).unwrap();
    assert!(opened.read(0, 1 << 20).is_ok() && opened.changed().is_none());
    std::fs::write(folder.path().join("images/img_a.png"), sound()).unwrap();
    assert!(opened.read(0, 1 << 20).unwrap_err().to_string().contains("it has changed since this run began"));
    assert!(opened.changed().is_some());
}

#[test]
fn images_are_resized_as_they_are_decoded() {
    let (whole, small) =
        (set(reading(TABLE, zip(&images())), "train"), reading(TABLE, zip(&images())).param("resize", 5));
    let small = set(small, "train");
    assert_eq!(small.images.size(), [2, 3, 5, 5]);
    assert_eq!(small.images, ddpipe_stages::data::resize::resize(&whole.images, [5, 5]).unwrap());
    let mean = small.images.select(1, 0).to_kind(tch::Kind::Double).mean(None).double_value(&[]) / 255.0;
    assert!((small.normalisation.mean[0] - mean).abs() < 1e-12);
}
