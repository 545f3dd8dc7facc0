//! Records from outside: what survives writing, reading and newer programs, and which is a node's latest.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Fixture, claim, commit, key, names, never, record, reseal};
use ddpipe_cache::{CacheError, Circumstances, Digest, Lookup, Provenance, Record, SourceSeen};
use serde_json::{Map, Value, json};
use std::fs;
use std::sync::Arc;

fn full(it: &Fixture) -> Record {
    let (digest, bytes) = it.cache.blobs().put_bytes(b"images").unwrap();
    let source = SourceSeen {
        path: "/data/t10k".into(),
        digest,
        md5: Some("f68b3c2dcbeaaa9fbdd348bbdeb94873".into()),
        sha256: None,
        verified: true,
    };
    let mut record = record(key("full"), "distill[method=dm,seed=0]", digest, bytes);
    record.metrics = [
        ("accuracy", 0.1 + 0.2),
        ("loss", f64::INFINITY),
        ("lowest", f64::NEG_INFINITY),
        ("tiny", 5e-324),
        ("odd", 31.245270191439438),
        ("odder", 121.48791951161945),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into_iter()
    .collect();
    record.asks.insert("results".into(), vec![2, 0]);
    record.sources.insert("mnist/t10k".into(), source);
    record.provenance = Provenance {
        started_unix: 1_795_169_702.123_456,
        seconds: 12.5,
        peak_memory: Some(1 << 33),
        circumstances: Arc::new(Circumstances {
            device: "cuda:0".into(),
            note: vec!["continued at step 400".into()],
            ..Circumstances::default()
        }),
    };
    record
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let it = Fixture::new();
    let record = full(&it);
    let kept = claim(&it.cache, record.key).commit(record.clone()).unwrap();
    assert_eq!((kept.record, kept.other_bytes), (record.clone(), None));
    assert_eq!(it.reopened().peek(record.key).unwrap().as_ref(), Some(&record));
    assert_eq!(it.cache.records().unwrap(), [record]);
    assert!(names(&it.cache.root().join("records-v1/tmp")).is_empty());
    assert!(names(&it.cache.root().join("claims-v1")).is_empty());
}

#[test]
fn a_metric_that_is_not_a_number_survives() {
    let it = Fixture::new();
    let mut record = full(&it);
    record.metrics.insert("diverged".into(), f64::NAN);
    claim(&it.cache, record.key).commit(record.clone()).unwrap();
    assert!(it.cache.peek(record.key).unwrap().unwrap().metrics["diverged"].is_nan());
}

#[test]
fn fields_of_a_newer_program_are_ignored() {
    let it = Fixture::new();
    let record = full(&it);
    claim(&it.cache, record.key).commit(record.clone()).unwrap();
    let path = it.record_path(record.key);
    let mut text: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    text["carbon"] = json!({ "grams": 3 });
    text["outputs"]["out"]["layout"] = json!("nhwc");
    text["provenance"]["driver"] = json!("580.1");
    let Value::Object(mut fields) = text else { panic!() };
    fields.shift_remove("check");
    reseal(&path, fields);
    assert_eq!(it.cache.peek(record.key).unwrap(), Some(record));
}

#[test]
fn a_broken_record_is_set_aside_and_its_key_is_a_miss() {
    let it = Fixture::new();
    let other = it.ran("other", b"b");
    let of_other = fs::read_to_string(it.record_path(other)).unwrap();
    for (index, text) in ["", "{\"format\": 1, \"key\"", "[]", "{\"format\": 1}", &of_other].into_iter().enumerate() {
        let key = it.ran(&format!("node {index}"), b"a");
        fs::write(it.record_path(key), text).unwrap();
        assert_eq!(it.cache.peek(key).unwrap(), None, "{text}");
        assert!(!it.record_path(key).exists());
        assert_eq!(names(&it.cache.root().join("damaged")).len(), index + 1);
        commit(&it.cache, claim(&it.cache, key), "again", b"a");
        assert!(it.cache.peek(key).unwrap().is_some());
    }
}

#[test]
fn a_record_of_a_newer_format_is_a_miss_that_is_left_alone() {
    let it = Fixture::new();
    let key = it.ran("node", b"a");
    it.make_newer(key);
    let newer = fs::read(it.record_path(key)).unwrap();
    assert_eq!(it.cache.record(key).unwrap(), None);
    // Not even by who has run it again: the older program has no right to what the newer one wrote.
    let again = commit(&it.cache, claim(&it.cache, key), "again", b"b");
    assert_eq!(again.node, "again");
    assert_eq!(fs::read(it.record_path(key)).unwrap(), newer);
    assert!(names(&it.cache.root().join("damaged")).is_empty());
}

/// As ddpipe wrote records before they had a checksum.
#[test]
fn a_record_of_the_first_format_is_read_and_its_key_is_computed_again() {
    let it = Fixture::new();
    let key = it.ran("node", b"a");
    let path = it.record_path(key);
    let mut fields: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fields.shift_remove("check");
    fields.shift_remove("measured");
    fields.insert("format".into(), 1.into());
    fields.insert("metrics".into(), json!({ "accuracy": 0.5, "seconds": 3.0 }));
    fs::write(&path, serde_json::to_vec_pretty(&fields).unwrap()).unwrap();
    assert_eq!(it.cache.peek(key).unwrap().unwrap().metrics["seconds"], 3.0);
    fields["description"][1][1] = json!("other");
    fs::write(&path, serde_json::to_vec_pretty(&fields).unwrap()).unwrap();
    assert_eq!(it.cache.peek(key).unwrap(), None);
}

/// Every byte of a record's file, each with one of its bits flipped.
#[test]
fn no_flipped_bit_of_a_record_is_believed() {
    let it = Fixture::new();
    let record = full(&it);
    claim(&it.cache, record.key).commit(record.clone()).unwrap();
    let path = it.record_path(record.key);
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        fs::write(&path, &bytes).unwrap();
        // A bit of the white space between two fields says nothing; then the record is as it was.
        let found = it.cache.record(record.key).unwrap();
        assert!(found.is_none() || found == Some(record.clone()), "byte {place}: {found:?}");
        assert!(found.is_some() || !path.exists(), "byte {place} is believed to be a newer format");
    }
}

