//! Blobs from outside: whole or absent, read-only, and never trusted when damaged.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, claim, commit, flip_bit, key, names};
use ddpipe_cache::{Cache, CacheError, Digest, Lookup};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Content that ends in an error after its first bytes, as when the writer is killed.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        if self.0 > 3 {
            return Err(io::Error::other("the line went dead"));
        }
        buffer[..4].copy_from_slice(b"some");
        Ok(4)
    }
}

#[test]
fn a_new_cache_keeps_backups_and_git_out() {
    let it = Fixture::new();
    let tag = fs::read_to_string(it.cache.root().join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    assert_eq!(fs::read_to_string(it.cache.root().join(".gitignore")).unwrap(), "*\n");
    assert_eq!(
        names(it.cache.root()),
        [".gitignore", "CACHEDIR.TAG", "blobs-v1", "claims-v1", "damaged", "records-v1", "runs", "scratch"]
    );
}

#[test]
fn a_cache_cannot_be_opened_where_a_file_is_in_the_way() {
    let it = Fixture::new();
    let file = it.outside("file");
    fs::write(&file, "").unwrap();
    let error = Cache::open(&file.join("cache")).unwrap_err().to_string();
    assert!(error.starts_with("could not create ") && error.contains("file/cache"), "{error}");
}

#[test]
fn a_blob_is_read_only_and_is_named_by_its_content() {
    let it = Fixture::new();
    let (digest, bytes) = it.cache.blobs().put_bytes(b"tensors").unwrap();
    assert_eq!((digest, bytes), (Digest::of(b"tensors"), 7));
    let path = it.cache.blobs().path(digest);
    assert!(path.ends_with(format!("blobs-v1/{}/{}", &digest.hex()[..2], &digest.hex()[2..])));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o444);
    assert_eq!(it.cache.blobs().contains(digest).unwrap(), Some(7));
    assert_eq!(it.cache.blobs().read_verified(digest).unwrap(), b"tensors");
    let mut text = String::new();
    it.cache.blobs().open(digest).unwrap().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "tensors");
}

#[test]
fn every_way_of_putting_gives_the_same_blob_and_an_existing_one_stays() {
    let it = Fixture::new();
    let content = vec![7u8; 3 << 20];
    let digest = Digest::of(&content);
    let file = it.outside("file");
    fs::write(&file, &content).unwrap();
    let blobs = it.cache.blobs();
    assert_eq!(blobs.put_file(&file).unwrap(), (digest, content.len() as u64));
    let inode = fs::metadata(blobs.path(digest)).unwrap().ino();
    blobs.put_with_digest(digest, &content).unwrap();
    assert_eq!(blobs.put(digest, &mut Broken(0)).unwrap(), content.len() as u64);
    assert_eq!(blobs.put_file(&file).unwrap().0, digest);
    assert_eq!(fs::metadata(blobs.path(digest)).unwrap().ino(), inode);
    assert!(names(&it.cache.root().join("blobs-v1/tmp")).is_empty());
}

#[test]
fn a_put_that_ends_half_way_leaves_nothing_behind() {
    let it = Fixture::new();
    let digest = Digest::of(b"somesomesomesome");
    assert!(matches!(it.cache.blobs().put(digest, &mut Broken(0)), Err(CacheError::Io { .. })));
    assert_eq!(it.cache.blobs().contains(digest).unwrap(), None);
    assert_eq!(names(&it.cache.root().join("blobs-v1")), ["tmp"]);
    assert!(names(&it.cache.root().join("blobs-v1/tmp")).is_empty());
}

#[test]
fn what_a_killed_put_left_aside_is_not_a_blob() {
    let it = Fixture::new();
    let digest = Digest::of(b"whole");
    fs::write(it.cache.root().join("blobs-v1/tmp/.tmpA1b2C3"), b"who").unwrap();
    fs::write(it.cache.root().join("blobs-v1/tmp").join(&digest.hex()[2..]), b"who").unwrap();
    assert_eq!(it.cache.blobs().contains(digest).unwrap(), None);
    assert_eq!(it.cache.verify().unwrap().whole, 0);
    it.cache.blobs().put_bytes(b"whole").unwrap();
    assert_eq!(it.cache.blobs().read_verified(digest).unwrap(), b"whole");
}

