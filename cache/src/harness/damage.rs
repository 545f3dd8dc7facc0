//! Single flipped bits. A damaged file is either noticed, or says what it said before: nothing false is ever believed.
//! `cache/tests/records.rs` does the same to every byte of a record.

use super::deeds::{BEFORE, commit, content, digests, key};
use super::scene::furnish;
use super::{Chance, folder, soak};
use crate::{Cache, CacheError, Digest, RunSeen};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Flips one bit and keeps the file's place and mode.
fn flip(path: &Path, bit: usize) -> Vec<u8> {
    let whole = fs::read(path).unwrap();
    let mut bytes = whole.clone();
    bytes[bit / 8] ^= 1 << (bit % 8);
    overwrite(path, &bytes);
    whole
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

/// The bits of a file that are tried: one of every byte, or in the long form all.
fn bits(bytes: usize, chance: &mut Chance) -> Vec<usize> {
    if soak() > 1 {
        return (0..8 * bytes).collect();
    }
    (0..bytes).map(|byte| 8 * byte + chance.below(8)).collect()
}

#[test]
fn a_flipped_bit_of_a_blob_is_noticed_and_healed() {
    let folder = folder();
    let root = folder.path().join("cache");
    let before = furnish(&root);
    let mut chance = Chance(3);
    let flips = 300 * soak();
    for number in 0..flips {
        let node = BEFORE[chance.below(BEFORE.len())];
        let bytes = &content(node)[chance.below(2)];
        let digest = Digest::of(bytes);
        flip(&before.blobs().path(digest), chance.below(8 * bytes.len()));
        let cache = Cache::open(&root).unwrap();
        let noticed = match number % 3 {
            0 => matches!(cache.blobs().read_verified(digest), Err(CacheError::Damaged { .. })),
            1 => matches!(cache.blobs().verify_once(digest), Err(CacheError::Damaged { .. })),
            _ => cache.verify().unwrap().damaged.len() == 1,
        };
        assert!(noticed, "flip {number} of {node}");
        for node in BEFORE {
            commit(&cache, node, false).unwrap();
        }
        assert_eq!(Cache::open(&root).unwrap().blobs().read_verified(digest).unwrap(), *bytes);
        cache.verify().unwrap().is_clean().then_some(()).unwrap();
    }
    println!("damage: {flips} flips in blobs, 0 accepted wrongly");
}

#[test]
fn a_flipped_bit_of_the_digests_of_files_costs_a_reading() {
    let folder = folder();
    let cache = furnish(&folder.path().join("cache"));
    let later = SystemTime::now() + Duration::from_secs(10);
    let files = ["one", "two", "three"].map(|name| folder.path().join(name));
    let stat = cache.stat_cache();
    for file in &files {
        fs::write(file, file.as_os_str().as_encoded_bytes()).unwrap();
        stat.digest_at(file, &[], later).unwrap();
    }
    stat.save().unwrap();
    let path = cache.layout().stat();
    let bits = bits(fs::read(&path).unwrap().len(), &mut Chance(5));
    for &bit in &bits {
        let whole = flip(&path, bit);
        let stat = cache.stat_cache();
        for file in &files {
            let seen = stat.digest_at(file, &[], later).unwrap();
            assert_eq!(seen.digest, Digest::of(file.as_os_str().as_encoded_bytes()), "bit {bit}");
        }
        overwrite(&path, &whole);
    }
    println!("damage: {} flips in the digests of files, 0 accepted wrongly", bits.len());
}

#[test]
fn a_flipped_bit_of_the_newest_record_of_a_node_is_looked_through() {
    let folder = folder();
    let cache = furnish(&folder.path().join("cache"));
    let entries = || fs::read_dir(cache.layout().latest()).unwrap().map(|entry| entry.unwrap().path());
    let mut flips = 0;
    for path in entries().filter(|path| fs::metadata(path).unwrap().len() > 0) {
        for bit in bits(64, &mut Chance(7)) {
            let whole = flip(&path, bit);
            for node in BEFORE {
                let found = cache.newest_record("pipeline", node).unwrap().unwrap();
                assert_eq!((found.key, digests(&found).len()), (key(node), 2), "bit {bit}");
            }
            overwrite(&path, &whole);
            flips += 1;
        }
    }
    println!("damage: {flips} flips in the newest records of nodes, 0 accepted wrongly");
    assert!(flips >= 3 * 64);
}

#[test]
fn a_flipped_bit_of_what_a_run_reached_is_noticed() {
    let folder = folder();
    let root = folder.path().join("cache");
    let cache = furnish(&root);
    // Everything but the time of the file, which the flips change.
    let seen = || {
        let runs = cache.runs().unwrap().into_iter();
        runs.map(|run| RunSeen { used: SystemTime::UNIX_EPOCH, ..run }).collect::<Vec<_>>()
    };
    let runs = seen();
    assert_eq!(runs[0].reached, [key("pinned")]);
    let path = runs[0].path.join("reached.json");
    let mut flips = 0;
    for bit in bits(fs::read(&path).unwrap().len(), &mut Chance(11)) {
        let whole = flip(&path, bit);
        let seen = seen();
        assert!(seen.is_empty() || seen == runs, "bit {bit}: {seen:?}");
        overwrite(&path, &whole);
        flips += 1;
    }
    // The number of the last run: damage must not let a later run seem older.
    let path = root.join("runs/last");
    for bit in 0..8 * fs::read(&path).unwrap().len() {
        let whole = flip(&path, bit);
        let run = cache.new_run("pipeline").unwrap();
        let newest = cache.runs().unwrap().pop().unwrap();
        assert_eq!((newest.id.as_str(), newest.number), (run.id(), runs[0].number + 1), "bit {bit}");
        let folder = run.path().to_path_buf();
        drop(run);
        fs::remove_dir_all(folder).unwrap();
        overwrite(&path, &whole);
        flips += 1;
    }
    println!("damage: {flips} flips in what runs reached, 0 accepted wrongly");
}
