//! Seeds that a program writes: the corpus holds what this ddpipe writes today. `DDPIPE_BLESS=1` writes them anew.

use ddpipe_cache::{Cache, Circumstances, Digest, Key, Lookup, Output, Provenance, Record, SourceSeen};
use ddpipe_interface::protocol::{
    Cause, FromWorker, InputArtifact, Job, JobId, LogLevel, OutputArtifact, PROTOCOL_VERSION, ToWorker, encode,
};
use ddpipe_interface::{ArtifactType, Value};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn named<T>(entries: impl IntoIterator<Item = (&'static str, T)>) -> IndexMap<String, T> {
    entries.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// The file of a record, as a commit writes it.
fn record() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let description = vec![("kind".to_string(), "own.slow".to_string()), ("version".to_string(), "1".to_string())];
    let key = Key::of(&description);
    let (digest, bytes) = (Digest::of(b"seed"), 4);
    cache.blobs().put_bytes(b"seed").unwrap();
    let seen =
        SourceSeen { path: "data/one.bin".into(), digest, md5: Some("0".repeat(32)), sha256: None, verified: true };
    let record = Record {
        format: ddpipe_cache::FORMAT,
        key,
        pipeline: "fuzz".into(),
        node: "a".into(),
        description,
        outputs: named([("written", Output { digest, bytes, artifact_type: "files".into() })]),
        asks: named([("results", vec![0, 2])]),
        metrics: named([("accuracy", 0.5), ("loss", f64::INFINITY)]),
        measured: named([("seconds", 1.25)]),
        sources: named([("raw/one.bin", seen)]),
        provenance: Provenance {
            started_unix: 1.0,
            circumstances: Arc::new(Circumstances {
                device: "cpu".into(),
                note: vec!["x".into()],
                ..Circumstances::default()
            }),
            ..Provenance::default()
        },
    };
    let Lookup::Miss(claim) = cache.lookup(key, "a", &mut |_| false).unwrap() else { panic!("it is new") };
    claim.commit(record).unwrap();
    let hex = key.hex();
    std::fs::read(folder.path().join("records-v1").join(&hex[..2]).join(format!("{}.json", &hex[2..]))).unwrap()
}

/// The list of the digests of files.
fn stat() -> Vec<u8> {
    let stamp = r#"{"bytes":7,"mtime_ns":1700000000000000000,"ctime_ns":1700000000000000000,"device":1,"inode":2}"#;
    let digest = Digest::of(b"content");
    let seen = format!(r#"{{"digest":"{digest}","bytes":7,"md5":null,"sha256":null}}"#);
    let content = format!(r#"{{"/data/one.bin":{{"stamp":{stamp},"seen":{seen}}}}}"#);
    format!("{}\n{content}", Digest::of(content.as_bytes())).into_bytes()
}

fn job() -> Job {
    let digest = Digest::of(b"seed");
    let input = InputArtifact {
        digest,
        artifact: ArtifactType::Files,
        path: "data/one.bin".into(),
        source: true,
        name: "one.bin".into(),
        labels: named([("ipc", Value::Integer(1))]),
        metrics: named([("accuracy", 0.5)]),
        over: vec!["seed".into()],
    };
    Job {
        id: JobId(7),
        node: "a".into(),
        kind: "own.slow".into(),
        command: None,
        params: named([("lr", Value::Float(0.5)), ("of", Value::List(vec![Value::String("x".into())]))]),
        seed: u64::MAX,
        inputs: named([("file", vec![input])]),
        absent: IndexMap::new(),
        outputs: named([("written", ArtifactType::Files)]),
        key: Key::of(&[]),
        version: 1,
        scratch: "scratch".into(),
    }
}

/// A conversation in each direction.
fn said() -> [Vec<u8>; 2] {
    let id = JobId(7);
    let to = [ToWorker::Run(Box::new(job())), ToWorker::Cancel { id }, ToWorker::Shutdown];
    let made = OutputArtifact { digest: Digest::of(b"seed"), bytes: 4, artifact: ArtifactType::Files };
    let (device, libtorch) = ("cpu".to_string(), "2.11.0".to_string());
    let from = [
        FromWorker::Hello {
            protocol: PROTOCOL_VERSION,
            pid: 1,
            device_name: device.clone(),
            device,
            libtorch,
            numerics: None,
        },
        FromWorker::Progress { id, step: 1, total: 2, loss: Some(0.5), unit: "steps".into() },
        FromWorker::Log { id, level: LogLevel::Warn, text: "words".into() },
        FromWorker::Done {
            id,
            outputs: named([("written", made)]),
            asks: named([("results", vec![1])]),
            metrics: named([("sum", 3.0)]),
            seconds: 0.5,
            peak_memory: Some(1 << 20),
        },
        FromWorker::Stored { id },
        FromWorker::Failed { id, cause: Cause::Error, message: "no".into(), hint: None },
    ];
    let all = |frames: Vec<Vec<u8>>| frames.concat();
    [
        all(to.iter().map(|one| encode(one).unwrap()).collect()),
        all(from.iter().map(|one| encode(one).unwrap()).collect()),
    ]
}

#[test]
fn the_seeds_are_what_this_ddpipe_writes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let [to, from] = said();
    let made = [("record/whole", record()), ("stat/whole", stat()), ("to_worker/all", to), ("from_worker/all", from)];
    for (name, bytes) in made {
        let file: PathBuf = corpus.join(name);
        if std::env::var_os("DDPIPE_BLESS").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &bytes).unwrap();
        }
        let kept = std::fs::read(&file).unwrap_or_default();
        assert!(kept == bytes, "{} is not what ddpipe writes; DDPIPE_BLESS=1 writes it anew", file.display());
    }
}
