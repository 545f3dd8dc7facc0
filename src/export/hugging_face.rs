//! Sets of images as the Hub of Hugging Face has them: for each set a Parquet file, and a `README.md` whose head says which files
//! there are. A synthetic set has the numbers that a network is given beside the pictures, which are rounded to 256 shades.

mod columns;
mod rows;

use super::name;
use crate::exit::Fault;
use crate::image_set::ImageSet;
use crate::pipeline::{Node, NodeId};
use crate::report::Subject;
use crate::results::{write_by, write_whole};
use ddpipe_interface::ArtifactType;
use std::path::Path;

/// A set that was written.
struct Written {
    node: String,
    config: String,
    images: usize,
    words: String,
}

/// Writes the sets of these nodes into a folder, and gives how many there are. Of all nodes, where none are chosen, those that
/// are synthetic.
///
/// # Errors
/// No node has a set, one has another form than a set of images has, or a file cannot be written.
pub fn write(subject: &Subject, chosen: Option<&dyn Fn(NodeId) -> bool>, folder: &Path) -> Result<usize, Fault> {
    let mut sets = Vec::new();
    for node in &subject.pipeline.nodes {
        if chosen.is_none_or(|chosen| chosen(node.id)) {
            sets.extend(of_node(subject, node, chosen.is_some(), folder)?);
        }
    }
    if sets.is_empty() {
        let what = if chosen.is_some() { "a set of images" } else { "a synthetic set" };
        return Err(Fault::usage(format!(
            "no node has {what} on record\n  `ddpipe plan` says what would run; --select names other nodes"
        )));
    }
    write_whole(&folder.join("README.md"), readme(subject, &sets).as_bytes())?;
    Ok(sets.len())
}

fn of_node(subject: &Subject, node: &Node, with_real: bool, folder: &Path) -> Result<Vec<Written>, Fault> {
    let Some(record) = subject.record(node.id) else { return Ok(Vec::new()) };
    let is_set = |artifact: &str| {
        artifact == ArtifactType::Synthetic.name() || with_real && artifact == ArtifactType::Dataset.name()
    };
    let sets: Vec<_> = record.outputs.iter().filter(|(_, output)| is_set(&output.artifact_type)).collect();
    let mut written = Vec::new();
    for (output, made) in &sets {
        let path = subject.cache.blobs().verify_once(made.digest)?;
        let title = if sets.len() > 1 { format!("{}.{output}", node.address) } else { node.address() };
        let mut set = ImageSet::of(&path)
            .ok_or_else(|| Fault::usage(format!("{title} is not a set of images that can be exported")))?;
        let config = match sets.len() {
            1 => name::of_node(&node.address),
            _ => format!("{}.{}", name::of_node(&node.address), name::plain(output, "-_")),
        };
        let file = folder.join("data").join(&config).join("train-00000-of-00001.parquet");
        write_by(&file, |file| columns::write(&mut set, file))?;
        written.push(Written { node: title, config, images: set.shape()[0], words: words(&set) });
    }
    Ok(written)
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
        let config = serde_json::Value::from(set.config.as_str());
        let path = serde_json::Value::from(format!("data/{}/*.parquet", set.config));
        text.push_str(&format!("- config_name: {config}\n  data_files:\n  - split: train\n    path: {path}\n"));
    }
    let plain = |text: &str| crate::run_report::escaped(&crate::visible::visible(text).replace('\n', " "));
    text.push_str(&format!("---\n\n# {}\n\n", plain(&subject.pipeline.name)));
    if let Some(about) = &subject.pipeline.about {
        text.push_str(&format!("{}\n\n", plain(about)));
    }
    text.push_str("Made by ddpipe. `image` is for looking, `label` the class; soft labels are in `soft_label`.\n\n");
    for set in sets {
        text.push_str(&format!("- {}: {} images, {}\n", plain(&set.node), set.images, set.words));
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
