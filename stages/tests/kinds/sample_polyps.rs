//! The sample tissue: repeatable, in MHIST's layout, marked as what it is, and readable by `split.mhist`.

use crate::host::small::Small;
use crate::host::{self, Stage, bytes, message, tensors, text};
use ddpipe_stages::artifact::Dataset;
use ddpipe_stages::context::Outputs;

fn drawing(seed: u64, train: i64, test: i64, size: i64) -> Stage {
    Stage::of("sample.polyps").seed(seed).param("train", train).param("test", test).param("size", size)
}

fn polyps(seed: u64, train: i64, test: i64, size: i64) -> Outputs {
    drawing(seed, train, test, size).run().unwrap()
}

pub fn small() -> Vec<Small> {
    vec![Small::of(drawing(3, 6, 4, 24)).begins_anew()]
}

fn splitting(files: &Outputs, size: i64) -> Stage {
    Stage::of("split.mhist")
        .input("annotations", "annotations.csv", &files.artifacts["annotations"])
        .input("images", "images.zip", &files.artifacts["images"])
        .param("size", size)
        .param("expect", "none")
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let once = polyps(3, 9, 5, 48);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| polyps(3, 9, 5, 48));
    let other = polyps(4, 9, 5, 48);
    for output in ["annotations", "images"] {
        assert_eq!(bytes(&once, output), bytes(&alone, output), "{output}");
        assert_ne!(bytes(&once, output), bytes(&other, output), "{output} does not depend on the seed");
    }
}

#[test]
fn the_layout_is_that_of_mhist() {
    let files = polyps(0, 29, 19, 32);
    let table = text(&files, "annotations");
    let mut lines = table.lines();
    let header = "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition";
    assert_eq!(lines.next(), Some(header));
    let count = |what: &str, partition: &str| {
        let ends = format!(",{partition}");
        table.lines().filter(|line| line.contains(what) && line.ends_with(&ends)).count()
    };
    assert_eq!([count(",SSA,", "train"), count(",HP,", "train")], [8, 21]);
    assert_eq!([count(",SSA,", "test"), count(",HP,", "test")], [7, 12]);
    let zip = zip::ZipArchive::new(std::io::Cursor::new(bytes(&files, "images"))).unwrap();
    assert_eq!(zip.len(), 48);
    assert_eq!(zip.comment(), b"ddpipe sample data, not MHIST");
    for line in lines {
        let name = format!("images/{}", line.split(',').next().unwrap());
        assert!(zip.index_for_name(&name).is_some(), "{name}");
        assert!(!name.contains("MHIST"), "{name}");
    }
}

#[test]
fn the_reader_takes_them_and_calls_them_sample_data() {
    let files = polyps(1, 24, 12, 32);
    let stage = splitting(&files, 32);
    let recorder = stage.recorder();
    let split = stage.run().unwrap();
    for (partition, images, ssa) in [("train", 24, 7.0), ("test", 12, 4.0)] {
        let set = Dataset::from_file(tensors(&split, partition)).unwrap();
        assert_eq!(set.images.size(), [images, 3, 32, 32], "{partition}");
        assert_eq!(set.origin, "sample data", "{partition}");
        assert_eq!(split.metrics[&format!("{partition}_ssa")], ssa, "{partition}");
        let votes = Vec::<i64>::try_from(set.agreement.unwrap()).unwrap();
        let labels = Vec::<i64>::try_from(set.labels).unwrap();
        assert!(votes.iter().zip(&labels).all(|(&votes, &label)| (votes > 3) == (label == 1)), "{votes:?} {labels:?}");
    }
    assert!(!recorder.events().iter().any(|event| matches!(event, host::Event::Log(..))), "{:?}", recorder.events());
    let refused = message(splitting(&files, 32).param("expect", "mhist").run());
    assert!(refused.contains("7 images of class SSA in partition train, where MHIST has 630"), "{refused}");
    let refused = message(splitting(&files, 64).run());
    assert!(refused.contains("36 files, such as sample_00000.png") && refused.contains("32 x 32 pixels"), "{refused}");
}
