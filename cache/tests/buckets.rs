//! A bucket as a store, over real HTTP and real signatures: what a store has to do, and what each fault of it may cost.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used)]

#[path = "common/buckets.rs"]
mod buckets;
#[path = "common/mod.rs"]
mod common;

use buckets::{Endpoint, Fault};
use common::{commit, in_memory, key};
use ddpipe_cache::shared::bucket::{Bucket, Settings};
use ddpipe_cache::shared::{Patience, Remote, Store, StoreError};
use ddpipe_cache::{Cache, CacheError, Digest, Lookup};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

const CONTENT: &[u8] = b"a distilled set";

/// What the variables of the endpoint say, some of them changed.
fn settings(endpoint: &Endpoint, changed: &[(&str, &str)]) -> Result<Settings, String> {
    let known = endpoint.variables();
    Settings::of(|name| {
        let other = changed.iter().find(|(changed, _)| *changed == name).map(|(_, value)| value.to_string());
        other.or_else(|| known.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
    })
}

fn bucket_with(endpoint: &Endpoint, url: &str, changed: &[(&str, &str)]) -> Bucket {
    Bucket::new(url, settings(endpoint, changed).unwrap()).unwrap()
}

fn bucket(endpoint: &Endpoint) -> Bucket {
    bucket_with(endpoint, "s3://lab/shared/v1", &[])
}

fn put(store: &dyn Store, name: &str, content: &[u8]) -> Result<u64, StoreError> {
    store.put(name, content.len() as u64, &mut &*content).map(|seen| seen.version)
}

#[test]
fn objects_are_written_read_listed_and_removed() {
    let endpoint = Endpoint::start();
    let store = bucket(&endpoint);
    assert_eq!(store.url(), "s3://lab/shared/v1");
    assert_eq!(store.get("a/b", 100).unwrap(), None);
    assert_eq!(store.head("a/b").unwrap(), None);
    let first = put(&store, "a/b", CONTENT).unwrap();
    assert!(endpoint.objects.lock().unwrap().contains_key("shared/v1/a/b"));
    assert_eq!(store.get("a/b", 100).unwrap().unwrap(), CONTENT);
    assert!(matches!(store.get("a/b", 3), Err(StoreError::Other(why)) if why.contains("longer than 3 bytes")));
    let seen = store.head("a/b").unwrap().unwrap();
    assert_eq!((seen.bytes, seen.version), (CONTENT.len() as u64, first));
    assert!(SystemTime::now().duration_since(seen.written).unwrap_or_default() < Duration::from_secs(60));
    assert_ne!(put(&store, "a/b", b"other").unwrap(), first);
    put(&store, "a/b", CONTENT).unwrap();
    for from in [0, 5, CONTENT.len(), CONTENT.len() + 1] {
        let mut into = Vec::new();
        assert!(store.read("a/b", from as u64, &mut into).unwrap());
        assert_eq!(into, CONTENT.get(from..).unwrap_or_default());
    }
    assert!(!store.read("a/c", 0, &mut Vec::new()).unwrap() && !store.read("a/c", 7, &mut Vec::new()).unwrap());
    put(&store, "empty/one", b"").unwrap();
    assert_eq!(store.get("empty/one", 0).unwrap().unwrap(), b"");
    assert!(store.read("empty/one", 0, &mut Vec::new()).unwrap());
    // A folder is a whole part of a name.
    put(&store, "a2/b", b"x").unwrap();
    let seen = store.head("a/b").unwrap().unwrap();
    assert_eq!(store.list("a").unwrap(), [("a/b".to_string(), seen)]);
    assert_eq!(store.list("nothing").unwrap(), []);
    store.delete(&["a/b".into(), "a/c".into(), "empty/one".into()]).unwrap();
    store.delete(&["a/b".into()]).unwrap();
    assert_eq!(store.list("a").unwrap(), []);
    assert_eq!(store.list("a2").unwrap().len(), 1);
    // Names that would lead elsewhere.
    for name in ["../other/b", "a//b", "a/./b", "/a", ""] {
        assert!(matches!(store.get(name, 1), Err(StoreError::Other(_))), "{name}");
    }
}

#[test]
fn a_session_is_signed_and_a_bucket_can_be_used_without_a_prefix() {
    let endpoint = Endpoint::with_token(Some("a+token/="));
    let store = bucket_with(&endpoint, "s3://lab/", &[("AWS_SESSION_TOKEN", "a+token/=")]);
    assert_eq!(store.url(), "s3://lab");
    put(&store, "a/b", CONTENT).unwrap();
    assert_eq!(store.list("a").unwrap()[0].0, "a/b");
    let error = bucket_with(&endpoint, "s3://lab", &[("AWS_SESSION_TOKEN", "old")]).get("a/b", 1).unwrap_err();
    assert!(matches!(error, StoreError::Denied(why) if why.contains("the login is over")));
}

#[test]
fn where_listings_have_no_tags_the_time_of_writing_tells_one_object_from_the_next() {
    let endpoint = Endpoint::start();
    *endpoint.no_tags.lock().unwrap() = true;
    let store = bucket(&endpoint);
    put(&store, "records-v1/aa/bb.json", b"one").unwrap();
    let seen = || store.list("records-v1").unwrap()[0].1;
    let before = seen();
    assert_eq!(store.head("records-v1/aa/bb.json").unwrap(), Some(before));
    *endpoint.ahead.lock().unwrap() = 60;
    put(&store, "records-v1/aa/bb.json", b"two").unwrap();
    assert!(seen() != before && store.head("records-v1/aa/bb.json").unwrap() == Some(seen()));
}

#[test]
fn many_objects_are_listed_page_by_page_and_removed_in_batches() {
    let endpoint = Endpoint::start();
    let store = bucket(&endpoint);
    let names: Vec<String> = (0..2345).map(|number| format!("many/{number:05}")).collect();
    for name in &names {
        endpoint.objects.lock().unwrap().insert(format!("shared/v1/{name}"), b"x".to_vec());
    }
    let listed = |store: &Bucket| -> BTreeSet<String> {
        store.list("many").unwrap().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(listed(&store), names.iter().cloned().collect());
    endpoint.page.store(7, Ordering::SeqCst);
    assert_eq!(listed(&store).len(), names.len());
    let before = endpoint.count();
    store.delete(&names[..2340]).unwrap();
    assert_eq!(endpoint.count() - before, 3);
    assert_eq!(listed(&store).len(), 5);
    *endpoint.no_batches.lock().unwrap() = true;
    store.delete(&names).unwrap();
    assert_eq!(listed(&store).len(), 0);
}

/// Bytes that no two parts share, without a copy of them.
struct Bytes {
    at: u64,
    of: u64,
    /// An error in place of the end.
    wrong: bool,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min((self.of - self.at) as usize);
        if length == 0 && self.wrong && !buffer.is_empty() {
            return Err(std::io::Error::other("the blob is damaged here"));
        }
        for (at, byte) in buffer[..length].iter_mut().enumerate() {
            *byte = ((self.at + at as u64) / 65_521) as u8;
        }
        self.at += length as u64;
        Ok(length)
    }
}

#[test]
fn long_objects_are_sent_in_parts_and_appear_whole_or_not_at_all() {
    let of = (64 << 20) + 12_345;
    let endpoint = Endpoint::start();
    let store = bucket(&endpoint);
    let bytes = |wrong| Bytes { at: 0, of, wrong };
    let has = || endpoint.objects.lock().unwrap().contains_key("shared/v1/long");
    let is_clean = || endpoint.uploads.lock().unwrap().is_empty();
    // Wrong at its end, too short, too long.
    assert!(matches!(store.put("long", of, &mut bytes(true)), Err(StoreError::Other(why)) if why.contains("damaged")));
    assert!(store.put("long", of + 1, &mut bytes(false)).is_err());
    assert!(store.put("long", of - 1, &mut bytes(false)).is_err());
    assert!(!has() && is_clean());
    // A part that is refused once is sent again; one that is refused always ends it.
    endpoint.fail(Fault::Unavailable, 2, 1);
    assert_eq!(store.put("long", of, &mut bytes(false)).unwrap().bytes, of);
    assert!(has() && is_clean());
    let mut whole = Vec::new();
    bytes(false).read_to_end(&mut whole).unwrap();
    assert!(endpoint.objects.lock().unwrap()["shared/v1/long"] == whole);
    endpoint.objects.lock().unwrap().clear();
    endpoint.fail(Fault::Full, 3, 1);
    assert!(matches!(store.put("long", of, &mut bytes(false)), Err(StoreError::Full(_))));
    assert!(!has() && is_clean());
    let parts = endpoint.asked.lock().unwrap().iter().filter(|asked| asked.starts_with("PUT")).count();
    assert!(parts >= 15, "{parts}");
}

#[test]
fn every_refusal_says_what_to_do() {
    let endpoint = Endpoint::start();
    let denied = |changed: &[(&str, &str)], way_out: &str| {
        let error = bucket_with(&endpoint, "s3://lab/v1", changed).get("a/b", 10).unwrap_err();
        assert!(matches!(&error, StoreError::Denied(why) if why.contains(way_out)), "{error}");
    };
    denied(&[("AWS_SECRET_ACCESS_KEY", "wrong")], "SignatureDoesNotMatch: the signature is another");
    denied(&[("AWS_SECRET_ACCESS_KEY", "wrong")], "do not belong together");
    denied(&[("AWS_ACCESS_KEY_ID", "nobody")], "are not known there");
    *endpoint.ahead.lock().unwrap() = 3600;
    denied(&[], "the clock of this machine is 60 minutes behind the store's");
    *endpoint.ahead.lock().unwrap() = -3600;
    denied(&[], "the clock of this machine is 60 minutes ahead of the store's");
    *endpoint.ahead.lock().unwrap() = 0;
    let store = bucket_with(&endpoint, "s3://nowhere/v1", &[]);
    assert!(matches!(store.get("a/b", 10), Err(StoreError::NoSuchPlace(why)) if why.contains("make the bucket")));
    assert!(matches!(store.list("a"), Err(StoreError::NoSuchPlace(_))));
    let store = bucket_with(&endpoint, "s3://lab", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]);
    assert!(matches!(store.get("a/b", 10), Err(StoreError::Unavailable(why)) if !why.contains("X-Amz")));
    endpoint.fail(Fault::Full, 0, 1);
    assert!(matches!(put(&bucket(&endpoint), "a/b", b"x"), Err(StoreError::Full(_))));
}

