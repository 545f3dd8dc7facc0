//! A remote that two projects share, each with a cache folder of its own.

use crate::project::{Done, Project};
use crate::slow;
use nix::sys::signal::Signal;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Two projects with the same pipeline, and a folder as their remote.
struct Two {
    ada: Project,
    ben: Project,
    remote: PathBuf,
    _folder: tempfile::TempDir,
}

impl Two {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ddpipe-remote-").tempdir().unwrap();
        let remote = fs::canonicalize(folder.path()).unwrap();
        let (mut ada, mut ben) = (Project::counting(), Project::counting());
        let url = format!("file://{}", remote.display());
        for project in [&mut ada, &mut ben] {
            project.env("DDPIPE_REMOTE", &url);
        }
        Two { ada, ben, remote, _folder: folder }
    }

    /// The only file of a node's output in the remote.
    fn blob(&self, node: &str) -> PathBuf {
        let digest = self.ada.digests("two", &[node])[&format!("{node}.counted")].clone();
        self.remote.join("blobs-v1").join(&digest[..2]).join(&digest[2..])
    }

    /// The remote is a whole cache.
    fn assert_whole(&self) {
        let remote = self.remote.display().to_string();
        self.ada.run(&["cache", "verify", "--cache", &remote]).ok();
    }
}

impl Two {
    /// Both projects have the same results, whole, and nothing left to do.
    fn assert_both_have_all(&self) {
        assert_eq!(self.ada.digests("two", &["a", "b"]), self.ben.digests("two", &["a", "b"]));
        for project in [&self.ada, &self.ben] {
            project.run(&["cache", "verify"]).ok();
            go(project).ok().ran(&[]);
        }
    }

    /// Nobody is at work, and nobody is thought to be.
    fn assert_nothing_is_held(&self) {
        let leases = fs::read_dir(self.remote.join("leases-v1")).into_iter().flatten().flatten();
        let leases: Vec<_> = leases.map(|lease| lease.file_name()).filter(|name| *name != "tmp").collect();
        assert!(leases.is_empty(), "{leases:?}");
    }
}

fn go(project: &Project) -> Done {
    project.go("pipelines/two.toml", &[])
}

/// The files of a folder that are blobs.
fn blobs(cache: &Path) -> usize {
    let shards = fs::read_dir(cache.join("blobs-v1")).unwrap().flatten();
    let shards = shards.filter(|shard| shard.file_name() != "tmp");
    shards.map(|shard| fs::read_dir(shard.path()).unwrap().count()).sum()
}

#[test]
fn what_one_project_computes_another_takes_and_brings_only_what_it_needs() {
    let two = Two::new();
    go(&two.ada).ok().ran(&["a", "b"]);
    two.assert_whole();
    two.ben.run(&["plan", "pipelines/two.toml"]).ok().says("0 to run, 2 on record");
    go(&two.ben).ok().ran(&[]);
    assert_eq!(blobs(&two.ben.path(".ddpipe")), 0, "nothing shows these outputs");
    two.ben.run(&["cache", "status", "--cache", "nowhere"]).code(3).says("there is no cache");
    let elsewhere = ["run", "pipelines/two.toml", "--cache", "elsewhere", "--allow-commands"];
    two.ben.run(&elsewhere).ok().says("2 results came from file://");
    two.ben.run(&["why", "pipelines/two.toml", "a"]).ok().says("is on record").says(", run 2");
    // A stage that reads `a` has it brought; what comes before runs no more.
    two.ben.edit("pipelines/two.toml", "to = 4", "to = 5");
    go(&two.ben).ok().ran(&["b"]);
    assert_eq!(blobs(&two.ben.path(".ddpipe")), 2);
    two.ben.run(&["show", "pipelines/two.toml", "b"]).ok().says("sum = ");
    two.ben.run(&["cache", "verify"]).ok();
    // And Ada takes it back.
    two.ada.edit("pipelines/two.toml", "to = 4", "to = 5");
    go(&two.ada).ok().ran(&[]);
    two.ada.run(&["show", "pipelines/two.toml", "b", "--output", "counted", "--out", "b.json"]).ok();
    assert!(two.ada.read("b.json").contains("\"sum\""));
    two.assert_whole();
}

#[test]
fn what_is_on_record_here_asks_the_remote_for_nothing() {
    let mut two = Two::new();
    go(&two.ada).ok().ran(&["a", "b"]);
    go(&two.ben).ok().ran(&[]);
    for project in [&mut two.ada, &mut two.ben] {
        project.env("DDPIPE_LOG", "ddpipe_cache=debug");
        go(project).ok().ran(&[]).is_silent_about("a request");
    }
    two.ada.edit("pipelines/two.toml", "to = 4", "to = 5");
    go(&two.ada).ok().ran(&["b"]).says("a request");
}

