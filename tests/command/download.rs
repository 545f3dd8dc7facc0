//! Downloads: resumed, checked, from the next address, or not at all.

use crate::server::{Trick, file, has_the_file, project, serve};
use ddpipe_cache::Digest;
use std::time::{Duration, Instant};

/// A run that downloads a file without a declared digest from a server with these tricks ends with the file's own bytes.
#[track_caller]
fn the_true_file_comes(tricks: &[Trick], ranges: &[Option<usize>]) {
    let server = serve(tricks);
    let project = project(&[&format!("{}/one.bin", server.address)], false);
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
    assert_eq!(*server.asked.lock().unwrap(), ranges);
}

#[test]
fn a_file_is_downloaded_once() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.run(&["plan", "pipelines/fetched.toml"]).ok().says("run downloads it");
    let ran = project.go("pipelines/fetched.toml", &[]);
    ran.ok().ran(&["a"]);
    assert!(ran.events().iter().any(|event| event["event"] == "download" && event["file"] == "raw/one.bin"));
    has_the_file(&project);
    project.go("pipelines/fetched.toml", &[]).ok().ran(&[]);
    assert_eq!(*server.asked.lock().unwrap(), [None]);
}

#[test]
fn a_cut_connection_is_resumed_where_it_ended() {
    let server = serve(&[Trick::Cut]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
    assert_eq!(*server.asked.lock().unwrap(), [None, Some(600_000)]);
}

#[test]
fn a_server_that_cannot_resume_gives_the_whole_file_again() {
    let server = serve(&[Trick::Cut, Trick::Whole]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
}

#[test]
fn a_part_of_an_earlier_run_is_continued() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.file("data/one.bin.part", &file()[..1000]);
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
    assert_eq!(*server.asked.lock().unwrap(), [Some(1000)]);
}

#[test]
fn a_part_of_another_file_is_given_up() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.file("data/one.bin.part", vec![7; 1000]);
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
}

#[test]
fn a_part_that_is_the_whole_file_needs_its_name_only() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.file("data/one.bin.part", file());
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
}

#[test]
fn wrong_bytes_are_refused_and_never_get_the_name() {
    let server = serve(&[Trick::Wrong, Trick::Wrong, Trick::Wrong, Trick::Wrong]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.go("pipelines/fetched.toml", &[]).code(2).says("its blake3 is").says("put the file at").ran(&[]);
    assert!(!project.path("data/one.bin").exists());
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
}

#[test]
fn the_second_address_is_used_when_the_first_has_no_such_file() {
    let (first, second) = (serve(&[Trick::Absent]), serve(&[Trick::Broken]));
    let urls = [format!("{}/one.bin", first.address), format!("{}/mirror/one.bin", second.address)];
    let project = project(&[&urls[0], &urls[1]], true);
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
    assert_eq!(first.asked.lock().unwrap().len(), 1);
    assert_eq!(second.asked.lock().unwrap().len(), 2, "an error of the server may pass");
}

#[test]
fn a_file_that_nobody_has_is_told_with_every_address() {
    let server = serve(&[Trick::Absent, Trick::Absent]);
    let urls = [format!("{}/one.bin", server.address), format!("{}/two.bin", server.address)];
    let project = project(&[&urls[0], &urls[1]], true);
    let refused = project.go("pipelines/fetched.toml", &[]);
    refused.code(2).says(&urls[0]).says(&urls[1]).says("status 404");
    assert!(!project.path("data/one.bin.part").exists());
}

#[test]
fn offline_downloads_nothing() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.go("pipelines/fetched.toml", &["--offline"]).code(2).says("--offline forbids");
    assert!(server.asked.lock().unwrap().is_empty());
}

#[test]
fn without_a_digest_a_cut_download_begins_anew() {
    the_true_file_comes(&[Trick::Cut], &[None, None]);
}

#[test]
fn without_a_digest_only_the_same_version_is_continued() {
    the_true_file_comes(&[Trick::CutVersion, Trick::SameVersion], &[None, Some(600_000)]);
    the_true_file_comes(&[Trick::CutVersion, Trick::OtherVersion], &[None, Some(600_000), None]);
    the_true_file_comes(&[Trick::CutVersion, Trick::Nameless], &[None, Some(600_000), None]);
}

