//! `ddpipe verify` without `--recompute`, and a second cache that is only read.

use crate::project::Project;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

const VERIFY: &[&str] = &["verify", "pipelines/two.toml"];

/// The blob of a node's only output.
fn blob(project: &Project, cache: &str, node: &str) -> std::path::PathBuf {
    let cache = ddpipe_cache::Cache::open(&project.path(cache)).unwrap();
    let record = cache.newest_record("two", node).unwrap().unwrap();
    cache.blobs().path(record.outputs[0].digest)
}

fn damage(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn everything_on_record_and_whole_is_verified_without_computing() {
    let project = Project::counting();
    project.run(VERIFY).code(1).says("a: not on record (never ran)").says("0 of 2 nodes");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(VERIFY).ok().says("2 of 2 nodes are on record; 2 outputs are whole").says("2 made outside of git");
    project.run(&[VERIFY, &["--same-commit"]].concat()).code(1).says("2 made outside of git; now outside of git");
    let runs = fs::read_dir(project.path(".ddpipe/runs")).unwrap().count();
    let path = blob(&project, ".ddpipe", "a");
    damage(&path);
    project.run(VERIFY).code(1).says("a: its output counted is damaged");
    assert!(path.is_file(), "nothing is changed");
    fs::remove_file(&path).unwrap();
    project.run(VERIFY).code(1).says("a: not on record");
    assert_eq!(fs::read_dir(project.path(".ddpipe/runs")).unwrap().count(), runs, "nothing was run");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(VERIFY).ok();
    project.edit("pipelines/two.toml", "to = 4", "to = 5");
    project.run(VERIFY).code(1).says("b: not on record (to: 4 -> 5)").says("1 of 2");
    project.run(&[VERIFY, &["--select", "a"]].concat()).ok().says("1 of 1");
}

#[test]
fn records_of_another_commit_or_a_changed_tree_are_told() {
    let project = Project::counting();
    let repository = git2::Repository::init(project.path(".")).unwrap();
    let commit = |message: &str| {
        let mut index = repository.index().unwrap();
        index.add_all(["pipelines", "kinds"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let person = git2::Signature::now("A", "a@example.org").unwrap();
        let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
        repository.commit(Some("HEAD"), &person, &person, message, &tree, &parent.iter().collect::<Vec<_>>()).unwrap();
    };
    commit("first");
    let strict = [VERIFY, &["--same-commit"]].concat();
    project.go("pipelines/two.toml", &["--select", "a"]).ok();
    project.run(&[strict.as_slice(), &["--select", "a"]].concat()).ok().says("1 made at this commit");
    project.edit("pipelines/two.toml", "to = 4", "to = 5");
    project.go("pipelines/two.toml", &[]).ok();
    project.run(VERIFY).ok().says("with uncommitted changes");
    project.run(&strict).code(1);
    commit("second");
    project.run(VERIFY).ok().says("another commit");
    let summary = ["--junit", "junit.xml", "--summary", "summary.md"];
    project.go("pipelines/two.toml", &[&["--force", "*"], summary.as_slice()].concat()).ok();
    project.run(&strict).ok().says("2 made at this commit");
    let head = repository.head().unwrap().peel_to_commit().unwrap().id().to_string();
    assert!(project.read("junit.xml").contains(&head) && project.read("summary.md").contains(&head));
}

#[test]
fn a_cache_that_was_copied_to_another_path_is_used() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &[]).ok();
    copy(&project.path(".ddpipe"), &project.path("elsewhere/cache"));
    fs::remove_dir_all(project.path(".ddpipe")).unwrap();
    project.go("pipelines/two.toml", &["--cache", "elsewhere/cache"]).ok().ran(&[]);
    project.run(&[VERIFY, &["--cache", "elsewhere/cache"]].concat()).ok();
}

#[test]
fn what_the_first_cache_lacks_comes_from_the_second_unless_it_is_damaged() {
    let project = Project::counting();
    project.go("pipelines/two.toml", &["--cache", "old"]).ok();
    let from = |cache: &str| project.go("pipelines/two.toml", &["--cache", cache, "--cache-from", "old"]);
    from("new").ok().ran(&[]);
    // From now on the second is not needed.
    project.go("pipelines/two.toml", &["--cache", "new"]).ok().ran(&[]);
    assert!(fs::read_dir(project.path("old/runs")).unwrap().count() <= 2, "nothing is written there");
    let lost = blob(&project, "new", "a");
    fs::remove_file(&lost).unwrap();
    from("new").ok().ran(&[]);
    assert!(lost.is_file());
    let damaged = blob(&project, "old", "a");
    damage(&damaged);
    let before = fs::read(&damaged).unwrap();
    let warned = from("another");
    warned.ok().ran(&["a"]);
    let second =
        |event: &serde_json::Value| event["event"] == "warning" && event["text"].to_string().contains("second cache");
    let warnings: Vec<_> = warned.events().into_iter().filter(second).collect();
    assert_eq!(warnings.len(), 1, "said once, and to programs too: {warnings:?}");
    let text = warnings[0]["text"].as_str().unwrap();
    assert!(text.contains("a result of a is damaged there") && text.contains("cache verify --cache"), "{text}");
    assert_eq!(fs::read(&damaged).unwrap(), before, "the second is left as it is");
    project.run(&["cache", "--cache", "another", "verify"]).ok();
    let nothing = project.go("pipelines/two.toml", &["--cache-from", "nowhere"]);
    nothing.code(3).says("there is no cache in").says("nowhere");
    // What is being made in the first is not taken at the same time, and broken records are not taken at all.
    for folder in fs::read_dir(project.path("old/records-v1")).unwrap().flatten().filter(|it| it.file_name() != "tmp") {
        for record in fs::read_dir(folder.path()).unwrap().flatten() {
            fs::write(record.path(), "{}").unwrap();
        }
    }
    from("third").ok().ran(&["a", "b"]);
}

/// Root may write anywhere: then the command is run as somebody else.
#[test]
fn a_cache_that_may_not_be_written_to_can_be_verified_and_copied_from_and_a_run_says_what_to_do() {
    let mut project = Project::counting();
    // A program that everybody finds at the same place.
    project.env("PATH", "/usr/bin:/bin");
    project.edit("kinds/own/count/stage.toml", "[\"python3\", \"count.py\"]", "[\"sh\", \"count.sh\"]");
    let program = "echo '{\"sum\": 1}' > outputs/counted.json\necho '{\"metrics\": {}}' > outputs/metrics.json\n";
    project.file("kinds/own/count/count.sh", program);
    project.go("pipelines/two.toml", &[]).ok();
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let as_other = |args: &[&str]| {
        let mut command = project.command(args);
        command.env_remove("HOME").env("TMPDIR", project.path("open"));
        if root {
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(project.path("open")).unwrap();
    mode(&project.path("open"), 0o777);
    mode(&project.path("."), 0o755);
    if root && as_other(&["--version"]).0 != Some(0) {
        println!("skipped: nobody but root may run the command where it was built");
        return;
    }
    let closed = |mode_of: u32| {
        for folder in [".ddpipe", ".ddpipe/runs", ".ddpipe/claims-v1", ".ddpipe/records-v1", ".ddpipe/blobs-v1"] {
            mode(&project.path(folder), mode_of);
        }
    };
    closed(0o555);
    let (code, text) = as_other(VERIFY);
    assert_eq!(code, Some(0), "{text}");
    let run = ["run", "pipelines/two.toml", "--allow-commands"];
    let (code, text) = as_other(&run);
    assert!(code == Some(3) && text.contains("--cache DIR") && text.contains("--cache-from"), "{code:?} {text}");
    let copied = ["--cache", "open/cache", "--cache-from", ".ddpipe"];
    let (code, text) = as_other(&[["verify", "pipelines/two.toml"].as_slice(), &copied].concat());
    closed(0o755);
    assert_eq!(code, Some(0), "{text}");
}
