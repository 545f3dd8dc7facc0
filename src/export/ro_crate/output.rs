//! What a node gave: a file in the crate where it is small, else an entity with its digest.

use super::entity::{self, Crate, id_of};
use crate::exit::Fault;
use crate::export::name;
use crate::pipeline::Node;
use crate::report::Subject;
use crate::results::write_whole;
use ddpipe_cache::Record;
use ddpipe_interface::ArtifactType;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Outputs of more bytes are named by their digests and stay in the cache.
const LARGEST: u64 = 4 << 20;

/// Adds an output of a node that has a record, and gives its name.
///
/// # Errors
/// Its file cannot be written.
pub fn add(
    subject: &Subject,
    node: &Node,
    record: &Record,
    output: &str,
    folder: &Path,
    made: &mut Crate,
) -> Result<String, Fault> {
    let Some(given) = record.outputs.get(output) else { return Ok(id_of("output", output)) };
    let title = format!("{}.{output}", node.address);
    let identifier = format!("blake3:{}", given.digest.hex());
    let small = given.bytes <= LARGEST;
    let Some(bytes) = small.then(|| subject.cache.blobs().read_verified(given.digest).ok()).flatten() else {
        let left = json!({
            "@id": id_of("output", &title),
            "@type": "CreativeWork",
            "name": entity::text(&title),
            "description": format!("{} of {} bytes, which is not in this crate", given.artifact_type, given.bytes),
            "identifier": identifier,
        });
        return Ok(made.add(left));
    };
    let (extension, format) = form(subject, node, output, &given.artifact_type, &bytes);
    let path = format!("outputs/{}/{}.{extension}", name::of_node(&node.address), name::plain(output, "-_"));
    write_whole(&folder.join(&path), &bytes)?;
    let file = json!({
        "@id": path,
        "@type": "File",
        "name": entity::text(&title),
        "description": given.artifact_type,
        "encodingFormat": format,
        "contentSize": bytes.len().to_string(),
        "sha256": format!("{:x}", Sha256::digest(&bytes)),
        "identifier": identifier,
    });
    Ok(made.add_file(file))
}

/// The ending of an output's file, and its form as a media type.
fn form(subject: &Subject, node: &Node, output: &str, artifact: &str, bytes: &[u8]) -> (String, &'static str) {
    let kind = subject.pipeline.catalog.declaration(&node.kind);
    let declared = kind.and_then(|kind| kind.outputs.get(output)).and_then(|output| output.extension.clone());
    let extension = declared.unwrap_or_else(|| {
        let extension = match artifact {
            _ if [ArtifactType::Metrics, ArtifactType::Table].iter().any(|it| it.name() == artifact) => "json",
            _ if bytes.starts_with(b"\x89PNG") => "png",
            _ if artifact == ArtifactType::Image.name() => "svg",
            _ if artifact == ArtifactType::Files.name() => "bin",
            _ => "safetensors",
        };
        extension.to_string()
    });
    let extension = name::plain(&extension, "");
    let format = match extension.as_str() {
        "json" => "application/json",
        "csv" => "text/csv",
        "md" => "text/markdown",
        "tex" => "text/x-tex",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    (extension, format)
}
