//! Packs records in the layout of CIFAR-10's archive, with a gzip comment that says that it is sample data. No time
//! stamp is written, so the same records give the same bytes.

use anyhow::Result;
use flate2::{Compression, GzBuilder};

/// The gzip comment. Other readers skip it; `decode.cifar` shows it as the origin.
const COMMENT: &str = "ddpipe sample data, not CIFAR-10";

/// The bytes of the archive of these files: the training batches in order, and the test batch last.
pub fn pack(files: &[Vec<u8>]) -> Result<Vec<u8>> {
    let packed = GzBuilder::new().mtime(0).comment(COMMENT).write(Vec::new(), Compression::new(6));
    let mut archive = tar::Builder::new(packed);
    for (index, file) in files.iter().enumerate() {
        let name = if index + 1 == files.len() { "test_batch".into() } else { format!("data_batch_{}", index + 1) };
        let mut header = tar::Header::new_ustar();
        header.set_size(file.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mtime(0);
        archive.append_data(&mut header, format!("cifar-10-batches-bin/{name}.bin"), file.as_slice())?;
    }
    Ok(archive.into_inner()?.finish()?)
}
