//! Tests of the stat cache that need its clock.
#![allow(clippy::unwrap_used)]

use super::*;
use std::fs;
use std::time::Duration;

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(10)
}

/// Plants a wrong digest for what is remembered, so that an answer from memory can be told from a reading.
fn plant(stat: &StatCache, path: &Path) -> Digest {
    let wrong = Digest::of(b"planted");
    stat.state().files.get_mut(path.to_str().unwrap()).unwrap().seen.digest = wrong;
    wrong
}

#[test]
fn an_unchanged_file_is_read_once_and_a_changed_one_of_the_same_size_again() {
    let folder = tempfile::tempdir().unwrap();
    let stat = Cache::open(&folder.path().join("cache")).unwrap().stat_cache();
    let file = folder.path().join("images");
    fs::write(&file, "before").unwrap();
    assert_eq!(stat.digest_at(&file, &[], later()).unwrap().digest, Digest::of(b"before"));
    let planted = plant(&stat, &file);
    assert_eq!(stat.digest_at(&file, &[], later()).unwrap().digest, planted);

    // Same size, and the same modification time: the time of the inode's change gives it away.
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    fs::write(&file, "behind").unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    assert_eq!(stat.digest_at(&file, &[], later()).unwrap().digest, Digest::of(b"behind"));
}

#[test]
fn a_file_modified_just_before_it_is_read_is_not_trusted_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let stat = Cache::open(&folder.path().join("cache")).unwrap().stat_cache();
    let file = folder.path().join("images");
    fs::write(&file, "fresh").unwrap();
    stat.digest_of(&file, &[]).unwrap();
    assert!(stat.state().files.is_empty());
}

#[test]
fn a_file_whose_time_lies_ahead_is_read_once_too() {
    let folder = tempfile::tempdir().unwrap();
    let stat = Cache::open(&folder.path().join("cache")).unwrap().stat_cache();
    let file = folder.path().join("images");
    fs::write(&file, "of a camera").unwrap();
    let ahead = SystemTime::now() + Duration::from_secs(1 << 28);
    File::options().write(true).open(&file).unwrap().set_modified(ahead).unwrap();
    stat.digest_of(&file, &[]).unwrap();
    assert!(stat.state().files.is_empty(), "it was changed just now");
    stat.digest_at(&file, &[], later()).unwrap();
    let planted = plant(&stat, &file);
    assert_eq!(stat.digest_at(&file, &[], later()).unwrap().digest, planted);
}

#[test]
fn an_asked_checksum_is_added_and_the_others_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let stat = Cache::open(&folder.path().join("cache")).unwrap().stat_cache();
    let file = folder.path().join("abc");
    fs::write(&file, "abc").unwrap();
    assert_eq!(stat.digest_at(&file, &[], later()).unwrap().md5, None);
    // RFC 1321, appendix A.5, and FIPS 180-2, appendix B.1.
    let seen = stat.digest_at(&file, &[Algorithm::Md5], later()).unwrap();
    assert_eq!(seen.md5.as_deref(), Some("900150983cd24fb0d6963f7d28e17f72"));
    let seen = stat.digest_at(&file, &[Algorithm::Sha256], later()).unwrap();
    assert_eq!(seen.md5.as_deref(), Some("900150983cd24fb0d6963f7d28e17f72"));
    assert_eq!(seen.sha256.as_deref(), Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

#[test]
fn what_was_saved_is_known_to_the_next_process_and_can_be_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    let file = folder.path().join("images");
    fs::write(&file, "content").unwrap();
    let stat = cache.stat_cache();
    stat.digest_at(&file, &[], later()).unwrap();
    let planted = plant(&stat, &file);
    stat.save().unwrap();
    assert_eq!(cache.stat_cache().digest_of(&file, &[]).unwrap().digest, planted);
    for spoilt in ["", "{", "[1]"] {
        fs::write(cache.layout().stat(), spoilt).unwrap();
        assert_eq!(cache.stat_cache().digest_of(&file, &[]).unwrap().digest, Digest::of(b"content"));
    }
    fs::remove_file(cache.layout().stat()).unwrap();
    assert_eq!(cache.stat_cache().digest_of(&file, &[]).unwrap().digest, Digest::of(b"content"));
}
