//! Where a running stage's inputs come from: the device's memory, the outputs still on their way to the cache, or a
//! file. Whatever is read from a file is held against its digest; the cache sets a damaged blob aside.

use crate::residency::Residency;
use crate::store::Store;
use anyhow::{Context as _, Result};
use ddpipe_cache::{Cache, Digest};
use ddpipe_interface::protocol::InputArtifact;
use ddpipe_stages::artifact::TensorFile;
use ddpipe_stages::context::Artifacts;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tch::Device;

/// A file from outside no longer has the bytes that the run was planned with.
#[derive(Debug, thiserror::Error)]
#[error("{}: it has changed since this run began", .0.display())]
pub struct SourceChanged(pub PathBuf);

/// Reads the inputs of all jobs of this worker. Clones share everything.
#[derive(Clone)]
pub struct Reader {
    /// Where tensors are kept.
    pub device: Device,
    /// Where the running stage wants them.
    pub handed_on: Device,
    /// What is there already.
    pub residency: Rc<RefCell<Residency<TensorFile>>>,
    /// What is not in the cache yet.
    pub store: Rc<Store>,
    /// The cache.
    pub cache: Cache,
}

impl Artifacts for Reader {
    fn tensors(&self, input: &InputArtifact) -> Result<Arc<TensorFile>> {
        let resident = self.residency.borrow_mut().get(&input.digest);
        let file = match resident {
            Some(file) => file,
            None => {
                let file = TensorFile::from_bytes(&self.bytes(input)?, self.device)
                    .with_context(|| input.path.display().to_string())?;
                self.keep(input.digest, file)
            }
        };
        if self.handed_on == self.device {
            return Ok(file);
        }
        // Tensors never leave this thread; the counted pointer is what stages are given.
        #[expect(clippy::arc_with_non_send_sync)]
        Ok(Arc::new(file.to_device(self.handed_on)))
    }

    fn bytes(&self, input: &InputArtifact) -> Result<Arc<Vec<u8>>> {
        if let Some(bytes) = self.store.pending(&input.digest) {
            return Ok(bytes);
        }
        if !input.source {
            return Ok(Arc::new(self.cache.blobs().read_verified(input.digest)?));
        }
        let path = &input.path;
        let bytes = std::fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        match Digest::of(&bytes) == input.digest {
            true => Ok(Arc::new(bytes)),
            false => Err(SourceChanged(path.clone()).into()),
        }
    }
}

impl Reader {
    /// Keeps tensors on the device for the stages to come, if there is room.
    pub fn keep(&self, digest: Digest, file: TensorFile) -> Arc<TensorFile> {
        let size = file.size();
        // Tensors never leave this thread; the counted pointer is what stages are given.
        #[expect(clippy::arc_with_non_send_sync)]
        let file = Arc::new(file);
        self.residency.borrow_mut().keep(digest, file.clone(), size);
        file
    }
}