#[test]
fn content_of_another_digest_is_refused() {
    let it = Fixture::new();
    let digest = Digest::of(b"promised");
    let error = it.cache.blobs().put(digest, &mut &b"delivered"[..]).unwrap_err();
    assert!(matches!(error, CacheError::OtherContent { expected, .. } if expected == digest), "{error}");
    assert_eq!(it.cache.blobs().contains(digest).unwrap(), None);
    assert_eq!(it.cache.blobs().put(Digest::of(b"delivered"), &mut &b"delivered"[..]).unwrap(), 9);
}

#[test]
fn a_missing_blob_is_named() {
    let it = Fixture::new();
    let digest = Digest::of(b"never put");
    let error = it.cache.blobs().read_verified(digest).unwrap_err();
    assert!(matches!(error, CacheError::Missing { digest: missing, .. } if missing == digest), "{error}");
    assert!(matches!(it.cache.blobs().verify_once(digest), Err(CacheError::Missing { .. })));
    assert!(it.cache.blobs().open(digest).unwrap().is_none());
}

#[test]
fn a_flipped_bit_is_found_at_the_first_reading_and_the_stage_runs_again() {
    for verify_only in [false, true] {
        let it = Fixture::new();
        let key = it.ran("decode", b"pixels");
        let path = it.blob_path(b"pixels");
        flip_bit(&path);
        let damaged = fs::read(&path).unwrap();

        let cache = it.reopened();
        let digest = Digest::of(b"pixels");
        assert!(matches!(cache.lookup(key, "decode", &mut common::never).unwrap(), Lookup::Hit(_)));
        let error = match verify_only {
            true => cache.blobs().verify_once(digest).unwrap_err(),
            false => cache.blobs().read_verified(digest).unwrap_err(),
        };
        let CacheError::Damaged { digest: named, path: aside } = error else { panic!("{error}") };
        assert_eq!(named, digest);
        assert_eq!(fs::read(&aside).unwrap(), damaged);
        assert!(aside.starts_with(cache.root().join("damaged")) && !path.exists());

        let claim = claim(&cache, key);
        commit(&cache, claim, "decode", b"pixels");
        assert_eq!(cache.blobs().read_verified(digest).unwrap(), b"pixels");
    }
}

#[test]
fn a_blob_is_hashed_once_in_a_process() {
    let it = Fixture::new();
    it.ran("decode", b"pixels");
    let cache = it.reopened();
    let digest = Digest::of(b"pixels");
    cache.blobs().verify_once(digest).unwrap();
    flip_bit(&it.blob_path(b"pixels"));
    assert!(cache.blobs().read_verified(digest).is_ok());
    assert!(it.reopened().blobs().read_verified(digest).is_err());
}

#[test]
fn a_truncated_blob_is_a_miss_and_is_replaced() {
    let it = Fixture::new();
    let key = it.ran("decode", b"pixels");
    let path = it.blob_path(b"pixels");
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"pix").unwrap();
    assert_eq!(it.cache.peek(key).unwrap(), None);
    assert_eq!(it.cache.lost_outputs(&it.cache.record(key).unwrap().unwrap()).unwrap(), ["out"]);
    commit(&it.cache, claim(&it.cache, key), "decode", b"pixels");
    assert_eq!(it.reopened().blobs().read_verified(Digest::of(b"pixels")).unwrap(), b"pixels");
    assert!(it.cache.peek(key).unwrap().is_some());
}

#[test]
fn verify_finds_what_is_damaged_and_which_records_it_costs() {
    let it = Fixture::new();
    it.ran("good", b"good");
    let bad = it.ran("bad", b"bad");
    let lost = it.ran("lost", b"lost");
    let broken = it.ran("broken", b"broken");
    assert!(it.cache.verify().unwrap().is_clean());
    flip_bit(&it.blob_path(b"bad"));
    fs::remove_file(it.blob_path(b"lost")).unwrap();
    fs::write(it.record_path(broken), "{").unwrap();

    let report = it.cache.verify().unwrap();
    assert!(!report.is_clean());
    assert_eq!((report.whole, report.bytes, report.records, report.broken_records), (2, 10, 3, 1));
    assert_eq!(report.damaged.iter().map(|blob| blob.digest).collect::<Vec<_>>(), [Digest::of(b"bad")]);
    let mut incomplete: Vec<_> = report.incomplete.iter().map(|it| (it.key, it.node.as_str())).collect();
    incomplete.sort_by_key(|(_, node)| *node);
    assert_eq!(incomplete, [(bad, "bad"), (lost, "lost")]);
    assert_eq!(names(&it.cache.root().join("damaged")).len(), 2);
    assert_eq!(it.cache.peek(key("good")).unwrap().unwrap().node, "good");
}
