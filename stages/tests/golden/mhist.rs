//! Golden cases of family `mhist`: a folder of images and a table, good and broken. The images come from a folder
//! here, as from a ZIP file in the stage itself.

use crate::host::{Stage, tensors};
use crate::walker::{self, Case, Report};
use ddpipe_stages::artifact::{Dataset, Normalisation};
use ddpipe_stages::split::mhist::{Images, Problems, Rules, Split, split};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use tch::{Kind, Tensor};

/// The images of a folder.
struct Folder {
    path: PathBuf,
    names: Vec<String>,
}

impl Folder {
    fn of(case: &Case) -> Self {
        let path = case.path.with_file_name("images");
        let entries = std::fs::read_dir(&path).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        Folder { path, names }
    }

    fn zipped(&self) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for name in &self.names {
            zip.start_file(format!("images/{name}"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&std::fs::read(self.path.join(name)).unwrap()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }
}

impl Images for Folder {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&self, position: usize, limit: usize) -> anyhow::Result<Vec<u8>> {
        let bytes = std::fs::read(self.path.join(&self.names[position]))?;
        anyhow::ensure!(bytes.len() <= limit, "too long");
        Ok(bytes)
    }
}

fn read(case: &Case, file: &str, folder: &Folder) -> anyhow::Result<Split> {
    let table = std::fs::read(case.path.with_file_name(file)).unwrap();
    let rules = Rules { annotations: file, images: "images", size: 224, resize: None, mhist: false, min_agreement: 0 };
    split(&table, folder, &rules, Problems::default(), |_, _| Ok(()))
}

#[test]
fn tables_are_split_or_refused() {
    walker::run("mhist", |case, report| {
        let folder = Folder::of(case);
        let sound = read(case, "annotations.csv", &folder).unwrap();
        check_split(case, report, &sound);
        check_values(case, report, &sound);
        check_stage(case, report, &folder);
        for other in case.list("other_csv_files") {
            let (file, expected) = (other["file"].as_str().unwrap(), other["expected"].as_str().unwrap());
            check_other(case, report, file, expected, read(case, file, &folder));
        }
    });
}

fn strings(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

fn check_split(case: &Case, report: &mut Report, split: &Split) {
    for (partition, set) in ["train", "test"].into_iter().zip(&split.sets) {
        let names: Vec<&str> = set.names.iter().map(String::as_str).collect();
        report.equal(case, partition, names.clone(), strings(case.list(partition)));
        let of = |table: &str, name: &str| case.value(table)[name].clone();
        let index = |label: Value| case.value("label_to_index")[label.as_str().unwrap()].as_i64().unwrap();
        let labels: Vec<i64> = names.iter().map(|name| index(of("labels", name))).collect();
        let votes: Vec<i64> = names.iter().map(|name| of("votes", name).as_i64().unwrap()).collect();
        report.equal(case, "labels", Vec::<i64>::try_from(&set.labels).unwrap(), labels.clone());
        report.equal(case, "votes", Vec::<i64>::try_from(&set.votes).unwrap(), votes);
        for class in ["HP", "SSA"] {
            let number = index(Value::from(class));
            let count = labels.iter().filter(|&&label| label == number).count() as f64;
            report.equal(case, class, count, case.number(&format!("/class_counts/{partition}/{class}")));
        }
    }
}

fn check_values(case: &Case, report: &mut Report, split: &Split) {
    let [train, test] = &split.sets;
    let names: Vec<&String> = train.names.iter().chain(&test.names).collect();
    let rows = Tensor::cat(&[&train.images, &test.images], 0);
    // In the table's order again, which is the order of the names.
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&position| names[position]);
    let order = Tensor::from_slice(&order.iter().map(|&position| position as i64).collect::<Vec<_>>());
    let images = rows.index_select(0, &order);
    for (position, image) in case.list("images").iter().enumerate() {
        let planes = images.get(position as i64).to_kind(Kind::Int64);
        let numbers = |what: &Value| what.as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect::<Vec<_>>();
        let pixel = |row, column| Vec::<i64>::try_from(planes.select(1, row).select(1, column)).unwrap();
        let sums = planes.sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Int64);
        report.equal(case, "sums", Vec::<i64>::try_from(sums).unwrap(), numbers(&image["channel_sums"]));
        report.equal(case, "row 0", pixel(0, 0), numbers(&image["pixel_row0_col0"]));
        report.equal(case, "row 100", pixel(100, 37), numbers(&image["pixel_row100_col37"]));
    }
    let scaled = images.to_kind(Kind::Double) / 255.0;
    let over_area = |images: &Tensor| images.mean_dim([2i64, 3].as_slice(), false, Kind::Double);
    report.compare(case, "channel_mean", &over_area(&scaled));
    report.compare(case, "average_pool_7x7", &scaled.avg_pool2d([32, 32], [32, 32], [0, 0], false, true, None));
    let list = |key: &str| case.list(key).iter().map(|number| number.as_f64().unwrap()).collect::<Vec<_>>();
    let given = Normalisation::new(list("/normalisation/mean"), list("/normalisation/std"));
    report.compare(case, "normalised_channel_mean", &over_area(&given.apply(&scaled)));
}

