//! What a data set of images costs while it is read: little more than its pixels, in the worker as the engine runs it.
use crate::fixture::Worker;
use ddpipe_interface::protocol::*;
use ddpipe_interface::{ArtifactType, Declaration, Value};
use ddpipe_stages::registry;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

const SIDE: u32 = 256;
const IMAGES: usize = 500;

/// A ZIP file of MHIST's layout whose files are as large as their pixels, and its table.
fn data_set(images: usize) -> (Vec<u8>, String) {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::NoCompression);
    let pixels: Vec<u8> = (0..3 * SIDE * SIDE).map(|index| (index % 251) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    let picture = file.into_inner();
    assert!(picture.len() >= pixels.len());
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut table =
        "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition\n".to_string();
    for index in 0..images {
        let partition = if index % 3 == 0 { "test" } else { "train" };
        writeln!(table, "{index}.png,HP,0,{partition}").unwrap();
        zip.start_file(format!("images/{index}.png"), stored).unwrap();
        zip.write_all(&picture).unwrap();
    }
    (zip.finish().unwrap().into_inner(), table)
}

/// The peak memory of splitting so many images.
fn peak(worker: &mut Worker, images: usize) -> u64 {
    let (zip, table) = data_set(images);
    let declaration = Declaration::parse(registry::find("split.mhist").unwrap().declaration).unwrap();
    let mut job = worker.job("split.mhist");
    job.inputs.insert("annotations".into(), vec![worker.blob(ArtifactType::Files, table.as_bytes())]);
    job.inputs.insert("images".into(), vec![worker.blob(ArtifactType::Files, &zip)]);
    let defaults = declaration.params.iter().filter_map(|(name, param)| Some((name.clone(), param.default.clone()?)));
    job.params = defaults.collect();
    job.params.insert("size".into(), Value::Integer(i64::from(SIDE)));
    job.params.insert("expect".into(), Value::String("none".into()));
    job.outputs = declaration.outputs.iter().map(|(name, output)| (name.clone(), output.artifact)).collect();
    let ended = worker.run(&job);
    let FromWorker::Done { peak_memory, metrics, .. } = &ended.last else { panic!("{:?}", ended.last) };
    assert_eq!(metrics["train_images"] + metrics["test_images"], images as f64);
    peak_memory.unwrap()
}

#[test]
fn splitting_images_takes_less_than_one_and_a_half_times_their_pixels() {
    let mut worker = Worker::start();
    let base = peak(&mut worker, 3);
    let more = peak(&mut worker, IMAGES) - base;
    let pixels = (IMAGES * 3 * (SIDE * SIDE) as usize) as u64;
    assert!(more >= pixels, "{more} bytes more for {pixels} bytes of pixels; the measure is broken");
    assert!(more < pixels * 3 / 2, "{more} bytes more for {pixels} bytes of pixels");
}