#[test]
fn without_a_digest_nothing_left_is_not_the_end() {
    the_true_file_comes(&[Trick::CutVersion, Trick::Nothing], &[None, Some(600_000), None]);
}

#[test]
fn a_part_that_begins_elsewhere_is_not_put_behind_another() {
    the_true_file_comes(&[Trick::CutVersion, Trick::WrongStart], &[None, Some(600_000), None]);
}

#[test]
fn a_pinned_file_survives_the_same_faults() {
    for trick in [Trick::WrongStart, Trick::Nothing, Trick::OtherVersion, Trick::Nameless] {
        let server = serve(&[Trick::Cut, trick]);
        let project = project(&[&format!("{}/one.bin", server.address)], true);
        project.go("pipelines/fetched.toml", &[]).ok();
        has_the_file(&project);
    }
}

#[test]
fn a_body_of_unknown_length_needs_a_digest() {
    let server = serve(&[Trick::Unmeasured]);
    let project = project(&[&format!("{}/one.bin", server.address)], false);
    project
        .go("pipelines/fetched.toml", &[])
        .code(2)
        .says("does not say how long the file is")
        .says("declare a digest");
    assert!(!project.path("data/one.bin").exists());
}

#[test]
fn a_silent_server_is_given_up_for_the_next_one() {
    for trick in [Trick::Silent, Trick::SilentBody] {
        let (silent, good) = (serve(&[trick]), serve(&[]));
        let urls = [format!("{}/one.bin", silent.address), format!("{}/one.bin", good.address)];
        let mut project = project(&[&urls[0], &urls[1]], false);
        project.env("DDPIPE_SILENCE_SECONDS", "0.4");
        project.go("pipelines/fetched.toml", &[]).ok();
        has_the_file(&project);
        assert_eq!(silent.asked.lock().unwrap().len(), 1);
    }
}

#[test]
fn the_silence_is_told() {
    let server = serve(&[Trick::SilentBody]);
    let mut project = project(&[&format!("{}/one.bin", server.address)], true);
    project.env("DDPIPE_SILENCE_SECONDS", "0.4");
    project.go("pipelines/fetched.toml", &[]).code(2).says("the server was silent for 0.4 s");
    assert_eq!(std::fs::metadata(project.path("data/one.bin.part")).unwrap().len(), 1000, "kept for the next run");
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
}

#[test]
fn a_download_that_waits_can_be_interrupted() {
    let server = serve(&[Trick::SilentBody]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    let mut running = project.start_run("pipelines/fetched.toml", &[]);
    assert!(running.until("\"download\""));
    let begun = Instant::now();
    running.signal_group(nix::sys::signal::Signal::SIGINT);
    let stopped = running.wait();
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for the server");
    stopped.code(130).says("was stopped before anything ran (interrupted)");
    let events = stopped.events();
    let last: Vec<&str> = events.iter().rev().take(3).filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(last, ["exit", "error", "ended"]);
    assert_eq!(events.last().unwrap()["code"], 130);
    project.run(&["runs"]).ok().is_silent_about("did not end");
    project.go("pipelines/fetched.toml", &[]).ok();
    has_the_file(&project);
}

#[test]
fn the_first_bytes_without_a_digest_are_remembered() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], false);
    let (digest, first) = (Digest::of(&file()).hex(), project.go("pipelines/fetched.toml", &[]));
    first.ok();
    let told =
        |event: &serde_json::Value| event["event"] == "warning" && event.to_string().contains("pin it: blake3 = ");
    assert_eq!(first.events().iter().filter(|event| told(event)).count(), 1);
    let lock = project.read("pipelines/fetched.lock");
    assert!(lock.starts_with("# Written by ddpipe.") && lock.contains("[sources.raw.\"one.bin\"]"), "{lock}");
    assert!(lock.contains(&format!("blake3 = \"{digest}\"")), "{lock}");
    // What lies there is the user's; only downloads are compared, and told once.
    project.file("data/one.bin", "abc");
    project.go("pipelines/fetched.toml", &[]).ok().is_silent_about("pin it");
    std::fs::remove_file(project.path("data/one.bin")).unwrap();
    // What it was is on record, so that it is downloaded only for what has to run.
    project.go("pipelines/fetched.toml", &[]).ok().ran(&[]).says("its digest on record is used");
    assert!(!project.path("data/one.bin").exists());
    project.go("pipelines/fetched.toml", &["--force", "a"]).ok().ran(&["a"]).is_silent_about("pin it");
    has_the_file(&project);
    assert_eq!(project.read("pipelines/fetched.lock"), lock);
}

