//! Two kinds of 256-bit names that never turn into each other: [`Digest`] names bytes, [`Key`] names an action.

use crate::disk;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// BLAKE3 of an artifact's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// BLAKE3 of a described action: what decides whether a stage has to run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of a file's bytes, and their number.
    pub fn of_file(path: &Path) -> io::Result<(Self, u64)> {
        let mut file = disk::open(path)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0u8; 1 << 20];
        let mut bytes = 0u64;
        loop {
            let read = disk::read_some(&mut file, path, &mut buffer)?;
            if read == 0 {
                return Ok((Digest(*hasher.finalize().as_bytes()), bytes));
            }
            hasher.update(&buffer[..read]);
            bytes += read as u64;
        }
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Digest(*hash.as_bytes())
    }
}

impl Key {
    /// The key of a description: BLAKE3 over its names and values, each with its length before it, so that no two
    /// descriptions collide by concatenation. A record holds its description, so that its key can be computed again.
    pub fn of(description: &[(String, String)]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"ddpipe action 1\n");
        for text in description.iter().flat_map(|(name, value)| [name, value]) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        Key(*hasher.finalize().as_bytes())
    }
}

/// A text that is not 64 hexadecimal digits, and so names no digest and no key.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a name of 64 hexadecimal digits")]
pub struct NotAName(String);

macro_rules! hexadecimal {
    ($name:ident) => {
        impl $name {
            /// 64 lower-case hexadecimal digits.
            pub fn hex(&self) -> String {
                blake3::Hash::from_bytes(self.0).to_hex().as_str().to_string()
            }

            pub(crate) fn bytes(&self) -> &[u8; 32] {
                &self.0
            }

            pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
                $name(bytes)
            }

            /// The first 12 digits, for people.
            pub fn short(&self) -> String {
                self.hex()[..12].to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = NotAName;

            fn from_str(text: &str) -> Result<Self, NotAName> {
                let wrong = || NotAName(text.to_string());
                if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(wrong());
                }
                let mut bytes = [0u8; 32];
                for (index, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
                }
                Ok($name(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&blake3::Hash::from_bytes(self.0).to_hex())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

hexadecimal!(Digest);
hexadecimal!(Key);
