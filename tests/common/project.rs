//! A project in a folder of its own, driven through the real command: files in, exit code, text and events out.
//! `DDPIPE_KEEP=1` keeps the folders for a look at them. Knows nothing of what is inside the engine.

#![allow(clippy::unwrap_used, dead_code)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Far above what anything takes: no test measures time.
const PATIENCE: Duration = Duration::from_secs(300);

/// A kind that counts what it is given.
const GATHER_STAGE: &str = r#"name = "own.gather"
help = "Counts what it is given"
version = 1
command = ["python3", "gather.py"]
[inputs]
many = { type = ["metrics"], help = "what was counted", many = true }
[outputs]
counted = { type = "table", help = "how many" }
"#;

const GATHER_PROGRAM: &str = r#"import json, os
count = len(os.listdir("inputs"))
json.dump({"results": count}, open("outputs/counted.json", "w"))
json.dump({"metrics": {"count": count}}, open("outputs/metrics.json", "w"))
"#;

/// A kind that counts slowly and writes what it counted: the seed, its parameter and the bytes that it read.
pub const COUNT_STAGE: &str = r#"name = "own.count"
help = "Counts"
version = 1
seeded = true
command = ["python3", "count.py"]
[inputs]
before = { type = ["metrics"], help = "what was counted before", optional = true }
file = { type = ["files"], help = "a file", optional = true }
[outputs]
counted = { type = "metrics", help = "the sum" }
[params]
to = { type = "integer", default = 3, help = "how far" }
pause = { type = "float", default = 0.0, help = "seconds for each" }
fault = { type = "string", default = "", help = "what goes wrong" }
"#;

/// The program of [`COUNT_STAGE`].
pub const COUNT_PROGRAM: &str = r#"import json, os, sys, time
told = json.load(open("params.json"))
params = told["params"]
total = told["seed"]
for name in sorted(os.listdir("inputs")):
    total += sum(open("inputs/" + name, "rb").read())
for step in range(params["to"]):
    total += step
    print(f"progress {step + 1}/{params['to']}")
    time.sleep(params["pause"])
if params["fault"] == "fail":
    print("the last words", file=sys.stderr)
    sys.exit(7)
if params["fault"] == "silent":
    sys.exit(0)
value = float("nan") if params["fault"] == "nan" else float(total)
json.dump({"sum": total}, open("outputs/counted.json", "w"))
json.dump({"metrics": {"sum": value}}, open("outputs/metrics.json", "w"))
"#;

/// Two stages of [`COUNT_STAGE`], the second after the first.
pub const TWO: &str = r#"[pipeline]
name = "two"
kinds = ["../kinds"]

[stages.a]
kind = "own.count"
params = { to = 3 }

[stages.b]
kind = "own.count"
inputs = { before = "a" }
params = { to = 4 }
"#;

/// A project's folder.
pub struct Project {
    folder: PathBuf,
    env: BTreeMap<String, String>,
    _temp: Option<tempfile::TempDir>,
}

impl Project {
    /// An empty project.
    pub fn new() -> Self {
        let temp = tempfile::Builder::new().prefix("ddpipe-test-").tempdir().unwrap();
        let keep = std::env::var_os("DDPIPE_KEEP").is_some();
        let folder = fs::canonicalize(temp.path()).unwrap();
        if keep {
            eprintln!("kept: {}", folder.display());
        }
        let env = [
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("HOME", folder.join("home").display().to_string()),
            ("DDPIPE_DEVICE", "cpu".into()),
        ];
        // Without the feature `worker` there is none beside the command, and it has to be named.
        let worker = std::env::var("DDPIPE_WORKER").ok().map(|worker| ("DDPIPE_WORKER", worker));
        let env = env.into_iter().chain(worker).map(|(name, value)| (name.to_string(), value)).collect();
        let temp = if keep {
            let _ = temp.keep();
            None
        } else {
            Some(temp)
        };
        Project { folder, env, _temp: temp }
    }

    /// A project with a kind that counts, and the pipeline [`TWO`] in `pipelines/two.toml`.
    pub fn counting() -> Self {
        let project = Project::new();
        project.file("kinds/own/count/stage.toml", COUNT_STAGE);
        project.file("kinds/own/count/count.py", COUNT_PROGRAM);
        project.file("pipelines/two.toml", TWO);
        project
    }

    /// Adds the kind `own.gather`, whose table says how many inputs it was given.
    pub fn with_gather(&self) {
        self.file("kinds/own/gather/stage.toml", GATHER_STAGE).file("kinds/own/gather/gather.py", GATHER_PROGRAM);
    }

    /// Writes a file.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Replaces a text in a file.
    pub fn edit(&self, name: &str, from: &str, to: &str) -> &Self {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        self.file(name, text.replace(from, to))
    }