#[test]
fn other_bytes_than_the_first_ones_are_refused() {
    let server = serve(&[Trick::Wrong, Trick::Wrong, Trick::Wrong, Trick::Wrong, Trick::Wrong]);
    let project = project(&[&format!("{}/one.bin", server.address)], false);
    let digest = Digest::of(&file()).hex();
    let other = Digest::of(&file().iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).hex();
    let lock = format!("[sources.raw.\"one.bin\"]\nblake3 = \"{digest}\"\n");
    project.file("pipelines/fetched.lock", &lock);
    let refused = project.go("pipelines/fetched.toml", &[]);
    refused.code(2).says(&digest).says(&other).says("remove the entry of the file from").says("fetched.lock");
    assert!(!project.path("data/one.bin").exists());
    project.file("pipelines/fetched.lock", "");
    project.go("pipelines/fetched.toml", &[]).ok().says(&format!("pin it: blake3 = \\\"{other}\\\""));
    assert!(project.read("pipelines/fetched.lock").contains(&other));
}

#[test]
fn a_lock_file_that_cannot_be_read_is_told() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], false);
    project.file("pipelines/fetched.lock", "version = 9\n");
    project
        .go("pipelines/fetched.toml", &[])
        .code(2)
        .says("fetched.lock is not a lock file of ddpipe")
        .says("remove it");
    assert!(server.asked.lock().unwrap().is_empty());
    assert_eq!(project.read("pipelines/fetched.lock"), "version = 9\n");
}

#[test]
fn a_redirect_is_followed() {
    the_true_file_comes(&[Trick::Elsewhere("/two.bin")], &[None, None]);
}

#[test]
fn a_link_in_the_place_of_the_part_is_not_followed() {
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    project.file("data/x", "").file("elsewhere", "mine");
    std::os::unix::fs::symlink("../elsewhere", project.path("data/one.bin.part")).unwrap();
    project.go("pipelines/fetched.toml", &[]).code(2).says("one.bin.part: it is a link; remove it");
    assert_eq!(project.read("elsewhere"), "mine");
}

#[test]
fn nothing_is_downloaded_outside_the_project_unless_the_user_says_so() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().canonicalize().unwrap().display().to_string();
    let set = format!("sources.raw.path={folder}");
    let allowed: [(&[&str], Option<&str>); 4] = [
        (&["--allow-outside"], None),
        (&["--set", &set], None),
        (&[], Some("DDPIPE_DATA")),
        (&["--set", &format!("vars.data={folder}")], None),
    ];
    for (flags, variable) in allowed {
        let server = serve(&[]);
        let mut project = project(&[&format!("{}/one.bin", server.address)], true);
        project.edit("pipelines/fetched.toml", "path = \"data\"", "path = \"${data}\"");
        project.edit("pipelines/fetched.toml", "[sources.raw]", &format!("[vars]\ndata = {folder:?}\n[sources.raw]"));
        let refused = project.go("pipelines/fetched.toml", &[]);
        refused.code(2).says("outside the project").says("--allow-outside").says(&format!("DDPIPE_DATA={folder}"));
        assert!(server.asked.lock().unwrap().is_empty());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        if let Some(variable) = variable {
            project.env(variable, &folder);
        }
        project.go("pipelines/fetched.toml", flags).ok();
        // What is there may be read without the flag.
        project.go("pipelines/fetched.toml", &[]).ok().ran(&[]);
        std::fs::remove_file(outside.path().join("one.bin")).unwrap();
    }
}

#[test]
fn a_folder_that_is_a_link_out_of_the_project_is_outside() {
    let outside = tempfile::tempdir().unwrap();
    let server = serve(&[]);
    let project = project(&[&format!("{}/one.bin", server.address)], true);
    std::os::unix::fs::symlink(outside.path(), project.path("data")).unwrap();
    project.go("pipelines/fetched.toml", &[]).code(2).says("outside the project");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    project.go("pipelines/fetched.toml", &["--allow-outside"]).ok();
}