#[test]
fn push_pull_and_status_work_without_a_run() {
    let two = Two::new();
    let url = format!("file://{}", two.remote.display());
    two.ada.go("pipelines/two.toml", &["--remote", "none"]).ok().ran(&["a", "b"]);
    assert_eq!(fs::read_dir(&two.remote).unwrap().count(), 0);
    two.ada.run(&["cache", "status"]).ok().says("nothing was sent there yet").says("records here alone");
    two.ben.run(&["cache", "pull", "pipelines/two.toml"]).code(1).says("2 nodes are not on record, neither here nor");
    two.ada.run(&["cache", "push", "pipelines/two.toml", "--select", "a"]).ok().says("sent 1 results (1 outputs");
    two.ada.run(&["cache", "push"]).ok().says("sent 1 results (1 outputs").says("1 were there");
    two.ada.run(&["cache", "push", "--remote", &url]).ok().says("sent 0 results").says("2 were there");
    two.ben.run(&["cache", "pull", "pipelines/two.toml"]).ok().says("brought 2 outputs");
    two.ben.go("pipelines/two.toml", &["--remote", "none"]).ok().ran(&[]);
    two.ben.run(&["cache", "status"]).ok().says("id ").is_silent_about("sends what is here alone");
    two.assert_whole();
    // A remote can be opened as a cache, and a cache be read as a remote.
    two.ben.go("pipelines/two.toml", &["--remote", "none", "--cache", &two.remote.display().to_string()]).ok().ran(&[]);
    let cache = format!("file://{}", two.ada.path(".ddpipe").display());
    let other = Project::counting();
    other.go("pipelines/two.toml", &["--remote", &cache]).ok().ran(&[]);
}

#[test]
fn a_spoilt_output_of_the_remote_is_made_again_once_and_is_whole_afterwards() {
    for spoil in ["another byte", "cut", "gone"] {
        let two = Two::new();
        go(&two.ada).ok();
        let blob = two.blob("a");
        let whole = fs::read(&blob).unwrap();
        fs::remove_file(&blob).unwrap();
        match spoil {
            "another byte" => fs::write(&blob, [&whole[1..], b"!"].concat()).unwrap(),
            "cut" => fs::write(&blob, &whole[..whole.len() / 2]).unwrap(),
            _ => {}
        }
        two.ben.edit("pipelines/two.toml", "to = 4", "to = 5");
        go(&two.ben).ok().ran(&["a", "b"]).says("is not to be had from file://");
        assert_eq!(fs::read(&blob).unwrap(), whole, "{spoil}");
        two.assert_whole();
        two.ben.run(&["cache", "verify"]).ok();
    }
}

/// No stage reads it; the run's results do.
#[test]
fn a_spoilt_output_that_nobody_reads_is_made_again_in_the_same_run() {
    let stage = "[stages.a]\nkind = \"own.slow\"\nparams = { name = \"a\", steps = 1 }\n";
    let pipeline = format!("[pipeline]\nname = \"last\"\nkinds = [\"../kinds\"]\n\n{stage}");
    let mut two = Two::new();
    let url = format!("file://{}", two.remote.display());
    for project in [&mut two.ada, &mut two.ben] {
        *project = slow::project();
        project.file("pipelines/slow.toml", &pipeline);
        project.env("DDPIPE_REMOTE", &url);
    }
    let go = |project: &Project| project.go("pipelines/slow.toml", &[]);
    go(&two.ada).ok().ran(&["a"]);
    let digest = two.ada.digests("last", &["a"])["a.written"].clone();
    let blob = two.remote.join("blobs-v1").join(&digest[..2]).join(&digest[2..]);
    let whole = fs::read(&blob).unwrap();
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, [&whole[1..], b"!"].concat()).unwrap();
    go(&two.ben).ok().ran(&["a"]).says("has other bytes there than its name says");
    assert_eq!(fs::read(&blob).unwrap(), whole);
    two.assert_whole();
    go(&two.ben).ok().ran(&[]);
    // Where it was cut, a push from where it is whole mends it too.
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, &whole[1..]).unwrap();
    two.ada.run(&["cache", "push"]).ok().says("sent 1 results (1 outputs");
    assert_eq!(fs::read(&blob).unwrap(), whole);
}

