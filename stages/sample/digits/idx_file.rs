//! Packs unsigned bytes as a gzipped IDX file whose gzip comment says that it is sample data. No time stamp is written,
//! so the same numbers give the same bytes.

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use std::io::Write;

/// The gzip comment. Other readers skip it; `decode.idx` shows it as the origin.
const COMMENT: &str = "ddpipe sample data, not MNIST";

/// The bytes of an IDX file with these axes and numbers, the last axis fastest.
pub fn pack(axes: &[u32], numbers: &[u8]) -> Result<Vec<u8>> {
    let mut header = vec![0, 0, 0x08, axes.len() as u8];
    header.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
    let mut file = GzBuilder::new().mtime(0).comment(COMMENT).write(Vec::new(), Compression::new(6));
    file.write_all(&header)?;
    file.write_all(numbers)?;
    Ok(file.finish()?)
}
