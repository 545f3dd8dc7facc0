//! A run as a Workflow Run RO-Crate of the profile Process Run Crate: the manifest and what was laid over it, what each stage
//! read and gave, when, by which software and where, as JSON-LD beside the files that are small enough to come along. Larger
//! outputs and files from outside are named by their digests.

mod action;
mod entity;
mod output;

use crate::command;
use crate::commit;
use crate::exit::Fault;
use crate::report::Subject;
use crate::results::write_whole;
use crate::when;
use entity::{Crate, id_of, path_in, reference};
use serde_json::{Value, json};
use std::path::Path;

/// The file that describes the crate.
const DESCRIPTION: &str = "ro-crate-metadata.json";
/// The RO-Crate specification and the profile.
const SPECIFICATION: &str = "https://w3id.org/ro/crate/1.1";
const PROFILE: &str = "https://w3id.org/ro/wfrun/process/0.5";
/// The program.
const DDPIPE: &str = "#ddpipe";

/// Writes the crate into a folder, and gives how many actions it describes.
///
/// # Errors
/// A file cannot be written.
pub fn write(subject: &Subject, folder: &Path) -> Result<usize, Fault> {
    let mut made = Crate::default();
    let software = software(subject, &mut made);
    let manifest = manifest(subject, folder, &mut made)?;
    let sources = sources(subject, &mut made);
    let actions = action::all(subject, folder, &sources, &mut made)?;
    root(subject, &software, &manifest, &actions, &mut made);
    let text = serde_json::to_string_pretty(&made.document()).map_err(std::io::Error::from)?;
    write_whole(&folder.join(DESCRIPTION), (text + "\n").as_bytes())?;
    Ok(actions.len())
}

/// What a crate is called: its pipeline and its run.
pub fn name(subject: &Subject) -> String {
    let pipeline = &subject.pipeline.name;
    let run = subject.run.as_ref();
    entity::text(&run.map_or_else(|| pipeline.clone(), |run| format!("{pipeline}, run {}", run.seen.id)))
}

/// What the crate in a folder is called; none where there is no crate.
pub fn described(folder: &Path) -> Option<String> {
    let text = std::fs::read(folder.join(DESCRIPTION)).ok()?;
    let document: Value = serde_json::from_slice(&text).ok()?;
    let root = document["@graph"].as_array()?.iter().find(|entity| entity["@id"] == "./")?;
    Some(root["name"].as_str()?.to_string())
}

fn root(subject: &Subject, software: &str, manifest: &[String], actions: &[String], made: &mut Crate) {
    let run = subject.run.as_ref();
    let published = run.map_or_else(std::time::SystemTime::now, |run| run.begun());
    let name = name(subject);
    let about =
        subject.pipeline.about.clone().unwrap_or_else(|| format!("Results of the pipeline {}", subject.pipeline.name));
    let licence = licence(subject.pipeline.licence.as_deref(), made);
    let files: Vec<Value> = made.files().iter().map(|id| reference(id)).collect();
    let mut root = json!({
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": reference(PROFILE),
        "name": name,
        "description": entity::text(&about),
        "datePublished": when::rfc3339(published),
        "license": licence,
        "hasPart": files,
        "mentions": actions.iter().map(|id| reference(id)).collect::<Vec<_>>(),
        "isBasedOn": manifest.iter().map(|id| reference(id)).collect::<Vec<_>>(),
    });
    if let Some(started) = &subject.started {
        let called = json!({
            "@id": "#called",
            "@type": "PropertyValue",
            "name": "command",
            "value": entity::text(&command::line(&started.command)),
        });
        root["additionalProperty"] = json!([reference(&made.add(called))]);
    }
    made.add(json!({ "@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5" }));
    made.add(json!({
        "@id": DESCRIPTION,
        "@type": "CreativeWork",
        "conformsTo": reference(SPECIFICATION),
        "about": reference("./"),
        "sdPublisher": reference(software),
    }));
    made.add(root);
}

/// A licence as the manifest states it: an address, or words; or that none is stated.
fn licence(stated: Option<&str>, made: &mut Crate) -> Value {
    let Some(stated) = stated else {
        let none = json!({
            "@id": "#no-licence",
            "@type": "CreativeWork",
            "name": "no licence is stated",
            "description": "The manifest states no licence for these results.",
        });
        return reference(&made.add(none));
    };
    let id = match stated.starts_with("https://") || stated.starts_with("http://") {
        true => entity::address(stated),
        false => id_of("licence", stated),
    };
    reference(&made.add(json!({ "@id": id, "@type": "CreativeWork", "name": entity::text(stated) })))
}

fn software(subject: &Subject, made: &mut Crate) -> String {
    let version = subject.started.as_ref().map_or(env!("CARGO_PKG_VERSION"), |started| started.ddpipe.as_str());
    made.add(json!({
        "@id": DDPIPE,
        "@type": "SoftwareApplication",
        "name": "ddpipe",
        "description": "A declarative pipeline engine for dataset distillation",
        "softwareVersion": version,
    }))
}

/// The manifest and all that it includes, as they were.
fn manifest(subject: &Subject, folder: &Path, made: &mut Crate) -> Result<Vec<String>, Fault> {
    let root = &subject.pipeline.root;
    let mut ids = Vec::new();
    for (path, text) in &subject.pipeline.files {
        let path = path_in("manifest", path.strip_prefix(root).unwrap_or(path));
        write_whole(&folder.join(&path), text.text.as_bytes())?;
        let mut file = json!({
            "@id": path,
            "@type": ["File", "SoftwareSourceCode"],
            "name": entity::text(path.rsplit('/').next().unwrap_or(&path)),
            "description": "a part of the pipeline's manifest, as it was in this run",
            "encodingFormat": "application/toml",
            "contentSize": text.text.len().to_string(),
        });
        if let Some(commit) = &subject.commit {
            file["version"] = entity::text(&commit::in_words(commit)).into();
        }
        ids.push(made.add_file(file));
    }
    Ok(ids)
}

/// The files from outside, as `source/file`, with the names of their entities.
fn sources(subject: &Subject, made: &mut Crate) -> std::collections::HashMap<String, String> {
    let mut ids = std::collections::HashMap::new();
    for (name, seen) in &subject.sources {
        let (source, file) = name.split_once('/').unwrap_or((name, ""));
        let of = subject.pipeline.sources.get(source);
        let mut entity = json!({
            "@id": id_of("source", name),
            "@type": "CreativeWork",
            "name": entity::text(name),
            "identifier": format!("blake3:{}", seen.digest.hex()),
        });
        if let Some(sha256) = &seen.sha256 {
            entity["sha256"] = sha256.clone().into();
        }
        if let Some(words) = of.and_then(|source| source.obtain.as_ref()) {
            entity["usageInfo"] = entity::text(words).into();
        }
        if let Some(url) = of.and_then(|source| source.files.get(file)).and_then(|file| file.url.first()) {
            entity["url"] = entity::text(url).into();
        }
        if let Some(stated) = of.and_then(|source| source.licence.as_deref()) {
            entity["license"] = licence(Some(stated), made);
        }
        ids.insert(name.clone(), made.add(entity));
    }
    ids
}