/// The whole stage on the same images as a ZIP file gives the same sets.
fn check_stage(case: &Case, report: &mut Report, folder: &Folder) {
    let table = std::fs::read(case.path.with_file_name("annotations.csv")).unwrap();
    let stage = Stage::of("split.mhist").file("annotations", "annotations.csv", table);
    let outputs = stage.file("images", "images.zip", folder.zipped()).param("expect", "none").run().unwrap();
    let split = read(case, "annotations.csv", folder).unwrap();
    let train = split.sets[0].images.to_kind(Kind::Double) / 255.0;
    let means = Vec::<f64>::try_from(train.mean_dim([0i64, 2, 3].as_slice(), false, Kind::Double)).unwrap();
    for (partition, expected) in ["train", "test"].into_iter().zip(&split.sets) {
        let set = Dataset::from_file(tensors(&outputs, partition)).unwrap();
        report.check(case, "images of the stage", set.images == expected.images);
        report.check(case, "labels of the stage", set.labels == expected.labels);
        report.check(case, "votes of the stage", set.agreement.as_ref() == Some(&expected.votes));
        for (got, &expected) in set.normalisation.mean.iter().zip(&means) {
            report.number(case, "mean over the training set", *got, expected);
        }
    }
}

fn check_other(case: &Case, report: &mut Report, file: &str, expected: &str, result: anyhow::Result<Split>) {
    let what = |found: &str| format!("{file}: expected {expected:?}, found {found}");
    if expected.starts_with("ok") || expected.starts_with("label contradicts") {
        let split = match result {
            Ok(split) => split,
            Err(why) => return report.fail(case, what(&format!("{why:#}"))),
        };
        if expected.starts_with("ok") {
            report.check(case, &what("a warning"), split.contradictions.is_empty());
            check_split(case, report, &split);
        } else {
            let warned = split.contradictions.text();
            report.check(case, &what(&warned), warned.contains(file) && warned.contains("chose SSA"));
        }
        return;
    }
    // The error names the file, and the words that matter in what is expected.
    let words: &[&str] = match expected {
        "error: unknown label" => &["unknown label"],
        "error: unknown partition" => &["unknown partition"],
        "error: partition column missing" => &["\"Partition\" is missing"],
        "error: image listed twice" => &["listed twice", ".png"],
        "error: image file does not exist" => &[".png: the image is not in images"],
        "error: an image name must be a plain file name" => &["plain file name"],
        "error or empty set: no rows" => &["no rows"],
        "error: more than 7 votes" => &["votes for SSA; there are 0 to 7"],
        _ => return report.fail(case, what("an expectation that this test does not know")),
    };
    match result {
        Ok(_) => report.fail(case, what("no error")),
        Err(why) => {
            let text = format!("{why:#}");
            report.check(case, &what(&text), text.contains(file) && words.iter().all(|word| text.contains(word)));
        }
    }
}

/// MHIST itself has no such row, and one error lists this beside the counts that differ.
#[test]
fn contradicting_votes_are_an_error_where_mhist_is_expected() {
    walker::run_where(
        "mhist",
        |case| case.has("other_csv_files"),
        |case, report| {
            for name in case.expected() {
                report.leave(case, &name, "compared in the other test");
            }
            let folder = Folder::of(case);
            let file = "annotations_votes_contradict_label.csv";
            let table = std::fs::read(case.path.with_file_name(file)).unwrap();
            let rules =
                Rules { annotations: file, images: "images", size: 224, resize: None, mhist: true, min_agreement: 0 };
            let text = split(&table, &folder, &rules, Problems::default(), |_, _| Ok(())).unwrap_err().to_string();
            report.check(case, &text, text.contains("chose SSA") && text.contains("where MHIST has 1545"));
        },
    );
}
