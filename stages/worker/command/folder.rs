//! The folder that a project's own program works in: inputs laid out as files on the way in, outputs read and put into
//! ddpipe's form on the way out. What Python saved with `safetensors.torch.save_file` gets ddpipe's header here.

use super::json::with_null_for_not_finite;
use crate::artifact::{Dataset, SyntheticSet, TensorFile};
use crate::context::{Artifact, Artifacts as _, Outputs};
use crate::worker::inputs::Reader;
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::{InputArtifact, Job};
use indexmap::IndexMap;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use tch::Device;
use tempfile::TempDir;

/// The working folder of one run of a program. Dropping it removes it.
pub struct Folder(TempDir);

/// How the names of working folders begin.
const PREFIX: &str = "command-";

impl Folder {
    /// A new, empty folder within the stage's scratch folder, under a name that no other run has. What a run that was
    /// killed has left there is removed: who holds the lock on the scratch folder is alone in it.
    pub fn create(scratch: &Path) -> Result<Self> {
        let scratch = std::path::absolute(scratch)?;
        let make = || {
            for entry in fs::read_dir(&scratch)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(PREFIX) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&scratch)?;
            fs::create_dir(folder.path().join("inputs"))?;
            fs::create_dir(folder.path().join("outputs"))?;
            Ok::<_, std::io::Error>(folder)
        };
        make().map(Folder).with_context(|| format!("could not prepare a folder in {}", scratch.display()))
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes the inputs, `inputs.json` and `params.json`.
    pub fn lay_out(&self, job: &Job, params: Value, reader: &Reader) -> Result<()> {
        let mut described = Map::new();
        for (name, artifacts) in &job.inputs {
            let mut entries = Vec::new();
            for (index, input) in artifacts.iter().enumerate() {
                let index = if artifacts.len() == 1 { String::new() } else { format!(".{index}") };
                let InputArtifact { artifact, name: title, digest, labels, metrics, over, .. } = input;
                // All of this is in the key; the name of the node that made the input is not, and is left out.
                let mut describe = |file: &str| {
                    entries.push(json!({
                        "file": file, "type": artifact, "digest": digest, "labels": labels, "metrics": metrics, "over": over,
                    }));
                };
                if *artifact == ArtifactType::Folder {
                    // Verified, and then the folder itself: copying it would cost its size for every run.
                    reader.folder(input).with_context(|| format!("input {title}"))?;
                    let file = format!("inputs/{name}{index}");
                    std::os::unix::fs::symlink(&input.path, self.path().join(&file))?;
                    describe(&file);
                    continue;
                }
                // A copy: what a program does to its inputs must not reach the cache or the user's files.
                let bytes = reader.bytes(input).with_context(|| format!("input {title}"))?;
                let file = format!("inputs/{name}{index}.{}", extension(input.artifact, &bytes));
                self.write(&file, &bytes)?;
                describe(&file);
            }
            described.insert(name.clone(), entries.into());
        }
        self.write("inputs.json", &serde_json::to_vec_pretty(&described)?)?;
        self.write("params.json", &serde_json::to_vec_pretty(&params)?)
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path().join(file);
        fs::write(&path, bytes).with_context(|| format!("could not write {}", path.display()))
    }

    /// Reads the declared outputs, and the scalars of `metrics.json`.
    pub fn collect(&self, declared: &IndexMap<String, ArtifactType>, device: Device) -> Result<Outputs> {
        let mut files = self.made()?;
        let mut outputs = Outputs::default();
        if let Some(metrics) = self.json("metrics.json")? {
            for (name, value) in metrics["metrics"].as_object().into_iter().flatten() {
                // What is not finite is left out later, with a warning, as of every stage.
                let value = if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
                let value = value.with_context(|| format!("outputs/metrics.json: {name:?} is not a number"))?;
                outputs = outputs.metric(name, value);
            }
            files.retain(|file| file != "metrics.json");
        }
        for (name, &artifact) in declared {
            let file = self.find(name, artifact)?;
            let made = self.read(name, &file, artifact, device).with_context(|| format!("outputs/{file}"))?;
            outputs.artifacts.insert(name.clone(), made);
            let about = format!("{name}.json");
            files.retain(|other| *other != file && *other != about);
        }
        if let Some(other) = files.first() {
            let names: Vec<&str> = declared.keys().map(String::as_str).collect();
            bail!("outputs/{other} belongs to no declared output; declared: {}", names.join(", "));
        }
        Ok(outputs)
    }