#[test]
fn an_edited_number_is_found() {
    let it = Fixture::new();
    let record = full(&it);
    claim(&it.cache, record.key).commit(record.clone()).unwrap();
    let path = it.record_path(record.key);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("31.245270191439438", "91.245270191439438")).unwrap();
    let report = it.cache.verify().unwrap();
    assert_eq!((report.records, report.broken_records), (0, 1));
    assert_eq!(it.cache.peek(record.key).unwrap(), None);
}

#[test]
fn other_bytes_of_one_key_are_told_with_the_numerics_of_both() {
    let it = Fixture::new();
    let key = it.ran("node", b"a");
    let forced = || it.cache.lookup_forced(key, "node", &mut never).unwrap();
    let offer = |content: &[u8]| {
        let (digest, bytes) = it.cache.blobs().put_bytes(content).unwrap();
        record(key, "node", digest, bytes)
    };
    assert_eq!(forced().commit(offer(b"a")).unwrap().other_bytes, None);
    let other = forced().commit(offer(b"b")).unwrap().other_bytes.unwrap();
    assert_eq!((&other.outputs[..], other.kept), (&["out".to_string()][..], false));
    assert!(other.to_string().contains("gave other bytes (out)"), "{other}");
}

#[test]
fn a_commit_needs_its_outputs_and_its_own_key() {
    let it = Fixture::new();
    let lost = record(key("a"), "node", Digest::of(b"never put"), 9);
    let error = claim(&it.cache, key("a")).commit(lost).unwrap_err();
    assert!(matches!(&error, CacheError::OutputMissing { output, .. } if output == "out"), "{error}");

    let (digest, bytes) = it.cache.blobs().put_bytes(b"put").unwrap();
    let short = record(key("a"), "node", digest, bytes + 1);
    assert!(matches!(claim(&it.cache, key("a")).commit(short), Err(CacheError::OutputMissing { .. })));
    let other = record(key("b"), "node", digest, bytes);
    assert!(matches!(claim(&it.cache, key("a")).commit(other), Err(CacheError::OtherKey { .. })));
    assert_eq!(it.cache.records().unwrap(), []);
    assert!(names(&it.cache.root().join("claims-v1")).is_empty());
}

#[test]
fn only_a_forced_claim_replaces_a_complete_record() {
    let it = Fixture::new();
    let claim = claim(&it.cache, key("node"));
    let first = commit(&it.cache, claim, "node", b"first");
    // As when a record arrives from elsewhere while the stage runs.
    let text = fs::read(it.record_path(first.key)).unwrap();
    fs::remove_file(it.record_path(first.key)).unwrap();
    let claim = common::claim(&it.cache, first.key);
    fs::write(it.record_path(first.key), text).unwrap();
    assert_eq!(commit(&it.cache, claim, "node", b"second"), first);
    assert_eq!(it.cache.peek(first.key).unwrap(), Some(first.clone()));

    let forced = it.cache.lookup_forced(first.key, "node", &mut never).unwrap();
    let second = commit(&it.cache, forced, "node", b"second");
    assert_eq!(second.outputs["out"].digest, Digest::of(b"second"));
    assert_eq!(it.cache.peek(first.key).unwrap(), Some(second));
}

