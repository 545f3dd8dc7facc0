//! The engine's side of the conversation, for tests: starts the real program, speaks the protocol, waits for outcomes.

use ddpipe_cache::{Cache, Digest, Key};
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::*;
use indexmap::IndexMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ddpipe-worker");

/// A worker that has said hello. Dropping it kills it.
pub struct Worker {
    pub folder: TempDir,
    pub process: Child,
    pub stream: UnixStream,
    pub hello: FromWorker,
    pub cache: Cache,
    next: u64,
}

/// How a job ended, and what was said before.
pub struct Ended {
    pub id: JobId,
    pub said: Vec<FromWorker>,
    pub last: FromWorker,
}

impl Worker {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let root = folder.path().join("cache");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut process = Process::new(PROGRAM);
        process.arg("--socket").arg(&socket).arg("--cache").arg(&root).args(["--threads", "1"]);
        let process = process.stderr(Stdio::inherit()).spawn().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        // A worker that falls silent fails the test instead of hanging it.
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let hello = read_message(&mut stream).unwrap().unwrap();
        let cache = Cache::open(&root).unwrap();
        Worker { folder, process, stream, hello, cache, next: 0 }
    }

    /// A job of the project's own kind `name`, whose program is this shell script.
    pub fn shell(&mut self, script: &str) -> Job {
        self.script("run.sh", &format!("#!/bin/sh\n{script}\n"), &["./run.sh"])
    }

    /// A job of a project's own kind with this file in its folder.
    pub fn script(&mut self, file: &str, text: &str, argv: &[&str]) -> Job {
        let folder = self.folder.path().join("kinds");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(file);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let argv = argv.iter().map(|text| text.to_string()).collect();
        let digest = ddpipe_cache::folder::program(&folder).unwrap();
        let command = Command { argv, folder, digest, files: Vec::new(), env: Vec::new() };
        Job { command: Some(command), ..self.job("own.kind") }
    }

    pub fn job(&mut self, kind: &str) -> Job {
        self.next += 1;
        Job {
            id: JobId(self.next),
            node: format!("node[{}]", self.next),
            kind: kind.into(),
            command: None,
            params: IndexMap::new(),
            seed: 7,
            inputs: IndexMap::new(),
            absent: IndexMap::new(),
            outputs: IndexMap::new(),
            key: Key::of(&[]),
            version: 1,
            scratch: self.folder.path().join(format!("scratch-{}", self.next)),
        }
    }

    /// A blob of the cache as an input.
    pub fn blob(&self, artifact: ArtifactType, bytes: &[u8]) -> InputArtifact {
        let (digest, _) = self.cache.blobs().put_bytes(bytes).unwrap();
        self.input(artifact, digest)
    }

    /// An artifact that is or will be in the cache, as an input.
    pub fn input(&self, artifact: ArtifactType, digest: Digest) -> InputArtifact {
        let path = self.cache.blobs().path(digest);
        let (labels, metrics) = (IndexMap::new(), IndexMap::new());
        InputArtifact {
            digest,
            artifact,
            path,
            source: false,
            name: "earlier.out".into(),
            labels,
            metrics,
            over: vec![],
        }
    }

    pub fn send(&mut self, message: &ToWorker) {
        write_message(&mut self.stream, message).unwrap();
    }

    pub fn receive(&mut self) -> FromWorker {
        read_message(&mut self.stream).unwrap().expect("the worker closed the socket")
    }

    /// Runs a job until `Done` or `Failed`.
    pub fn run(&mut self, job: &Job) -> Ended {
        self.send(&ToWorker::Run(Box::new(job.clone())));
        self.until_ended(job.id)
    }

    pub fn until_ended(&mut self, id: JobId) -> Ended {
        let mut said = Vec::new();
        loop {
            match self.receive() {
                last @ (FromWorker::Done { .. } | FromWorker::Failed { .. }) => return Ended { id, said, last },
                FromWorker::Stored { .. } => {}
                other => said.push(other),
            }
        }
    }

    /// Starts a job and waits until its program has logged this line.
    pub fn start_until(&mut self, job: &Job, line: &str) {
        self.send(&ToWorker::Run(Box::new(job.clone())));
        loop {
            match self.receive() {
                FromWorker::Log { text, .. } if text == line => return,
                FromWorker::Done { .. } | FromWorker::Failed { .. } => panic!("the job ended before it said {line:?}"),
                _ => {}
            }
        }
    }

    /// What a program left in a file of the fixture's folder.
    pub fn note(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap().trim().to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Ended {
    pub fn outputs(&self) -> &IndexMap<String, OutputArtifact> {
        match &self.last {
            FromWorker::Done { outputs, id, .. } if *id == self.id => outputs,
            other => panic!("{other:?}"),
        }
    }

    pub fn failure(&self) -> (Cause, &str) {
        match &self.last {
            FromWorker::Failed { id, cause, message, .. } if *id == self.id => (*cause, message),
            other => panic!("{other:?}"),
        }
    }

    pub fn logged(&self) -> Vec<&str> {
        let texts = self.said.iter().filter_map(|message| match message {
            FromWorker::Log { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}

/// Whether a process is there and not merely waiting to be reaped.
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Waits until a process is gone. One that was killed may live on for a moment; one that was not lives much longer.
pub fn wait_until_gone(pid: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while alive(pid) {
        assert!(Instant::now() < until, "process {pid} is left");
        std::thread::sleep(Duration::from_millis(10));
    }
}