    fn made(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path().join("outputs")).context("the program removed outputs/")? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn find(&self, name: &str, artifact: ArtifactType) -> Result<String> {
        let endings = endings(artifact);
        let mut files = endings.iter().map(|ending| format!("{name}.{ending}"));
        let found = files.find(|file| self.path().join("outputs").join(file).is_file());
        found.with_context(|| {
            let made = self.made().unwrap_or_default().join(", ");
            let made = if made.is_empty() { "nothing".into() } else { made };
            format!("the program did not write outputs/{name}.{} ({artifact}); it wrote {made}", endings.join(" or ."))
        })
    }

    fn read(&self, name: &str, file: &str, artifact: ArtifactType, device: Device) -> Result<Artifact> {
        let bytes = fs::read(self.path().join("outputs").join(file))?;
        Ok(match artifact {
            ArtifactType::Metrics | ArtifactType::Table => {
                Artifact::Json(artifact, serde_json::from_slice(&with_null_for_not_finite(&bytes))?)
            }
            ArtifactType::Image | ArtifactType::Files => Artifact::Bytes(artifact, bytes),
            _ => {
                let about = self.json(&format!("{name}.json"))?;
                let file = tensors(&bytes, artifact, about, device)?;
                match artifact {
                    ArtifactType::Dataset => Dataset::from_file(&file).map(drop)?,
                    ArtifactType::Synthetic => SyntheticSet::from_file(&file).map(drop)?,
                    _ => {}
                }
                Artifact::Tensors(file)
            }
        })
    }

    fn json(&self, file: &str) -> Result<Option<Value>> {
        let path = self.path().join("outputs").join(file);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = fs::read(&path)?;
        let value = serde_json::from_slice(&with_null_for_not_finite(&bytes));
        let value = value.with_context(|| format!("outputs/{file}"))?;
        Ok(Some(value))
    }
}

/// Tensors with ddpipe's header, or without: then `about`, or else the file's own metadata, describes them.
fn tensors(bytes: &[u8], wanted: ArtifactType, about: Option<Value>, device: Device) -> Result<TensorFile> {
    let (_, header) = SafeTensors::read_metadata(bytes).context("not a safetensors file")?;
    let metadata = header.metadata().clone().unwrap_or_default();
    if metadata.contains_key("ddpipe") {
        let file = TensorFile::from_bytes(bytes, device)?;
        ensure!(file.artifact == wanted, "is a {}, but its kind declares a {wanted}", file.artifact);
        return Ok(file);
    }
    let about = about.unwrap_or_else(|| {
        // Metadata are texts only; a number or a list is written there as its JSON.
        let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        let mut names: Vec<&String> = metadata.keys().collect();
        names.sort();
        names.into_iter().map(|name| (name.clone(), value(&metadata[name]))).collect::<Map<_, _>>().into()
    });
    let description = json!({ "type": wanted, "about": about }).to_string();
    let content = SafeTensors::deserialize(bytes).context("not a safetensors file")?;
    let metadata = HashMap::from([("ddpipe".to_string(), description)]);
    TensorFile::from_bytes(&safetensors::serialize(content.tensors(), Some(metadata))?, device)
}

fn endings(artifact: ArtifactType) -> &'static [&'static str] {
    match artifact {
        ArtifactType::Metrics | ArtifactType::Table => &["json"],
        ArtifactType::Image => &["png", "svg"],
        ArtifactType::Files => &["bin"],
        _ => &["safetensors"],
    }
}

fn extension(artifact: ArtifactType, bytes: &[u8]) -> &'static str {
    match artifact {
        ArtifactType::Image if bytes.trim_ascii_start().starts_with(b"<") => "svg",
        _ => endings(artifact)[0],
    }
}