#[test]
fn a_spoilt_record_of_the_remote_is_not_believed() {
    let two = Two::new();
    go(&two.ada).ok();
    let mut records = Vec::new();
    for shard in fs::read_dir(two.remote.join("records-v1")).unwrap().flatten() {
        if shard.file_name() != "tmp" {
            records.extend(fs::read_dir(shard.path()).unwrap().flatten().map(|entry| entry.path()));
        }
    }
    for path in records {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"sum\":"));
        fs::write(&path, text.replace("\"sum\":", "\"sun\":")).unwrap();
    }
    go(&two.ben).ok().ran(&["a", "b"]).says("is damaged there; it is not used");
    two.assert_whole();
    assert_eq!(two.ada.digests("two", &["a", "b"]), two.ben.digests("two", &["a", "b"]));
}

#[test]
fn a_remote_that_goes_away_costs_nothing_and_what_waits_is_sent_later() {
    let two = Two::new();
    two.ada.edit("pipelines/two.toml", "to = 3", "to = 20, pause = 0.02");
    let mut run = two.ada.start_run("pipelines/two.toml", &[]);
    assert!(run.until("\"started\""));
    let away = two.remote.with_extension("away");
    fs::rename(&two.remote, &away).unwrap();
    let ended = run.wait();
    fs::rename(&away, &two.remote).unwrap();
    ended.ok().ran(&["a", "b"]).says("2 results (").says("wait for `ddpipe cache push");
    two.ada.run(&["cache", "status"]).ok().says("records in the outbox           2");
    // The next run sends it; so would `cache push`.
    go(&two.ada).ok().ran(&[]).is_silent_about("wait for");
    two.ada.run(&["cache", "status"]).ok().says("records in the outbox           0");
    two.ben.edit("pipelines/two.toml", "to = 3", "to = 20, pause = 0.02");
    go(&two.ben).ok().ran(&[]);
}

/// The nodes that these runs started, in no particular order.
fn started(runs: &[&Done]) -> Vec<String> {
    let events = runs.iter().flat_map(|run| run.events()).filter(|event| event["event"] == "started");
    let mut nodes: Vec<String> = events.map(|event| event["node"].as_str().unwrap().to_string()).collect();
    nodes.sort();
    nodes
}

/// A pipeline whose first stage takes a while, for two projects whose runs soon notice that another is gone.
fn slow() -> Two {
    let mut two = Two::new();
    for project in [&mut two.ada, &mut two.ben] {
        project.env("DDPIPE_HEARTBEAT_SECONDS", "0.1");
        project.edit("pipelines/two.toml", "to = 3", "to = 20, pause = 0.05");
    }
    two
}

#[test]
fn two_runs_at_once_on_one_remote_run_every_node_once() {
    let two = slow();
    let mut first = two.ada.start_run("pipelines/two.toml", &[]);
    assert!(first.until("\"started\""));
    let second = two.ben.start_run("pipelines/two.toml", &[]);
    let pid = first.pid().to_string();
    let (first, second) = (first.wait(), second.wait());
    first.ok();
    second.ok();
    assert_eq!(started(&[&first, &second]), ["a", "b"]);
    let waits = second.events().into_iter().find(|event| event["event"] == "waiting").expect("the second waits");
    assert!(waits["holder"].as_str().unwrap().contains(&format!("process {pid}")), "{waits}");
    two.assert_whole();
    two.assert_nothing_is_held();
    two.assert_both_have_all();
}

#[test]
fn what_a_killed_run_had_begun_another_machine_takes_over() {
    let two = slow();
    let mut first = two.ada.start_run("pipelines/two.toml", &[]);
    assert!(first.until("\"started\""));
    first.signal_group(Signal::SIGKILL);
    first.wait();
    let second = go(&two.ben);
    second.ok().ran(&["a", "b"]).says("\"waiting\"");
    two.assert_whole();
    two.assert_nothing_is_held();
    go(&two.ada).ok().ran(&[]);
}

#[test]
fn a_run_that_was_paused_and_overtaken_ends_with_the_same_results() {
    let two = slow();
    let mut first = two.ada.start_run("pipelines/two.toml", &[]);
    assert!(first.until("\"started\""));
    first.signal(Signal::SIGSTOP);
    let second = go(&two.ben);
    second.ok().ran(&["a", "b"]);
    first.signal(Signal::SIGCONT);
    first.wait().ok();
    two.assert_whole();
    two.assert_nothing_is_held();
    two.assert_both_have_all();
}

