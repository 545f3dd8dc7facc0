//! One file of a results folder: its name, and how it is written so that others may read it.

use crate::exit::Fault;
use crate::pipeline::Node;
use ddpipe_interface::{ArtifactType, Output};
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A file's name may have 255 bytes; the rest is for its ending and for what tells several files of a node apart.
const LONGEST_STEM: usize = 160;
/// So much of a digest stands in place of what is cut off.
const DIGITS: usize = 12;

/// `table.md`, or with axes `grid-method=dm.png`: the ending is the declared extension, else that of the type. Two outputs
/// of the same form have the same name here.
pub(crate) fn name(node: &Node, name: &str, output: &Output, bytes: &[u8]) -> String {
    let axes: Vec<String> =
        node.axes.iter().map(|(name, value)| format!("{name}={}", crate::address::value_text(value))).collect();
    let mut stem = node.stage.clone();
    if !axes.is_empty() {
        stem = format!("{stem}-{}", axes.join(","));
    }
    let stem = self::stem(&stem);
    let extension = match (&output.extension, output.artifact) {
        (Some(extension), _) => extension.as_str(),
        (None, ArtifactType::Table) => "json",
        (None, ArtifactType::Image) if bytes.starts_with(b"\x89PNG") => "png",
        (None, ArtifactType::Image) => "svg",
        (None, _) => name,
    };
    format!("{stem}.{extension}")
}

/// A node's address as a part of a file's name. One that is too long for a file system is cut off, and ends in a digest of
/// the whole, so that no two are alike.
pub fn stem(address: &str) -> String {
    let mut stem: String =
        address.chars().map(|letter| if letter == '/' || letter.is_control() { '_' } else { letter }).collect();
    if stem.len() <= LONGEST_STEM {
        return stem;
    }
    let digest = blake3::hash(address.as_bytes()).to_hex();
    stem.truncate(stem.floor_char_boundary(LONGEST_STEM - DIGITS - 1));
    stem.push('-');
    stem.extend(digest.chars().take(DIGITS));
    stem
}

/// Makes a folder and a file in it, which is removed again.
pub(super) fn try_folder(folder: &Path) -> Result<(), Fault> {
    let attempt = || {
        std::fs::create_dir_all(folder)?;
        tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)
    };
    attempt().map(drop).map_err(|error| Fault::io("write to", folder, &error))
}

/// Writes a file whole or not at all, with the mode that the user's umask gives. One that has the right content already
/// is not touched.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    // Earlier versions left files that only their owner could read.
    let private = std::fs::metadata(path).is_ok_and(|seen| seen.permissions().mode() & 0o777 == 0o600);
    if !private && std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    put_by(path, |file| file.write_all(bytes))
}

/// As [`put`], with a function that writes the content.
pub(crate) fn put_by(path: &Path, content: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), Fault> {
    let folder = path.parent().unwrap_or(path);
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut aside = tempfile::Builder::new()
            .prefix(".writing-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        content(aside.as_file_mut())?;
        aside.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| Fault::io("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_address_is_cut_off_and_stays_its_own() {
        let long = |last: &str| stem(&format!("picture[name={}{last}]", "ä".repeat(200)));
        assert!(long("a").len() <= LONGEST_STEM && long("a").starts_with("picture[name=ää"));
        assert_ne!(long("a"), long("b"));
        assert_eq!(long("a"), long("a"));
        assert_eq!(stem("a[x=b/c]"), "a[x=b_c]");
    }
}
