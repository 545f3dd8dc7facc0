//! Whose records of a remote are believed.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "sign")]

#[path = "common/mod.rs"]
mod common;

use common::{claim, commit, in_memory, key};
use ddpipe_cache::shared::keys::{Keys, Signer};
use ddpipe_cache::shared::{Memory, Patience, Remote};
use ddpipe_cache::{Cache, Digest, Lookup};
use std::sync::Arc;
use tempfile::TempDir;

const CONTENT: &[u8] = b"a distilled set";

/// People with a cache folder each, and one remote.
struct Lab {
    folder: TempDir,
    store: Arc<Memory>,
}

fn signer(name: &str) -> Signer {
    let seed = Digest::of(name.as_bytes()).hex();
    Signer::new(name, seed.as_bytes()[..32].try_into().unwrap()).unwrap()
}

/// A key of one's own, and the keys of these people.
fn keys(own: Option<&str>, trusted: &[&str]) -> Keys {
    let trusted = trusted.iter().map(|name| signer(name).public()).collect();
    Keys { own: own.map(signer), trusted, required: true }
}

impl Lab {
    fn new() -> Self {
        Lab { folder: in_memory(), store: Arc::default() }
    }

    /// Runs one stage in somebody's folder; whether it was computed.
    fn run(&self, folder: &str, keys: Option<Keys>) -> bool {
        let remote = Remote::over(self.store.clone(), Patience::default());
        let remote = match keys {
            Some(keys) => remote.with_notary(Arc::new(keys)),
            None => remote,
        };
        let cache = Cache::open_sharing(&self.folder.path().join(folder), None, Some(remote)).unwrap();
        let computed = match cache.lookup(key("distill"), "distill", &mut common::never).unwrap() {
            Lookup::Miss(claim) => {
                commit(&cache, claim, "distill", CONTENT);
                true
            }
            Lookup::Hit(_) => false,
        };
        cache.finish_sending(&mut || true).unwrap();
        computed
    }

    fn record(&self) -> serde_json::Value {
        let objects = self.store.objects();
        let (_, text) = objects.iter().find(|(name, _)| name.starts_with("records-v1/")).unwrap();
        serde_json::from_slice(text).unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let mut record = self.record();
        change(&mut record);
        let mut objects = self.store.objects();
        let (_, text) = objects.iter_mut().find(|(name, _)| name.starts_with("records-v1/")).unwrap();
        *text = serde_json::to_vec(&record).unwrap();
    }
}

#[test]
fn a_record_is_believed_that_somebody_signed_who_is_trusted() {
    let lab = Lab::new();
    assert!(lab.run("ada", Some(keys(Some("ada"), &[]))));
    assert!(!lab.run("ben", Some(keys(Some("ben"), &["ada"]))));
    assert!(!lab.run("ada at home", Some(keys(Some("ada"), &[]))), "one's own key is trusted");
    assert!(!lab.run("eve", None), "who asks for no signature reads on");
}

#[test]
fn what_nobody_trusted_signed_is_computed_again_and_replaced() {
    for sender in [None, Some(keys(None, &[])), Some(keys(Some("eve"), &["ada", "ben"]))] {
        let lab = Lab::new();
        assert!(lab.run("eve", sender));
        assert!(lab.run("ben", Some(keys(Some("ben"), &["ada"]))));
        assert_eq!(lab.record()["signatures"][0]["key"], "ben");
        assert!(!lab.run("ada", Some(keys(Some("ada"), &["ben"]))));
    }
}

/// Who can write to the remote edits a record that Ada signed, claims to be her, or moves her signature.
#[test]
fn an_edited_record_is_refused_whatever_its_signature_says() {
    let other_check = |record: &mut serde_json::Value| {
        record["metrics"] = serde_json::json!({ "accuracy": 0.99 });
        let mut fields = record.as_object().unwrap().clone();
        fields.shift_remove("check");
        fields.shift_remove("signatures");
        record["check"] = Digest::of(&serde_json::to_vec(&fields).unwrap()).hex().into();
    };
    let edits: [&dyn Fn(&mut serde_json::Value); 4] = [
        &other_check,
        &|record| record["signatures"][0]["sig"] = "AAAA".into(),
        &|record| record["signatures"] = serde_json::json!("ada"),
        &|record| {
            record["signatures"][0]["key"] = "ben".into();
        },
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let lab = Lab::new();
        assert!(lab.run("ada", Some(keys(Some("ada"), &[]))));
        lab.change(edit);
        assert!(lab.run("ben", Some(keys(Some("ben"), &["ada"]))), "edit {number}");
    }
}

/// Results of a time before there was a key, or of somebody who had none.
#[test]
fn a_push_signs_what_is_there_unsigned() {
    let lab = Lab::new();
    assert!(lab.run("ada", None));
    let push = |keys: Keys| {
        let remote = Remote::over(lab.store.clone(), Patience::default()).with_notary(Arc::new(keys));
        let cache = Cache::open_sharing(&lab.folder.path().join("ada"), None, Some(remote)).unwrap();
        let pushed = cache.push(None, &mut |_, _| {}).unwrap();
        (pushed.records, pushed.before)
    };
    assert_eq!(push(keys(None, &[])), (0, 1), "there is nothing to sign with");
    assert_eq!(push(keys(Some("ada"), &[])), (1, 0));
    assert_eq!(push(keys(Some("ada"), &[])), (0, 1));
    assert!(!lab.run("ben", Some(keys(Some("ben"), &["ada"]))));
}

/// A signature is beside the record and no part of it: who does not ask for any, and older programs' copies, lose nothing.
#[test]
fn what_is_kept_here_of_a_signed_record_is_the_record() {
    let lab = Lab::new();
    assert!(lab.run("ada", Some(keys(Some("ada"), &[]))));
    assert!(!lab.run("ben", Some(keys(Some("ben"), &["ada"]))));
    let ben = Cache::open(&lab.folder.path().join("ben")).unwrap();
    let ada = Cache::open(&lab.folder.path().join("ada")).unwrap();
    assert_eq!(ben.record(key("distill")).unwrap(), ada.record(key("distill")).unwrap());
    let _ = claim(&ada, key("another"));
}
