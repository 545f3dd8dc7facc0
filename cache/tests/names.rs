//! Digests and keys as text.
#![allow(clippy::unwrap_used)]

use ddpipe_cache::{Digest, Key};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_name_survives_its_text(hex in "[0-9a-f]{64}") {
        let digest: Digest = hex.parse().unwrap();
        let key: Key = hex.parse().unwrap();
        prop_assert_eq!((digest.hex(), key.to_string()), (hex.clone(), hex.clone()));
        prop_assert_eq!(digest.short(), &hex[..12]);
        let json = serde_json::to_string(&key).unwrap();
        prop_assert_eq!(&json, &format!("\"{hex}\""));
        prop_assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), key);
    }

    #[test]
    fn different_bytes_have_different_names(a: Vec<u8>, b: Vec<u8>) {
        prop_assert_eq!(a == b, Digest::of(&a) == Digest::of(&b));
    }

    #[test]
    fn other_text_is_refused(text in "[0-9a-f]{0,63}|[0-9a-f]{65,80}|[0-9a-f]{63}[g-z]|.{64}é") {
        prop_assert!(text.parse::<Digest>().is_err());
    }
}

#[test]
fn a_digest_is_blake3() {
    // The empty input of BLAKE3's published test vectors.
    let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(Digest::of(b"").hex(), empty);
}
