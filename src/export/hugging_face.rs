//! Sets of images as the Hub of Hugging Face has them: for each set a Parquet file, and a `README.md` whose head says which files
//! there are. A synthetic set has the numbers that a network is given beside the pictures, which are rounded to 256 shades.

mod columns;
pub(super) mod rows;

use super::sets::{self, Chosen, Found};
use crate::exit::Fault;
use crate::image_set::ImageSet;
use crate::report::Subject;
use crate::results::{write_by, write_whole};
use std::path::Path;

/// A set that was written.
struct Written {
    found: Found,
    images: usize,
    words: String,
}

/// Writes the sets of these nodes into a folder, and gives how many there are.
///
/// # Errors
/// Those of `sets::of`, or a file cannot be written.
pub fn write(subject: &Subject, chosen: Chosen, folder: &Path) -> Result<usize, Fault> {
    let mut written = Vec::new();
    for found in sets::of(subject, chosen)? {
        let mut set = found.open(subject)?;
        let file = folder.join("data").join(&found.name).join("train-00000-of-00001.parquet");
        write_by(&file, |file| columns::write(&mut set, file))?;
        written.push(Written { found, images: set.shape()[0], words: words(&set) });
    }
    write_whole(&folder.join("README.md"), readme(subject, &written).as_bytes())?;
    Ok(written.len())
}

/// What a set has, for people.
fn words(set: &ImageSet) -> String {
    let [_, channels, height, width] = set.shape();
    let mut words = format!("{} classes, {channels} x {height} x {width}", set.classes());
    if !set.is_raw() {
        words.push_str("; `pixels` is what a network is given");
    }
    if set.is_whitened() {
        words.push_str(", whitened, so that there are no pictures");
    }
    if set.about().get("decoder").is_some_and(|decoder| !decoder.is_null()) {
        words.push_str("; stored images hold several: `decode.synthetic` writes them out one by one");
    }
    if set.about()["targets"].as_bool() == Some(true) {
        words.push_str("; `soft_label` is a target of regression");
    }
    words
}

/// The card: what there is, where it comes from, and under which licences.
fn readme(subject: &Subject, sets: &[Written]) -> String {
    let mut text = String::from("---\nconfigs:\n");
    for set in sets {
        let config = serde_json::Value::from(set.found.name.as_str());
        let path = serde_json::Value::from(format!("data/{}/*.parquet", set.found.name));
        text.push_str(&format!("- config_name: {config}\n  data_files:\n  - split: train\n    path: {path}\n"));
    }
    let plain = |text: &str| crate::run_report::escaped(&crate::visible::visible(text).replace('\n', " "));
    text.push_str(&format!("---\n\n# {}\n\n", plain(&subject.pipeline.name)));
    if let Some(about) = &subject.pipeline.about {
        text.push_str(&format!("{}\n\n", plain(about)));
    }
    text.push_str("Made by ddpipe. `image` is for looking, `label` the class; soft labels are in `soft_label`.\n\n");
    for set in sets {
        text.push_str(&format!("- {}: {} images, {}\n", plain(&set.found.title), set.images, set.words));
    }
    let licences = subject.pipeline.sources.values().filter_map(|it| Some((it.name.as_str(), it.licence.as_deref()?)));
    let whole = subject.pipeline.licence.as_deref().map(|licence| ("this set", licence));
    let stated: Vec<(&str, &str)> = whole.into_iter().chain(licences).collect();
    if !stated.is_empty() {
        text.push_str("\nLicences, as the manifest states them:\n\n");
        for (of, licence) in stated {
            text.push_str(&format!("- {}: {}\n", plain(of), plain(licence)));
        }
    }
    text
}
