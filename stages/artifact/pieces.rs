//! The bytes of a tensor file without a copy: a header, and the memory of the tensors themselves. A data set can be
//! hashed, written and kept for the next stage without being in memory twice.

use super::memory;
use anyhow::Result;
use std::io::{self, Read};
use tch::Tensor;

/// A tensor file in pieces: the header and the tensors.
#[derive(Debug)]
pub struct Pieces {
    header: Vec<u8>,
    tensors: Vec<Tensor>,
    length: usize,
}

impl Pieces {
    /// A file with this header and these tensors, in the order of the header; each is [`memory::settled`].
    pub(super) fn new(header: Vec<u8>, tensors: Vec<Tensor>) -> Result<Self> {
        let mut pieces = Pieces { length: header.len(), header, tensors };
        for tensor in &pieces.tensors {
            pieces.length += memory::bytes(tensor)?.len();
        }
        Ok(pieces)
    }

    /// The number of bytes of the whole file.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the file is empty; always false, because there is a header.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes of header and tensors, in the order of the file.
    pub fn parts(&self) -> Result<Vec<&[u8]>> {
        let tensors = self.tensors.iter().map(memory::bytes);
        std::iter::once(Ok(self.header.as_slice())).chain(tensors).collect()
    }

    /// The whole file, copied into one buffer.
    pub fn to_vec(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.length);
        self.parts()?.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(bytes)
    }

    /// A reader of the whole file from its start.
    pub fn reader(&self) -> Result<impl Read> {
        Ok(self
            .parts()?
            .into_iter()
            .fold(Box::new(io::empty()) as Box<dyn Read>, |read, part| Box::new(read.chain(part))))
    }
}

/// A clone shares the memory of the tensors.
impl Clone for Pieces {
    fn clone(&self) -> Self {
        let tensors = self.tensors.iter().map(Tensor::shallow_clone).collect();
        Pieces { header: self.header.clone(), tensors, length: self.length }
    }
}
