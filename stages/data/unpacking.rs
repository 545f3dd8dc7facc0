//! How much a compressed file may unpack to. A file of a few megabytes can unpack to more than any memory holds, and a
//! stranger's file may be made so on purpose; so decoders ask here before they unpack what a header announces.

use anyhow::{Result, ensure};

/// Bytes that any file may unpack to.
const ALWAYS: u64 = 64 << 20;

/// The bound for one file.
#[derive(Clone, Copy, Debug)]
pub struct Unpacking {
    /// The length of the compressed file in bytes.
    packed: u64,
    /// Parameter `max_ratio`.
    max_ratio: u64,
}

impl Unpacking {
    /// The bound for a compressed file of this length: 64 MiB, or `max_ratio` times its length where that is more.
    pub fn of(bytes: &[u8], max_ratio: u64) -> Self {
        Unpacking::of_length(bytes.len() as u64, max_ratio)
    }

    /// The same for a compressed file of so many bytes.
    pub fn of_length(packed: u64, max_ratio: u64) -> Self {
        Unpacking { packed, max_ratio }
    }

    /// The number of bytes that the file may unpack to.
    pub fn most(&self) -> u64 {
        self.packed.saturating_mul(self.max_ratio).max(ALWAYS)
    }

    /// An error if so many bytes are more than the file may unpack to.
    pub fn check(&self, unpacked: u64) -> Result<()> {
        ensure!(
            unpacked <= self.most(),
            "the header announces {unpacked} bytes, {} times the {} bytes of the compressed file; if the file is what you \
             expect, set `max_ratio` to more than {}",
            unpacked / self.packed.max(1),
            self.packed,
            self.max_ratio
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_unpack_freely_and_large_ones_by_their_ratio() {
        let packed = vec![0; 1_000_000];
        let bound = Unpacking::of(&packed, 200);
        assert!(bound.check(200_000_000).is_ok() && Unpacking::of(&[0], 200).check(64 << 20).is_ok());
        let text = bound.check(200_000_001).unwrap_err().to_string();
        assert!(text.contains("200 times the 1000000 bytes") && text.contains("`max_ratio`"), "{text}");
        assert!(Unpacking::of(&packed, 1000).check(1_000_000_000).is_ok());
    }
}
