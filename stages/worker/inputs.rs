//! Where a running stage's inputs come from: the device's memory, the outputs still on their way to the cache, or a
//! file. Whatever is read from a file is held against its digest; the cache sets a damaged blob aside.

use crate::artifact::{Content, Folder, SourceChanged, TensorFile};
use crate::context::Artifacts;
use crate::worker::pending::Pending;
use crate::worker::residency::Residency;
use crate::worker::store::Store;
use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::{Cache, Digest, Stamp};
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::InputArtifact;
use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tch::Device;

/// Reads the inputs of all jobs of this worker. Clones share everything.
#[derive(Clone)]
pub struct Reader {
    /// The device that tensors are kept on between stages.
    pub device: Device,
    /// The device that the running stage wants its tensors on.
    pub handed_on: Device,
    /// The tensors that are on the device already.
    pub residency: Rc<RefCell<Residency<TensorFile>>>,
    /// The outputs that are still on their way to the cache.
    pub store: Rc<Store>,
    /// The cache that files of earlier stages are read from.
    pub cache: Cache,
    /// The files and folders that the running stage reads piece by piece.
    read: Rc<RefCell<Vec<Opened>>>,
}

impl Artifacts for Reader {
    fn tensors(&self, input: &InputArtifact) -> Result<Arc<TensorFile>> {
        let resident = self.residency.borrow_mut().get(&input.digest);
        let file = match resident {
            Some(file) => file,
            None => {
                let bytes = self.bytes(input)?;
                let file = TensorFile::from_bytes(&bytes, self.device);
                let file = file.with_context(|| input.path.display().to_string())?;
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
        self.is_file(input)?;
        if let Some(pending) = self.store.pending(&input.digest) {
            return pending.to_vec();
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

    fn content(&self, input: &InputArtifact) -> Result<Content> {
        self.is_file(input)?;
        if let Some(pending) = self.store.pending(&input.digest) {
            return pending.content();
        }
        let path = if input.source { input.path.clone() } else { self.cache.blobs().verify_once(input.digest)? };
        let open = || -> std::io::Result<_> {
            let file = File::open(&path)?;
            Ok((Stamp::of(&file)?, Content::of_file(file)?))
        };
        let (stamp, content) = open().with_context(|| format!("could not read {}", path.display()))?;
        if input.source {
            let found = Pending::Content(content.clone()).digest().with_context(|| path.display().to_string())?;
            ensure!(found == input.digest, SourceChanged(path));
            self.read.borrow_mut().push(Opened::File(path, content.clone(), stamp));
        }
        Ok(content)
    }

    fn folder(&self, input: &InputArtifact) -> Result<Arc<Folder>> {
        ensure!(input.artifact == ArtifactType::Folder, "a {}, where a folder is expected", input.artifact);
        let folder = Arc::new(Folder::open(&input.path, input.digest)?);
        self.read.borrow_mut().push(Opened::Folder(folder.clone()));
        Ok(folder)
    }
}

/// A file or folder from outside that a stage has read piece by piece.
enum Opened {
    File(PathBuf, Content, Stamp),
    Folder(Arc<Folder>),
}

impl Reader {
    /// A reader for a worker on this device.
    pub fn new(device: Device, residency: Rc<RefCell<Residency<TensorFile>>>, store: Rc<Store>, cache: Cache) -> Self {
        Reader { device, handed_on: device, residency, store, cache, read: Rc::default() }
    }

    /// The same for a stage that wants its tensors on this device.
    pub fn handing_on(&self, device: Device) -> Self {
        Reader { handed_on: device, ..self.clone() }
    }

    /// To be asked when a stage is over: an error when what it read piece by piece, after it was verified, changed while
    /// it was read. Forgets what was read.
    pub fn unchanged(&self) -> Result<()> {
        for opened in self.read.take() {
            let changed = match opened {
                Opened::File(path, Content::File(file, _), stamp) => {
                    let same = Stamp::of(&file).is_ok_and(|now| now == stamp);
                    (!same).then_some(SourceChanged(path))
                }
                Opened::File(..) => None,
                Opened::Folder(folder) => folder.changed().cloned(),
            };
            changed.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn is_file(&self, input: &InputArtifact) -> Result<()> {
        ensure!(input.artifact != ArtifactType::Folder, "a folder, where a file is expected");
        Ok(())
    }

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