#[test]
fn ctrl_c_frees_what_was_begun_at_once() {
    let two = slow();
    let mut first = two.ada.start_run("pipelines/two.toml", &[]);
    assert!(first.until("\"started\""));
    first.signal(Signal::SIGINT);
    first.wait().code(130);
    two.assert_nothing_is_held();
    go(&two.ben).ok().ran(&["a", "b"]).is_silent_about("\"waiting\"");
}

#[test]
fn a_stage_that_another_machine_computes_keeps_no_slot_from_other_stages() {
    let two = slow();
    for project in [&two.ada, &two.ben] {
        let more = format!(
            "{}\n[stages.c]\nkind = \"own.count\"\nparams = {{ to = 7 }}\n",
            project.read("pipelines/two.toml")
        );
        project.file("pipelines/two.toml", more);
    }
    let mut first = two.ada.start_run("pipelines/two.toml", &["--select", "a"]);
    assert!(first.until("\"started\""));
    let second = two.ben.go("pipelines/two.toml", &["--jobs", "1"]);
    first.wait().ok().ran(&["a"]);
    second.ok().ran(&["c", "b"]);
}

/// As if everything below a folder had been written so many days ago.
fn age(folder: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
    for entry in fs::read_dir(folder).unwrap().flatten() {
        match entry.path().is_dir() {
            true => age(&entry.path(), days),
            false => File::open(entry.path()).unwrap().set_modified(then).unwrap(),
        }
    }
}

#[test]
fn a_remote_is_verified_and_its_garbage_goes_in_two_steps() {
    let two = Two::new();
    let url = format!("file://{}", two.remote.display());
    let gc = |more: &[&str]| two.ada.run(&[&["cache", "gc", "--remote", &url][..], more].concat());
    two.ada.run(&["cache", "verify", "--remote", &url]).code(2).says("nothing was ever sent there");
    go(&two.ada).ok();
    two.ben.edit("pipelines/two.toml", "to = 4", "to = 5");
    go(&two.ben).ok().ran(&["b"]);
    two.ada.run(&["cache", "verify", "--remote", &url]).ok().says("3 outputs are whole").says("3 records");
    age(&two.remote, 40);
    gc(&["--yes"]).ok().says("kept 3 records").is_silent_about("noted");
    gc(&["--keep-runs", "0"]).ok().says("would note 6 records and outputs").says("--yes does it");
    gc(&["--keep-runs", "0", "--yes"]).ok().says("noted 6 records and outputs").says("in 24 hours or later");
    gc(&["--keep-runs", "0", "--yes"]).ok().is_silent_about("removed");
    age(&two.remote.join("gc-v1"), 1);
    // By then the first of them is needed again.
    two.ada.edit("pipelines/two.toml", "to = 4", "to = 6");
    go(&two.ada).ok().ran(&["b"]);
    gc(&["--keep-runs", "0", "--yes"]).ok().says("removed 2 records and 2 outputs").is_silent_about("noted");
    two.ada.run(&["cache", "verify", "--remote", &url]).ok().says("2 outputs are whole").says("2 records");
    fs::remove_file(two.blob("a")).unwrap();
    fs::write(two.blob("a"), "other").unwrap();
    two.ada.run(&["cache", "verify", "--remote", &url]).code(3).says("damaged: blobs-v1/").says("a lost counted");
    // A cache with runs has rules of its own.
    let cache = format!("file://{}", two.ada.path(".ddpipe").display());
    two.ada.run(&["cache", "gc", "--keep-days", "3"]).code(2);
    two.ada.run(&["cache", "gc", "--remote", &cache]).code(2).says("nothing was ever sent there");
    fs::copy(two.remote.join("ddpipe-cache.json"), two.ada.path(".ddpipe/ddpipe-cache.json")).unwrap();
    two.ada.run(&["cache", "gc", "--remote", &cache]).code(2).says("it is a cache folder that runs use");
}

#[test]
fn what_was_forced_replaces_what_is_there() {
    let two = Two::new();
    go(&two.ada).ok();
    go(&two.ben).ok().ran(&[]);
    two.ben.go("pipelines/two.toml", &["--force", "a"]).ok().ran(&["a"]);
    two.assert_whole();
}

#[test]
fn a_remote_that_cannot_be_used_is_an_error_before_anything_runs() {
    let project = Project::counting();
    let refused = |url: &str| project.go("pipelines/two.toml", &["--remote", url]);
    refused("gs://lab/ddpipe").code(2).says("a remote is file:///FOLDER").says("or s3://BUCKET/PREFIX");
    refused("file://here").code(2).says("has to be absolute");
    refused("file:///nowhere/at/all").code(2).says("there is no folder /nowhere/at/all").says("mkdir -p");
    let kinds = format!("file://{}", project.path("kinds").display());
    refused(&kinds).code(2).says("the folder holds own").says("neither a remote nor a cache");
    project.go("pipelines/two.toml", &[]).ok();
    let itself = format!("file://{}", project.path(".ddpipe").display());
    refused(&itself).code(2).says("it is the cache folder itself");
    project.run(&["cache", "push"]).code(2).says("no remote is named").says("DDPIPE_REMOTE");
}

