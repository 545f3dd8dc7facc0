//! Whether a program is still what the run was planned with: its folder and the files outside that belong to it.

use crate::artifact::SourceChanged;
use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::{Digest, folder};
use ddpipe_interface::protocol::Command;

/// An error when a file of the program has other bytes than when the run was planned.
pub fn check(program: &Command) -> Result<()> {
    let found = folder::program(&program.folder)?;
    ensure!(found == program.digest, SourceChanged(program.folder.clone()));
    for (path, digest) in &program.files {
        let (found, _) = Digest::of_file(path).with_context(|| format!("could not read {}", path.display()))?;
        ensure!(found == *digest, SourceChanged(path.clone()));
    }
    Ok(())
}
