//! Downloads: resumed, checked, from the next address, or not at all.

use crate::server::{Trick, file, has_the_file, project, serve};

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