#[test]
fn the_settings_of_a_user_name_the_remote_and_those_of_a_project_do_not() {
    let two = Two::new();
    go(&two.ada).ok();
    let settings = format!("[cache]\nremote = \"file://{}\"\n", two.remote.display());
    let mut project = Project::counting();
    project.file("ddpipe.toml", &settings).file(".ddpipe.toml", &settings).file("config.toml", &settings);
    project.go("pipelines/two.toml", &["--select", "a"]).ok().ran(&["a"]);
    project.file("home/.config/ddpipe/config.toml", &settings);
    project.go("pipelines/two.toml", &[]).ok().ran(&[]);
    project.file("other.toml", "[cache]\nremoet = \"x\"\n");
    let path = project.path("other.toml").display().to_string();
    project.env("DDPIPE_CONFIG", &path);
    project.go("pipelines/two.toml", &[]).code(2).says("other.toml").says("line 2").says("remoet");
}

/// Ben believes Ada and himself.
#[test]
fn results_are_believed_of_those_whose_keys_are_trusted() {
    let mut two = Two::new();
    let home = |project: &Project| project.path("home").display().to_string();
    for project in [&mut two.ada, &mut two.ben] {
        project.env("DDPIPE_KEY_FILE", &format!("{}/key", home(project)));
    }
    let ada = two.ada.run(&["cache", "key", "--name", "ada"]).ok().out.trim().to_string();
    assert!(ada.starts_with("ada:"), "{ada}");
    assert_eq!(two.ada.run(&["cache", "key"]).ok().out.trim(), ada, "it is made once");
    let settings = format!("[trust]\nkeys = [\"{ada}\"]\n");
    two.ben.file("settings.toml", &settings);
    let path = two.ben.path("settings.toml").display().to_string();
    two.ben.env("DDPIPE_CONFIG", &path);
    go(&two.ben).code(2).says("DDPIPE_KEY_FILE names").says("ddpipe cache key");
    two.ben.run(&["cache", "key", "--name", "ben"]).ok();
    two.ben.run(&["cache", "key", "--name", "ada"]).code(2).says("there is a key already: ben:");
    go(&two.ada).ok().ran(&["a", "b"]);
    go(&two.ben).ok().ran(&[]);
    // Another one who has no key.
    let mut eve = Project::counting();
    eve.env("DDPIPE_REMOTE", &format!("file://{}", two.remote.display()));
    eve.env("XDG_CONFIG_HOME", &home(&eve));
    for project in [&eve, &two.ben] {
        project.edit("pipelines/two.toml", "to = 4", "to = 5");
    }
    go(&eve).ok().ran(&["b"]);
    go(&two.ben).ok().ran(&["b"]).says("is not used: it is not signed");
    two.ben.run(&["cache", "status"]).ok();
    // A key that others may read is none.
    let key = two.ada.path("home/key");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    go(&two.ada).code(2).says("others may read it").says("chmod 600");
}

#[test]
fn a_folder_that_was_a_remote_and_is_found_empty_is_not_used_until_a_push() {
    let two = Two::new();
    go(&two.ada).ok().ran(&["a", "b"]);
    let away = two.remote.with_extension("away");
    fs::rename(&two.remote, &away).unwrap();
    // As the place where a file system is mounted.
    fs::create_dir(&two.remote).unwrap();
    two.ada.edit("pipelines/two.toml", "to = 4", "to = 5");
    go(&two.ada).ok().ran(&["b"]).says("may not be mounted");
    two.ada.run(&["cache", "status"]).code(3).says("may not be mounted").says("cache push --remote file://");
    assert_eq!(fs::read_dir(&two.remote).unwrap().count(), 0);
    fs::remove_dir(&two.remote).unwrap();
    fs::rename(&away, &two.remote).unwrap();
    two.ada.run(&["cache", "push"]).ok().says("sent 1 results");
    two.assert_whole();
    // Emptied on purpose.
    fs::remove_dir_all(&two.remote).unwrap();
    fs::create_dir(&two.remote).unwrap();
    two.ada.run(&["cache", "push"]).ok().says("sent 3 results");
    two.assert_whole();
}