#[test]
fn scratch_lasts_until_the_commit() {
    let it = Fixture::new();
    let claim = claim(&it.cache, key("node"));
    let scratch = it.cache.scratch(claim.key()).unwrap();
    fs::write(scratch.join("step-400"), "state").unwrap();
    drop(claim);
    assert_eq!(it.reopened().scratch(key("node")).unwrap(), scratch);
    assert_eq!(names(&scratch), ["step-400"]);
    it.ran("node", b"a");
    assert!(!scratch.exists());
    it.cache.remove_scratch(key("node")).unwrap();
}

#[test]
fn the_newest_record_of_a_node_is_known_without_its_index() {
    let it = Fixture::new();
    for (action, node, started) in
        [("a", "train", 30.0), ("b", "train", 50.0), ("c", "train", 40.0), ("d", "test", 60.0)]
    {
        let (digest, bytes) = it.cache.blobs().put_bytes(action.as_bytes()).unwrap();
        let mut record = record(key(action), node, digest, bytes);
        record.provenance.started_unix = started;
        claim(&it.cache, key(action)).commit(record).unwrap();
    }
    let newest = |node: &str| it.cache.newest_record("pipeline", node).unwrap().map(|record| record.key);
    // The index has what was committed last; the records alone have what was started last.
    assert_eq!(newest("train"), Some(key("c")));
    fs::remove_dir_all(it.cache.root().join("latest-v1")).unwrap();
    assert_eq!(newest("train"), Some(key("b")));
    assert_eq!(newest("test"), Some(key("d")));
    assert_eq!(newest("never ran"), None);
    assert_eq!(it.cache.newest_record("other pipeline", "train").unwrap(), None);

    it.cache.note_latest("pipeline", "train", key("a")).unwrap();
    assert_eq!(newest("train"), Some(key("a")));
    it.cache.note_latest("other pipeline", "train", key("a")).unwrap();
    assert_eq!(it.cache.newest_record("other pipeline", "train").unwrap().unwrap().key, key("a"));

    // The record that the index names is gone: what is left decides.
    fs::remove_file(it.record_path(key("a"))).unwrap();
    assert_eq!(newest("train"), Some(key("b")));
    assert_eq!(it.cache.newest_record("other pipeline", "train").unwrap(), None);
}

#[test]
fn what_a_node_gave_before_is_known_newest_first_with_and_without_the_index() {
    let it = Fixture::new();
    for (number, action) in ["a", "b", "c"].iter().enumerate() {
        let (digest, bytes) = it.cache.blobs().put_bytes(action.as_bytes()).unwrap();
        let mut record = record(key(action), "train", digest, bytes);
        record.provenance.started_unix = number as f64;
        claim(&it.cache, key(action)).commit(record).unwrap();
    }
    let earlier = || -> Vec<_> {
        it.cache.earlier_records("pipeline", "train").unwrap().iter().map(|record| record.key).collect()
    };
    assert_eq!(earlier(), [key("b"), key("a")]);
    // One that is the newest again is not among the earlier ones.
    it.cache.note_latest("pipeline", "train", key("a")).unwrap();
    assert_eq!(earlier(), [key("c"), key("b")]);
    fs::remove_dir_all(it.cache.root().join("latest-v1")).unwrap();
    assert_eq!(earlier(), [key("b"), key("a")]);
    // A record that is gone is passed over.
    fs::remove_file(it.record_path(key("b"))).unwrap();
    assert_eq!(earlier(), [key("a")]);
    assert!(it.cache.earlier_records("other pipeline", "train").unwrap().is_empty());
}

#[test]
fn a_hit_marks_the_record_as_used() {
    let it = Fixture::new();
    let key = it.ran("node", b"a");
    it.age(key, b"a", 5);
    let before = fs::metadata(it.record_path(key)).unwrap().modified().unwrap();
    it.cache.peek(key).unwrap().unwrap();
    assert_eq!(fs::metadata(it.record_path(key)).unwrap().modified().unwrap(), before);
    assert!(matches!(it.cache.lookup(key, "node", &mut never).unwrap(), Lookup::Hit(_)));
    assert!(fs::metadata(it.record_path(key)).unwrap().modified().unwrap() > before + common::HOUR);
}
