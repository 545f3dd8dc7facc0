//! A cache folder with a remote: what comes from there and goes there, and what each fault of the store at each request
//! may cost. A store in memory, so that hundreds of faults take a second.
#![allow(clippy::unwrap_used)]

#[path = "common/mod.rs"]
mod common;
#[path = "common/faulty.rs"]
mod faulty;

use common::{claim, commit, flip_bit, in_memory, key, names};
use ddpipe_cache::shared::{Folder, Patience, Remote, Store, StoreError, Unsent};
use ddpipe_cache::{Cache, CacheError, Digest, Key, Lookup};
use faulty::{Fault, Faulty};
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const CONTENT: &[u8] = b"a distilled set";
const FAULTS: [Fault; 7] =
    [Fault::Unavailable, Fault::ReplyLost, Fault::Broken, Fault::Cut, Fault::WrongByte, Fault::Denied, Fault::ReadOnly];

/// Several cache folders and one remote.
struct Lab {
    folder: TempDir,
    store: Arc<Faulty>,
}

impl Lab {
    fn new() -> Self {
        Lab { folder: in_memory(), store: Faulty::new() }
    }

    /// A cache folder of this name, opened as by a new process.
    fn cache(&self, name: &str) -> Cache {
        self.patient(name, 4)
    }

