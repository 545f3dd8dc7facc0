//! Keys of Ed25519 for the signatures of records: one's own, and those of people who are believed. Knows no files
//! and no settings.

use super::sign::{Notary, Signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use std::fmt;
use std::str::FromStr;

/// What is signed begins with this, so that the signature means nothing elsewhere.
const CONTEXT: &str = "ddpipe record 1\n";
/// The letters of a key's name, at most.
const NAME: usize = 64;

/// Why a line is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no key: one is NAME:BASE64, of 32 bytes, with a name of letters, digits, `.`, `_` and `-`")]
pub struct NoKey(String);

/// Somebody's public key. Its text is `name:base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// One's own key, which signs. Its text is never shown by `Debug`.
#[derive(Clone)]
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// A key from 32 random bytes.
    ///
    /// # Errors
    /// The name is none.
    pub fn new(name: &str, seed: [u8; 32]) -> Result<Self, NoKey> {
        checked(name).ok_or_else(|| NoKey(name.to_string()))?;
        Ok(Signer { name: name.to_string(), key: SigningKey::from_bytes(&seed) })
    }

    /// The key of a line that [`Signer::line`] gave.
    ///
    /// # Errors
    /// The line is no key. The error does not repeat it.
    pub fn of_line(line: &str) -> Result<Self, NoKey> {
        let (name, seed) = parts(line.trim()).ok_or_else(|| NoKey("the line".into()))?;
        Signer::new(name, seed)
    }

    /// The secret line, for a file that nobody else reads.
    pub fn line(&self) -> String {
        format!("{}:{}", self.name, STANDARD.encode(self.key.to_bytes()))
    }

    /// What others need to believe this key.
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

impl PublicKey {
    /// What the key is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for PublicKey {
    type Err = NoKey;

    fn from_str(line: &str) -> Result<Self, NoKey> {
        let none = || NoKey(line.to_string());
        let (name, bytes) = parts(line).ok_or_else(none)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| none())?;
        Ok(PublicKey { name: name.to_string(), key })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, STANDARD.encode(self.key.as_bytes()))
    }
}

fn checked(name: &str) -> Option<&str> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    (!name.is_empty() && name.len() <= NAME && name.chars().all(is_plain)).then_some(name)
}

fn parts(line: &str) -> Option<(&str, [u8; 32])> {
    let (name, key) = line.split_once(':')?;
    Some((checked(name)?, STANDARD.decode(key).ok()?.try_into().ok()?))
}

/// One's own key, and whom one believes.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Signs what goes to a remote.
    pub own: Option<Signer>,
    /// The keys that are believed beside one's own.
    pub trusted: Vec<PublicKey>,
    /// Whether a record needs a signature by one of them.
    pub required: bool,
}

impl Keys {
    /// One's own key and those of others.
    fn believed(&self) -> impl Iterator<Item = PublicKey> {
        self.trusted.iter().cloned().chain(self.own.as_ref().map(Signer::public))
    }

    fn is_signed_by(&self, signature: &Signature, check: &str) -> bool {
        let Ok(sig) = STANDARD.decode(&signature.sig) else { return false };
        let Ok(sig) = ed25519_dalek::Signature::from_slice(&sig) else { return false };
        let mut named = self.believed().filter(|key| key.name == signature.key);
        let message = format!("{CONTEXT}{check}");
        named.any(|key| key.key.verify_strict(message.as_bytes(), &sig).is_ok())
    }
}

impl Notary for Keys {
    fn sign(&self, check: &str) -> Option<Signature> {
        let own = self.own.as_ref()?;
        let sig = own.key.sign(format!("{CONTEXT}{check}").as_bytes());
        Some(Signature { key: own.name.clone(), sig: STANDARD.encode(sig.to_bytes()) })
    }

    fn judge(&self, check: &str, signatures: &[Signature]) -> Result<(), String> {
        if !self.required || signatures.iter().any(|signature| self.is_signed_by(signature, check)) {
            return Ok(());
        }
        let names: Vec<&str> = signatures.iter().map(|signature| signature.key.as_str()).filter_map(checked).collect();
        let known = names.iter().find(|name| self.believed().any(|key| key.name == **name));
        Err(match (names.as_slice(), known) {
            ([], _) => "it is not signed".to_string(),
            (_, Some(name)) => format!("its signature does not fit the key of {name}"),
            (names, None) => format!("its signature by {} is none of a key that is trusted here", names.join(", ")),
        })
    }

    fn would_sign(&self, check: &str, signatures: &[Signature]) -> bool {
        self.own.is_some() && !signatures.iter().any(|signature| self.is_signed_by(signature, check))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_read_back_and_shows_its_secret_to_nobody() {
        let signer = Signer::new("ada", [7; 32]).unwrap();
        assert_eq!(Signer::of_line(&signer.line()).unwrap().public(), signer.public());
        let public: PublicKey = signer.public().to_string().parse().unwrap();
        assert_eq!(public, signer.public());
        let secret = signer.line();
        let secret = secret.split_once(':').unwrap().1;
        assert!(!format!("{signer:?}").contains(secret) && !signer.public().to_string().contains(secret));
        for wrong in ["", "ada", "ada:", ":AAAA", "a b:AAAA", "ada:AAAA", "ada:not base64"] {
            assert!(wrong.parse::<PublicKey>().is_err() && Signer::of_line(wrong).is_err(), "{wrong}");
        }
    }

    /// The first test of RFC 8032, section 7.1, as far as the key goes.
    #[test]
    fn the_public_key_is_that_of_the_standard() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let seed = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let signer = Signer::new("rfc", seed.try_into().unwrap()).unwrap();
        let public = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(signer.public().to_string(), format!("rfc:{}", STANDARD.encode(public)));
    }
}