#[test]
fn what_is_missing_in_the_environment_is_said_before_any_request() {
    let endpoint = Endpoint::start();
    let why = settings(&endpoint, &[("AWS_SECRET_ACCESS_KEY", "")]).unwrap_err();
    assert!(why.contains("AWS_ACCESS_KEY_ID") && why.contains("aws configure export-credentials --format env"));
    let why = settings(&endpoint, &[("AWS_ALLOW_HTTP", "")]).unwrap_err();
    assert!(why.contains("is not https") && why.contains("AWS_ALLOW_HTTP=true"), "{why}");
    let refused = |url: &str| Bucket::new(url, settings(&endpoint, &[]).unwrap()).unwrap_err();
    assert!(refused("s3://").contains("no name of a bucket"));
    assert!(refused("s3://lab/a b").contains("other letters"));
    assert!(refused("s3://lab/a/../b").contains("other letters"));
    assert_eq!(endpoint.count(), 0);
}

#[test]
fn a_store_that_falls_silent_is_given_up_and_a_broken_answer_is_continued() {
    let endpoint = Endpoint::start();
    let mut settings = settings(&endpoint, &[]).unwrap();
    settings.silence = Duration::from_millis(150);
    let store = Bucket::new("s3://lab", settings).unwrap();
    put(&store, "a/b", CONTENT).unwrap();
    endpoint.fail(Fault::Slow(Duration::from_millis(600)), 0, 1);
    let began = Instant::now();
    assert!(matches!(store.get("a/b", 100), Err(StoreError::Unavailable(_))));
    assert!(began.elapsed() < Duration::from_millis(550));
    endpoint.heal();
    assert_eq!(store.get("a/b", 100).unwrap().unwrap(), CONTENT);
    let mut into = Vec::new();
    endpoint.fail(Fault::Broken(4), 0, 1);
    assert!(matches!(store.read("a/b", 0, &mut into), Err(StoreError::Unavailable(_))));
    assert_eq!(into, &CONTENT[..4]);
    assert!(store.read("a/b", 4, &mut into).unwrap());
    assert_eq!(into, CONTENT);
}