    /// One that waits for the store so many times.
    fn patient(&self, name: &str, times: u32) -> Cache {
        let pause = Duration::from_micros(50);
        let patience = Patience { first: pause, longest: pause, in_all: pause * times, stubborn: false };
        let remote = Remote::over(self.store.clone(), patience);
        Cache::open_sharing(&self.path(name), None, Some(remote)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a run does with one stage: its record, and whether it was computed.
    fn run(&self, cache: &Cache, node: &str) -> bool {
        match cache.lookup(key(node), node, &mut common::never).unwrap() {
            Lookup::Miss(claim) => {
                commit(cache, claim, node, CONTENT);
                true
            }
            Lookup::Hit(_) => false,
        }
    }

    /// As a run of one stage that is over.
    fn give(&self, name: &str, node: &str) {
        let cache = self.cache(name);
        assert!(self.run(&cache, node));
        assert_eq!(sent(&cache), Unsent::default());
    }

    /// Never a record without its blobs, and no object that is not what its name says.
    fn assert_sound(&self) {
        let objects = self.store.inner.objects();
        for (name, bytes) in objects.iter() {
            if let Some(hex) = name.strip_prefix("blobs-v1/") {
                assert_eq!(Digest::of(bytes).hex(), hex.replacen('/', "", 1), "{name}");
            }
            if name.starts_with("records-v1/") {
                let record: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                for (_, output) in record["outputs"].as_object().unwrap() {
                    let digest = output["digest"].as_str().unwrap();
                    let blob = format!("blobs-v1/{}/{}", &digest[..2], &digest[2..]);
                    assert!(objects.contains_key(&blob), "{name} names {blob}, which is not there");
                }
            }
        }
    }

    fn has_record(&self, key: Key) -> bool {
        let hex = key.hex();
        self.store.inner.objects().contains_key(&format!("records-v1/{}/{}.json", &hex[..2], &hex[2..]))
    }
}

fn sent(cache: &Cache) -> Unsent {
    cache.finish_sending(&mut || true).unwrap()
}

#[test]
fn what_one_folder_computes_another_takes() {
    let lab = Lab::new();
    let (ada, ben) = (lab.cache("ada"), lab.cache("ben"));
    assert!(lab.run(&ada, "distill"));
    assert_eq!(sent(&ada), Unsent::default());
    lab.assert_sound();
    assert!(!lab.run(&ben, "distill"), "it is on record there");
    let record = ben.peek(key("distill")).unwrap().unwrap();
    let output = &record.outputs["out"];
    assert!(!ben.is_here(output.digest, output.bytes).unwrap(), "nobody needed the bytes");
    assert_eq!(ben.blobs().read_verified(output.digest).unwrap(), CONTENT);
    assert!(ben.is_here(output.digest, output.bytes).unwrap());
    assert!(ben.verify().unwrap().is_clean());
}

#[test]
fn many_records_are_looked_for_at_once_and_each_once() {
    let lab = Lab::new();
    let nodes: Vec<String> = (0..100).map(|number| format!("node {number}")).collect();
    let ada = lab.cache("ada");
    nodes.iter().take(60).for_each(|node| assert!(lab.run(&ada, node)));
    assert_eq!(sent(&ada), Unsent::default());
    let ben = lab.cache("ben");
    let keys: Vec<Key> = nodes.iter().map(|node| key(node)).collect();
    let before = lab.store.count();
    ben.look_ahead("digits", &keys);
    // One for the remote's mark, one for packs, of which there are none.
    assert_eq!(lab.store.count() - before, keys.len() + 2);
    let found = keys.iter().filter(|key| ben.peek(**key).unwrap().is_some()).count();
    assert_eq!((found, lab.store.count() - before), (60, keys.len() + 2), "also what is absent is known");
}

/// A run of these nodes, with its folder and its pack.
fn run_of(lab: &Lab, cache: &Cache, nodes: &[String]) {
    let run = cache.new_run("digits").unwrap();
    for node in nodes {
        lab.run(cache, node);
    }
    run.pin(&nodes.iter().map(|node| key(node)).collect::<Vec<_>>()).unwrap();
    assert_eq!(sent(cache), Unsent::default());
    cache.pack(&run).unwrap();
}

#[test]
fn who_begins_with_nothing_reads_packs_and_asks_for_what_they_lack() {
    let lab = Lab::new();
    let nodes: Vec<String> = (0..500).map(|number| format!("node {number}")).collect();
    let keys: Vec<Key> = nodes.iter().map(|node| key(node)).collect();
    run_of(&lab, &lab.cache("ada"), &nodes);
    let packs = || lab.store.inner.list("packs-v1").unwrap();
    assert_eq!(packs().len(), 1);
    // The mark, the list and the pack.
    let ben = lab.cache("ben");
    let before = lab.store.count();
    ben.look_ahead("digits", &keys);
    assert!(keys.iter().all(|key| ben.peek(*key).unwrap().is_some()));
    assert_eq!(lab.store.count() - before, 3);
    assert!(!lab.run(&ben, "node 7"), "and the rest of it is believed");
    assert_eq!(ben.blobs().read_verified(ben.peek(keys[7]).unwrap().unwrap().outputs["out"].digest).unwrap(), CONTENT);

    // Who finds everything in packs writes none, nor does who adds little; who adds much does, and three stay.
    run_of(&lab, &ben, &nodes);
    run_of(&lab, &ben, &[&nodes[..], &["one more".to_string()]].concat());
    assert_eq!(packs().len(), 1);
    for round in 0..4 {
        let more: Vec<String> = (0..16).map(|number| format!("more {round} {number}")).collect();
        run_of(&lab, &ben, &[&nodes[..], &more].concat());
    }
    assert_eq!(packs().len(), 3);

    // A pack that is damaged or of a stranger is left out: each record is asked for.
    for (name, _) in packs() {
        lab.store.inner.put(&name, 4, &mut &b"none"[..]).unwrap();
    }
    let cleo = lab.cache("cleo");
    cleo.look_ahead("digits", &keys);
    assert!(keys.iter().all(|key| cleo.peek(*key).unwrap().is_some()));
    // Another pipeline has packs of its own.
    let dora = lab.cache("dora");
    let before = lab.store.count();
    dora.look_ahead("letters", &keys);
    assert_eq!(lab.store.count() - before, keys.len() + 2);
}

/// A bucket that is asked for too much at once says so, and has time.
#[test]
fn pauses_of_requests_at_the_same_time_are_one() {
    let lab = Lab::new();
    let keys: Vec<Key> = (0..64).map(|number| key(&format!("node {number}"))).collect();
    let pause = Duration::from_millis(20);
    let patience = Patience { first: pause, longest: pause * 8, in_all: pause * 100, stubborn: false };
    let remote = Remote::over(lab.store.clone(), patience);
    let cache = Cache::open_sharing(&lab.path("ada"), None, Some(remote)).unwrap();
    // Behind the remote's mark, the list of packs and the first record; added up they would be given up after fewer.
    lab.store.fail(Fault::Unavailable, 3, 150);
    cache.look_ahead("digits", &keys);
    assert_eq!(lab.store.count(), 2 + keys.len() + 150, "each was answered in the end");
}

#[test]
fn a_store_that_refuses_now_and_then_is_not_given_up() {
    let lab = Lab::new();
    let first = Duration::from_millis(4);
    let patience = Patience { first, longest: first, in_all: first * 2, stubborn: false };
    let remote = Remote::over(lab.store.clone(), patience);
    let cache = Cache::open_sharing(&lab.path("ada"), None, Some(remote)).unwrap();
    for number in 0..10 {
        // Each of these costs half of the patience, and a run makes more than ten requests.
        lab.store.fail(Fault::Unavailable, 3, 1);
        assert!(lab.run(&cache, &format!("node {number}")));
        assert_eq!(sent(&cache), Unsent::default(), "node {number}");
    }
    // One that never answers is.
    lab.store.fail(Fault::Unavailable, 0, usize::MAX);
    lab.run(&cache, "another");
    assert_eq!(sent(&cache).records, 1);
}

#[test]
fn what_is_on_record_here_makes_no_request() {
    let lab = Lab::new();
    let cache = lab.cache("ada");
    lab.run(&cache, "distill");
    sent(&cache);
    // Also where only the record is here.
    lab.run(&lab.cache("ben"), "distill");
    let before = lab.store.count();
    for name in ["ada", "ben"] {
        let cache = lab.cache(name);
        for _ in 0..3 {
            assert!(cache.peek(key("distill")).unwrap().is_some());
            assert!(!lab.run(&cache, "distill"));
        }
        cache.send_waiting().unwrap();
        assert_eq!(sent(&cache), Unsent::default());
    }
    assert_eq!(lab.store.count(), before);
}

#[test]
fn each_fault_at_each_request_of_a_publication_leaves_whole_objects_and_a_true_outbox() {
    for fault in FAULTS {
        for at in 0.. {
            let lab = Lab::new();
            lab.store.fail(fault, at, 1);
            let cache = lab.cache("ada");
            assert!(lab.run(&cache, "distill"), "{fault:?} at {at}");
            let unsent = sent(&cache);
            let (reached, is_there) = (lab.store.count() > at, lab.has_record(key("distill")));
            lab.assert_sound();
            assert_eq!(unsent.records, u64::from(!is_there), "{fault:?} at {at}");
            if !matches!(fault, Fault::Denied | Fault::ReadOnly) {
                assert!(is_there, "{fault:?} at {at} is survived by asking again");
            }
            // The next command sends the rest.
            lab.store.heal();
            let cache = lab.cache("ada");
            cache.send_waiting().unwrap();
            assert_eq!(sent(&cache), Unsent::default(), "{fault:?} at {at}");
            assert!(lab.has_record(key("distill")));
            assert!(!lab.run(&lab.cache("ben"), "distill"));
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn each_fault_at_each_request_of_a_taking_ends_with_the_right_bytes() {
    let bytes = Digest::of(CONTENT);
    for fault in FAULTS {
        for at in 0.. {
            let lab = Lab::new();
            lab.give("ada", "distill");
            lab.store.fail(fault, at, 1);
            let ben = lab.cache("ben");
            let computed = lab.run(&ben, "distill");
            assert_eq!(ben.blobs().read_verified(bytes).unwrap_or_else(|_| CONTENT.to_vec()), CONTENT);
            let reached = lab.store.count() > at;
            sent(&ben);
            if !computed && !ben.is_here(bytes, CONTENT.len() as u64).unwrap() {
                // It was doubted: its maker runs again, and the next one finds it whole.
                assert!(lab.run(&ben, "distill"), "{fault:?} at {at}");
            }
            lab.store.heal();
            lab.assert_sound();
            assert!(ben.verify().unwrap().is_clean(), "{fault:?} at {at}");
            if !reached {
                break;
            }
        }
    }
}

#[test]
fn a_wrong_secret_ends_it_at_once() {
    let lab = Lab::new();
    lab.store.fail(Fault::Denied, 0, usize::MAX);
    // A test that paused would not end.
    let hours = Duration::from_secs(3600);
    let patience = Patience { first: hours, longest: hours, in_all: hours, stubborn: false };
    let remote = Remote::over(lab.store.clone(), patience);
    let cache = Cache::open_sharing(&lab.path("ada"), None, Some(remote)).unwrap();
    lab.run(&cache, "distill");
    lab.run(&cache, "evaluate");
    assert_eq!(sent(&cache).records, 2);
    assert_eq!(lab.store.count(), 1, "after the first refusal nothing more is asked");
    let error = cache.push(None, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, CacheError::Remote { .. }) && error.to_string().contains("refuses"), "{error}");
}

#[test]
fn a_store_that_takes_nothing_is_read_all_the_same() {
    let lab = Lab::new();
    lab.give("ada", "distill");
    lab.store.fail(Fault::ReadOnly, 0, usize::MAX);
    let ben = lab.cache("ben");
    let run = ben.new_run("pipeline").unwrap();
    assert!(lab.run(&ben, "evaluate"), "it is not there, and no lease can be taken");
    run.pin(&[key("evaluate")]).unwrap();
    assert!(!lab.run(&ben, "distill"), "it is on record there");
    assert!(ben.bring(Digest::of(CONTENT), CONTENT.len() as u64).unwrap());
    assert_eq!(sent(&ben).records, 1, "what was computed waits for a store that takes it");
    let refused = lab.cache("ben").push(None, &mut |_, _| {}).unwrap_err();
    assert!(refused.to_string().contains("refuses"), "{refused}");
    lab.store.heal();
    lab.cache("ben").push(None, &mut |_, _| {}).unwrap();
    assert!(lab.has_record(key("evaluate")));
}

#[test]
fn a_store_that_is_silent_is_left_alone_after_a_while_and_loses_nothing() {
    let lab = Lab::new();
    lab.store.fail(Fault::Unavailable, 0, usize::MAX);
    let cache = lab.patient("ada", 3);
    for node in ["one", "two", "three"] {
        assert!(lab.run(&cache, node));
    }
    assert_eq!(sent(&cache), Unsent { records: 3, bytes: 3 * CONTENT.len() as u64 });
    assert!(lab.store.count() <= 6, "{} requests", lab.store.count());
    lab.store.heal();
    let pushed = lab.cache("ada").push(None, &mut |_, _| {}).unwrap();
    assert_eq!((pushed.records, pushed.before), (3, 0));
    assert_eq!(lab.cache("ada").unsent().unwrap(), Unsent::default());
    let again = lab.cache("ada").push(None, &mut |_, _| {}).unwrap();
    assert_eq!((again.records, again.before), (0, 3));
}

/// What a damaged object in the remote costs: its maker runs once, and the object is whole afterwards.
#[test]
fn a_spoilt_blob_is_doubted_made_again_and_whole_afterwards() {
    let digest = Digest::of(CONTENT);
    let name = format!("blobs-v1/{}/{}", &digest.hex()[..2], &digest.hex()[2..]);
    let spoils: [fn(&mut Vec<u8>); 3] = [|bytes| bytes[0] ^= 1, |bytes| bytes.truncate(3), |bytes| bytes.push(0)];
    for spoil in 0..4 {
        let lab = Lab::new();
        lab.give("ada", "distill");
        match spoils.get(spoil) {
            Some(spoil) => spoil(lab.store.inner.objects().get_mut(&name).unwrap()),
            None => lab.store.delete(std::slice::from_ref(&name)).unwrap(),
        }
        let ben = lab.cache("ben");
        assert!(!lab.run(&ben, "distill"), "nothing was read yet");
        assert!(!ben.bring(digest, CONTENT.len() as u64).unwrap());
        assert!(!ben.bring(digest, CONTENT.len() as u64).unwrap());
        assert!(lab.run(&ben, "distill"), "its output counts as lost");
        sent(&ben);
        lab.assert_sound();
        assert!(lab.cache("eve").bring(digest, CONTENT.len() as u64).unwrap());
        assert!(ben.verify().unwrap().is_clean());
    }
}

/// Another process than the one that met the damage.
#[test]
fn what_was_found_to_be_damaged_is_known_to_later_processes_and_sent_anew() {
    let digest = Digest::of(CONTENT);
    let name = format!("blobs-v1/{}/{}", &digest.hex()[..2], &digest.hex()[2..]);
    for by_push in [true, false] {
        let lab = Lab::new();
        lab.give("ada", "distill");
        lab.store.inner.objects().get_mut(&name).unwrap()[0] ^= 1;
        assert!(!lab.run(&lab.cache("ben"), "distill"), "nothing was read yet");
        assert!(!lab.cache("ben").bring(digest, CONTENT.len() as u64).unwrap());
        assert!(lab.cache("ben").peek(key("distill")).unwrap().is_none(), "its output counts as lost");
        if by_push {
            let ada = lab.cache("ada");
            assert_eq!(ada.push(None, &mut |_, _| {}).unwrap().records, 0, "its length is right there");
            lab.store.inner.objects().get_mut(&name).unwrap().pop();
            assert_eq!(ada.push(None, &mut |_, _| {}).unwrap().records, 1);
        } else {
            let ben = lab.cache("ben");
            assert!(lab.run(&ben, "distill"));
            sent(&ben);
        }
        lab.assert_sound();
        assert!(lab.cache("eve").bring(digest, CONTENT.len() as u64).unwrap());
    }
}

#[test]
fn a_record_of_the_remote_that_does_not_prove_right_counts_as_absent() {
    let lab = Lab::new();
    lab.give("ada", "distill");
    lab.give("ada", "evaluate");
    let name = |key: Key| format!("records-v1/{}/{}.json", &key.hex()[..2], &key.hex()[2..]);
    let whole = lab.store.inner.objects()[&name(key("distill"))].clone();
    let text = String::from_utf8(whole.clone()).unwrap();
    let other = lab.store.inner.objects()[&name(key("evaluate"))].clone();
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&whole).unwrap();
    fields.shift_remove("check");
    fields.insert("format".into(), 9.into());
    common::reseal(&lab.path("newer"), fields.clone());
    let newer = fs::read(lab.path("newer")).unwrap();
    let edited = text.replace("\"pipeline\": \"pipeline\"", "\"pipeline\": \"mine\"").into_bytes();
    assert_ne!(edited, whole);
    for (text, is_newer) in [(edited, false), (b"{}".to_vec(), false), (other, false), (newer.clone(), true)] {
        lab.store.inner.objects().insert(name(key("distill")), text);
        let folder = tempfile::tempdir_in(lab.folder.path()).unwrap();
        let ben = lab.cache(folder.path().file_name().unwrap().to_str().unwrap());
        assert!(lab.run(&ben, "distill"));
        sent(&ben);
        assert_eq!(ben.remote_status().unwrap().refused, 1);
        if is_newer {
            assert_eq!(lab.store.inner.objects()[&name(key("distill"))], newer, "that of a newer ddpipe stays");
        } else {
            lab.assert_sound();
            assert!(!lab.run(&lab.cache("eve"), "distill"));
            fs::remove_dir_all(lab.path("eve")).unwrap();
        }
    }
}

#[test]
fn a_blob_that_is_damaged_here_is_not_sent() {
    let lab = Lab::new();
    let plain = Cache::open(&lab.path("ada")).unwrap();
    commit(&plain, claim(&plain, key("distill")), "distill", CONTENT);
    flip_bit(&plain.blobs().path(Digest::of(CONTENT)));
    let pushed = lab.cache("ada").push(None, &mut |_, _| {}).unwrap();
    assert_eq!((pushed.records, pushed.incomplete), (0, 1));
    assert!(lab.store.inner.objects().keys().all(|name| name == "ddpipe-cache.json"));
    assert_eq!(names(&lab.path("ada/damaged")).len(), 1);
    assert!(lab.run(&lab.cache("ada"), "distill"), "its maker runs again");
}

#[test]
fn a_store_that_was_emptied_is_another_one() {
    let lab = Lab::new();
    lab.give("ada", "distill");
    lab.run(&lab.cache("ben"), "distill");
    lab.store.inner.objects().clear();
    // What only the marks say holds until the store is asked.
    let ben = lab.cache("ben");
    assert!(ben.peek(key("distill")).unwrap().is_some());
    assert!(!ben.bring(Digest::of(CONTENT), CONTENT.len() as u64).unwrap());
    assert!(lab.run(&ben, "distill"));
    sent(&ben);
    lab.assert_sound();
    // A push lists what is there, whatever the marks say.
    let pushed = lab.cache("ada").push(None, &mut |_, _| {}).unwrap();
    assert_eq!((pushed.records, pushed.before), (0, 1));
}

#[test]
fn what_a_collection_removed_there_is_not_thought_to_be_there_by_a_push() {
    let lab = Lab::new();
    lab.give("ada", "distill");
    let ben = lab.cache("ben");
    assert!(!lab.run(&ben, "distill"), "its record came, and not its output");
    lab.store.inner.objects().retain(|name, _| name == "ddpipe-cache.json");
    let pushed = lab.cache("ben").push(None, &mut |_, _| {}).unwrap();
    assert_eq!((pushed.records, pushed.there_alone, pushed.incomplete), (0, 0, 1));
    assert!(lab.run(&lab.cache("ben"), "distill"), "nobody has it");
}

#[test]
fn a_store_that_is_given_its_id_later_is_the_same_one() {
    let lab = Lab::new();
    lab.give("ada", "distill");
    lab.store.inner.objects().remove("ddpipe-cache.json");
    let ben = lab.cache("ben");
    assert!(!lab.run(&ben, "distill"));
    lab.run(&ben, "evaluate");
    sent(&ben);
    assert!(lab.store.inner.objects().contains_key("ddpipe-cache.json"));
    assert!(lab.cache("ben").peek(key("distill")).unwrap().is_some());
    let report = Cache::open(&lab.path("ben")).unwrap().verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn paths_of_this_machine_do_not_leave_it() {
    let lab = Lab::new();
    let ada = lab.cache("ada");
    let claim = claim(&ada, key("decode"));
    let (digest, bytes) = ada.blobs().put_bytes(CONTENT).unwrap();
    let mut record = common::record(claim.key(), "decode", digest, bytes);
    let source = ddpipe_cache::SourceSeen {
        path: "/data/ada/train.gz".into(),
        digest: Digest::of(b"images"),
        md5: None,
        sha256: None,
        verified: true,
    };
    record.sources.insert("mnist/train.gz".into(), source);
    claim.commit(record).unwrap();
    sent(&ada);
    assert!(lab.store.inner.objects().values().all(|text| !String::from_utf8_lossy(text).contains("/data/ada")));
    let taken = lab.cache("ben").peek(key("decode")).unwrap().unwrap();
    assert_eq!(taken.sources["mnist/train.gz"].path, PathBuf::from("train.gz"));
}

#[test]
fn records_with_outputs_elsewhere_are_no_damage_and_what_waits_to_be_sent_is_not_collected() {
    let lab = Lab::new();
    lab.give("ada", "distill");
    lab.run(&lab.cache("ben"), "distill");
    let report = Cache::open(&lab.path("ben")).unwrap().verify().unwrap();
    assert!(report.is_clean() && report.elsewhere == 1, "{report:?}");
    lab.store.fail(Fault::Denied, 0, usize::MAX);
    let ada = lab.cache("ada");
    lab.run(&ada, "evaluate");
    assert_eq!(sent(&ada).records, 1);
    let all = ddpipe_cache::GcOptions { max_size: Some(0), keep_runs: 0, runs: None, dry_run: false };
    ada.gc(all).unwrap();
    assert!(ada.peek(key("evaluate")).unwrap().is_some());
    lab.store.heal();
    assert_eq!(lab.cache("ada").push(None, &mut |_, _| {}).unwrap().records, 1);
}

/// An object during whose writing the folder of the store goes away.
struct Unmounts<'a> {
    lab: &'a Lab,
    rest: &'a [u8],
}

impl Read for Unmounts<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.lab.path("store").exists() {
            fs::rename(self.lab.path("store"), self.lab.path("away"))?;
        }
        self.rest.read(into)
    }
}

#[test]
fn a_folder_that_goes_away_while_it_is_written_to_is_not_made_anew() {
    let lab = Lab::new();
    fs::create_dir(lab.path("store")).unwrap();
    let store = Folder::new(&lab.path("store"));
    for name in ["ddpipe-cache.json", "records-v1/ab/cd.json", "beats-v1/someone"] {
        let written = store.put(name, CONTENT.len() as u64, &mut Unmounts { lab: &lab, rest: CONTENT });
        assert!(matches!(written, Err(StoreError::NoSuchPlace(_))), "{name}: {written:?}");
        assert!(!lab.path("store").exists(), "{name}");
        fs::rename(lab.path("away"), lab.path("store")).unwrap();
        assert_eq!(store.head(name), Ok(None));
        store.put(name, CONTENT.len() as u64, &mut { CONTENT }).unwrap();
    }
}