    /// A file's text.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Where a file of the project lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Sets an environment variable for all later runs.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The command with these arguments, in the project's folder, in a clean environment and a process group of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(env!("CARGO_BIN_EXE_ddpipe"));
        command.args(args).current_dir(&self.folder).env_clear().envs(&self.env).process_group(0);
        command
    }

    /// The command as the leader of a session whose terminal is its standard input.
    pub fn session_command(&self, args: &[&str]) -> Command {
        if !self.env.contains_key("DDPIPE_WORKER") {
            assert_worker();
        }
        self.session_of(env!("CARGO_BIN_EXE_ddpipe"), args)
    }

    /// Another program in the project's folder and environment.
    pub fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder).env_clear().envs(&self.env);
        command
    }

    /// Another program as the leader of such a session.
    pub fn session_of(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.args(["--ctty", program]).args(args);
        command.current_dir(&self.folder).env_clear().envs(&self.env);
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, args: &[&str]) -> Done {
        self.start(args).wait()
    }

    /// `ddpipe run` with events on stdout, and the project's own kinds allowed.
    pub fn go(&self, manifest: &str, more: &[&str]) -> Done {
        self.start_run(manifest, more).wait()
    }

    /// Starts the command.
    pub fn start(&self, args: &[&str]) -> Running {
        if args.first() == Some(&"run") && !self.env.contains_key("DDPIPE_WORKER") {
            assert_worker();
        }
        let (out, err) = (self.path(".stdout"), self.path(".stderr"));
        let mut number = 0;
        let (out, err) = loop {
            let name = |path: &Path| PathBuf::from(format!("{}-{number}", path.display()));
            if !name(&out).exists() {
                break (name(&out), name(&err));
            }
            number += 1;
        };
        let mut command = self.command(args);
        command.stdin(Stdio::null());
        command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
        Running { child: command.spawn().unwrap(), out, err, said: args.join(" ") }
    }

    /// Starts `ddpipe run` with events on stdout, and the project's own kinds allowed.
    pub fn start_run(&self, manifest: &str, more: &[&str]) -> Running {
        let mut args = vec!["run", manifest, "--json", "--allow-commands"];
        args.extend(more);
        self.start(&args)
    }

    /// What every node of a pipeline gave: the digests of its outputs, from its newest record.
    pub fn digests(&self, pipeline: &str, nodes: &[&str]) -> BTreeMap<String, String> {
        let cache = ddpipe_cache::Cache::open(&self.path(".ddpipe")).unwrap();
        let mut digests = BTreeMap::new();
        for node in nodes {
            let record = cache.newest_record(pipeline, node).unwrap().unwrap_or_else(|| panic!("no record of {node}"));
            for (output, made) in &record.outputs {
                digests.insert(format!("{node}.{output}"), made.digest.hex());
            }
        }
        digests
    }
}

/// The worker has to be there; a test that needs it must not pass without.
pub fn assert_worker() {
    let beside = || Path::new(env!("CARGO_BIN_EXE_ddpipe")).with_file_name("ddpipe-worker");
    let worker = std::env::var_os("DDPIPE_WORKER").map_or_else(beside, PathBuf::from);
    assert!(worker.is_file(), "{} is not there; these tests need the feature `worker`", worker.display());
}

/// A command at work.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    said: String,
}

impl Running {
    /// Its process, and the process group that it leads.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends a signal to the process, as `kill` does.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal);
    }

    /// Sends a signal to the process group, as Ctrl-C in a terminal does.
    pub fn signal_group(&self, signal: nix::sys::signal::Signal) {
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(self.pid()), signal);
    }

    /// What it has written to standard output so far.
    pub fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Waits until its output contains this; false when it ended before.
    pub fn until(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.try_wait().unwrap().is_some();
            if self.out().contains(text) || fs::read_to_string(&self.err).unwrap().contains(text) {
                return true;
            }
            if ended {
                return false;
            }
            assert!(Instant::now() < deadline, "`ddpipe {}` never said {text:?}:\n{}", self.said, self.out());
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// Whether it is over.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The processes of its workers.
    pub fn workers(&self) -> Vec<i32> {
        let mut workers = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let Some((name, rest)) = stat.rsplit_once(") ") else { continue };
            let parent = rest.split_whitespace().nth(1).and_then(|text| text.parse::<i32>().ok());
            if name.contains("ddpipe-worker") && parent == Some(self.pid()) {
                workers.push(pid);
            }
        }
        workers
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Done {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("`ddpipe {}` does not end:\n{}", self.said, self.out());
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Done { said: self.said.clone(), status, out: text(&self.out), err: text(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Done {
    said: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Done {
    /// It ended with this code.
    #[track_caller]
    pub fn code(&self, code: i32) -> &Self {
        let found = self.status.code().ok_or(self.status.signal());
        assert_eq!(found, Ok(code), "`ddpipe {}`\n{}\n{}", self.said, self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// All is well.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        self.code(0)
    }

    /// It says this, on either stream.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no {text:?} in\n{}\n{}", self.out, self.err);
        self
    }

    /// It does not say this.
    #[track_caller]
    pub fn is_silent_about(&self, text: &str) -> &Self {
        assert!(!self.out.contains(text) && !self.err.contains(text), "{text:?} in\n{}\n{}", self.out, self.err);
        self
    }

    /// The lines of `--json`; every one of them has to be an event.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let parse = |line: &str| -> Value {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(event["event"].is_string(), "{line}");
            event
        };
        self.out.lines().map(parse).collect()
    }

    /// Exactly these nodes were started, in this order.
    #[track_caller]
    pub fn ran(&self, nodes: &[&str]) -> &Self {
        let events = self.events();
        let started = events.iter().filter(|event| event["event"] == "started");
        let started: Vec<&str> = started.map(|event| event["node"].as_str().unwrap()).collect();
        assert_eq!(started, nodes, "{}", self.err);
        self
    }

    /// What became of a node.
    #[track_caller]
    pub fn outcome(&self, node: &str) -> Value {
        let mut events = self.events();
        events.retain(|event| event["event"] == "finished" && event["node"] == node);
        events.pop().unwrap_or_else(|| panic!("{node} was not settled:\n{}\n{}", self.out, self.err))
    }
}