fn cache(endpoint: &Endpoint, folder: &Path, name: &str) -> Cache {
    let pause = Duration::from_micros(50);
    let patience = Patience { first: pause, longest: pause, in_all: pause * 4, stubborn: false };
    let remote = Remote::over(Arc::new(bucket(endpoint)), patience);
    Cache::open_sharing(&folder.join(name), None, Some(remote)).unwrap()
}

/// What a run does with one stage: whether it was computed.
fn run(cache: &Cache) -> bool {
    match cache.lookup(key("distill"), "distill", &mut common::never).unwrap() {
        Lookup::Miss(claim) => {
            commit(cache, claim, "distill", CONTENT);
            true
        }
        Lookup::Hit(_) => false,
    }
}

/// Never a record without its blob, and no blob that is not what its name says.
fn assert_sound(endpoint: &Endpoint) {
    let digest = Digest::of(CONTENT).hex();
    let blob = format!("shared/v1/blobs-v1/{}/{}", &digest[..2], &digest[2..]);
    let objects = endpoint.objects.lock().unwrap();
    let has_record = objects.keys().any(|name| name.contains("records-v1"));
    assert!(!has_record || objects[&blob] == CONTENT);
}

#[test]
fn each_fault_at_each_request_leaves_whole_objects_and_a_true_outbox() {
    let middle = Fault::Broken(CONTENT.len() / 2);
    for fault in [Fault::Unavailable, Fault::LostReply, middle, Fault::WrongByte, Fault::Full] {
        for at in 0.. {
            let (endpoint, folder) = (Endpoint::start(), in_memory());
            endpoint.fail(fault, at, 1);
            let ada = cache(&endpoint, folder.path(), "ada");
            assert!(run(&ada), "{fault:?} at {at}");
            let unsent = ada.finish_sending(&mut || true).unwrap();
            let reached = endpoint.count() > at;
            assert_sound(&endpoint);
            let is_there = endpoint.objects.lock().unwrap().keys().any(|name| name.contains("records-v1"));
            assert_eq!(unsent.records, u64::from(!is_there), "{fault:?} at {at}");
            assert!(is_there || fault == Fault::Full, "{fault:?} at {at} is survived by asking again");
            endpoint.heal();
            // After a refusal nothing more is asked, so that a lease stays until its holder is taken for dead.
            endpoint.objects.lock().unwrap().retain(|name, _| fault != Fault::Full || !name.contains("leases-v1"));
            cache(&endpoint, folder.path(), "ada").push(None, &mut |_, _| {}).unwrap();
            // Then somebody takes it, past the same fault.
            endpoint.fail(fault, at, 1);
            let ben = cache(&endpoint, folder.path(), "ben");
            let computed = run(&ben);
            let got = ben.bring(Digest::of(CONTENT), CONTENT.len() as u64).unwrap();
            assert!(got || computed || fault == Fault::WrongByte || fault == Fault::Full, "{fault:?} at {at}");
            ben.finish_sending(&mut || true).unwrap();
            assert_sound(&endpoint);
            assert!(ben.verify().unwrap().is_clean(), "{fault:?} at {at}");
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn a_wrong_secret_ends_it_at_the_first_request() {
    let (endpoint, folder) = (Endpoint::start(), in_memory());
    let store = bucket_with(&endpoint, "s3://lab/v1", &[("AWS_SECRET_ACCESS_KEY", "wrong")]);
    let remote = Remote::over(Arc::new(store), Patience::default());
    let cache = Cache::open_sharing(&folder.path().join("ada"), None, Some(remote)).unwrap();
    let began = Instant::now();
    assert!(run(&cache));
    assert_eq!(cache.finish_sending(&mut || true).unwrap().records, 1);
    let error = cache.push(None, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, CacheError::Remote { .. }) && error.to_string().contains("AWS_SECRET_ACCESS_KEY"));
    assert_eq!(endpoint.count(), 1);
    assert!(began.elapsed() < Duration::from_secs(2));
}
