//! A remote in a bucket that two projects share, over real HTTP with real signatures.

use crate::bucket_server::{Endpoint, Fault};
use crate::pilots::{noted, sweep};
use crate::project::Project;
use std::sync::Arc;
use std::time::{Duration, Instant};

const REMOTE: &str = "s3://lab/ddpipe/v1";

/// A project with this bucket as its remote.
fn project(endpoint: &Endpoint) -> Project {
    let mut project = Project::counting();
    for (name, value) in endpoint.variables() {
        project.env(name, &value);
    }
    project.env("DDPIPE_REMOTE", REMOTE);
    project
}

fn two() -> (Arc<Endpoint>, Project, Project) {
    let endpoint = Endpoint::start();
    let (ada, ben) = (project(&endpoint), project(&endpoint));
    (endpoint, ada, ben)
}

/// The names in the bucket below a folder.
fn names(endpoint: &Endpoint, folder: &str) -> Vec<String> {
    let below = format!("ddpipe/v1/{folder}/");
    endpoint.objects.lock().unwrap().keys().filter(|name| name.starts_with(&below)).cloned().collect()
}

#[test]
fn what_one_project_computes_another_takes_from_the_bucket() {
    let (endpoint, ada, ben) = two();
    ada.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]);
    assert_eq!((names(&endpoint, "records-v1").len(), names(&endpoint, "blobs-v1").len()), (2, 2));
    assert!(names(&endpoint, "leases-v1").is_empty() && names(&endpoint, "beats-v1").is_empty());
    ben.run(&["plan", "pipelines/two.toml"]).ok().says("0 to run, 2 on record");
    ben.go("pipelines/two.toml", &[]).ok().ran(&[]);
    // A stage that reads `a` has it brought.
    ben.edit("pipelines/two.toml", "to = 4", "to = 5");
    ben.go("pipelines/two.toml", &[]).ok().ran(&["b"]);
    ben.run(&["cache", "status"]).ok().says(REMOTE).says("records in the outbox           0");
    ada.edit("pipelines/two.toml", "to = 4", "to = 5");
    ada.run(&["cache", "pull", "pipelines/two.toml"]).ok().says("brought 1 outputs");
    ada.run(&["cache", "verify", "--remote", REMOTE]).ok().says("3 outputs are whole").says("3 records");
    ada.run(&["cache", "gc", "--remote", REMOTE, "--yes"]).ok().says("kept 3 records").is_silent_about("removed");
    // On record here: no request.
    let before = endpoint.count();
    ada.go("pipelines/two.toml", &[]).ok().ran(&[]);
    assert_eq!(endpoint.count(), before);
    assert_eq!(ada.digests("two", &["a", "b"]), ben.digests("two", &["a", "b"]));
}

#[test]
fn two_runs_at_once_on_one_bucket_run_every_node_once() {
    let (endpoint, mut ada, mut ben) = two();
    for project in [&mut ada, &mut ben] {
        project.env("DDPIPE_HEARTBEAT_SECONDS", "0.1");
        project.edit("pipelines/two.toml", "to = 3", "to = 20, pause = 0.05");
    }
    let mut first = ada.start_run("pipelines/two.toml", &[]);
    assert!(first.until("\"started\""));
    ben.go("pipelines/two.toml", &[]).ok().ran(&[]).says("\"waiting\"");
    first.wait().ok().ran(&["a", "b"]);
    assert!(names(&endpoint, "leases-v1").is_empty());
}

#[test]
fn a_wrong_secret_and_a_missing_bucket_are_said_within_seconds() {
    let (endpoint, mut ada, ben) = two();
    let began = Instant::now();
    ada.env("AWS_SECRET_ACCESS_KEY", "another");
    ada.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]).says("SignatureDoesNotMatch").says("goes on without it");
    ada.run(&["cache", "status"]).code(3).says("SignatureDoesNotMatch").says("do not belong together");
    ada.run(&["cache", "push"]).code(3).says("AWS_SECRET_ACCESS_KEY");
    ben.go("pipelines/two.toml", &["--remote", "none", "--select", "a"]).ok();
    ben.run(&["cache", "status", "--remote", "s3://nowhere"]).code(3).says("NoSuchBucket").says("make the bucket once");
    ada.env("AWS_SECRET_ACCESS_KEY", "");
    let before = endpoint.count();
    ada.run(&["cache", "push"]).code(2).says("AWS_ACCESS_KEY_ID").says("aws configure export-credentials --format env");
    ada.run(&["cache", "push", "--remote", "s3://lab/a b"]).code(2);
    assert_eq!(endpoint.count(), before);
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_bucket_that_is_down_for_a_while_costs_nothing() {
    let (endpoint, ada, ben) = two();
    endpoint.fail(Fault::Unavailable, 1, 2);
    ada.go("pipelines/two.toml", &[]).ok().ran(&["a", "b"]).is_silent_about("wait for `ddpipe cache push");
    endpoint.heal();
    ben.go("pipelines/two.toml", &[]).ok().ran(&[]);
}

/// Two commands with one manifest, each with a cache folder of its own, on a bucket whose listings are so late.
fn sweep_on_a_bucket(late: Duration) -> (Arc<Endpoint>, Project) {
    let endpoint = Endpoint::start();
    *endpoint.late.lock().unwrap() = late;
    let mut project = sweep();
    for (name, value) in endpoint.variables() {
        project.env(name, &value);
    }
    project.env("DDPIPE_REMOTE", REMOTE).env("DDPIPE_HEARTBEAT_SECONDS", "0.5");
    let first = project.start_run("pipelines/sweep.toml", &["--jobs", "2"]);
    project.go("pipelines/sweep.toml", &["--jobs", "2", "--cache", "other"]).ok();
    first.wait().ok();
    project.run(&["cache", "verify", "--remote", REMOTE]).ok();
    (endpoint, project)
}

#[test]
fn a_sweep_on_a_bucket_runs_every_node_once_also_where_its_listings_are_late() {
    let (endpoint, project) = sweep_on_a_bucket(Duration::ZERO);
    assert!(noted(&project).values().all(|times| *times == 2), "{:?}", noted(&project));
    project.run(&["cache", "status"]).ok().says("listed at once").is_silent_about("each claim there waits");
    assert!(names(&endpoint, "leases-v1").is_empty() && names(&endpoint, "probe-v1").is_empty());
    let (endpoint, project) = sweep_on_a_bucket(Duration::from_millis(500));
    assert!(noted(&project).values().all(|times| *times == 2), "{:?}", noted(&project));
    let status = project.run(&["cache", "status"]);
    status.ok().says(" s later, and read at once").says("each claim there waits ").says("may be computed twice");
    assert!(names(&endpoint, "leases-v1").is_empty() && names(&endpoint, "probe-v1").is_empty());
    // Told by a run too, from what was found out before.
    project.edit("pipelines/sweep.toml", "params = { log", "params = { pause = 0, log");
    project
        .go("pipelines/sweep.toml", &["--select", "first[seed=0]"])
        .ok()
        .says("lists what was written ")
        .says("each claim waits ");
}
