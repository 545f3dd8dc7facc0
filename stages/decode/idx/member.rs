//! The bytes of an input: the file itself, or one file of a ZIP archive, as EMNIST is published.

use crate::context::Inputs;
use crate::data::unpacking::Unpacking;
use anyhow::{Context as _, Result, bail, ensure};
use std::io::Read;
use std::sync::Arc;
use zip::ZipArchive;

/// The name of the file, for messages, and its bytes. `wanted` is its name in the archive, which has to be given for a ZIP
/// file of several; it may unpack to as much as `max_ratio` allows.
pub fn bytes(inputs: &Inputs, input: &str, wanted: Option<&str>, max_ratio: u64) -> Result<(String, Arc<Vec<u8>>)> {
    let name = &inputs.one(input)?.name;
    let param = if input == "images" { "image_file" } else { "label_file" };
    let content = inputs.content(input)?;
    let mut start = [0; 4];
    let is_zip = content.reader().read_exact(&mut start).is_ok() && start == *b"PK\x03\x04";
    if !is_zip {
        ensure!(wanted.is_none(), "{name}: `{param}` names a file of an archive, and this is no ZIP file");
        return Ok((name.clone(), inputs.bytes(input)?));
    }
    let mut zip = ZipArchive::new(content.reader())
        .with_context(|| format!("{name}: not a complete ZIP file; fetch it again"))?;
    let mut files: Vec<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    files.retain(|file| !file.ends_with('/'));
    files.sort_unstable();
    let wanted = match (wanted, files.as_slice()) {
        (Some(wanted), _) => wanted.to_string(),
        (None, [only]) => only.clone(),
        (None, _) => bail!("{name}: a ZIP file; `{param}` says which of its files: {}", some(&files)),
    };
    ensure!(files.contains(&wanted), "{name}: the archive has no file {wanted:?} (`{param}`); it has {}", some(&files));
    let entry = zip.by_name(&wanted).with_context(|| format!("{name}: {wanted}"))?;
    let most = Unpacking::of_length(entry.compressed_size(), max_ratio).most();
    let mut bytes = Vec::new();
    entry
        .take(most + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{name}: {wanted}: damaged; fetch it again"))?;
    ensure!(bytes.len() as u64 <= most, "{name}: {wanted}: it unpacks to more than {most} bytes; see `max_ratio`");
    Ok((format!("{name}: {wanted}"), Arc::new(bytes)))
}

fn some(files: &[String]) -> String {
    let shown: Vec<&str> = files.iter().take(12).map(String::as_str).collect();
    let more = files.len().saturating_sub(shown.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}
