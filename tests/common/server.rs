//! A web server with one file, which does to its answers what networks do. And a project that downloads from it.

#![allow(clippy::unwrap_used, dead_code)]

use crate::project::Project;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does with one request; when the list is used up, everything goes well.
#[derive(Clone, Copy, PartialEq)]
pub enum Trick {
    /// The connection ends in the middle.
    Cut,
    /// Other bytes of the same length.
    Wrong,
    /// 404.
    Absent,
    /// 500.
    Broken,
    /// The whole file although a part was asked for.
    Whole,
}

/// A server with one file.
pub struct Server {
    /// Where: `http://127.0.0.1:…`.
    pub address: String,
    /// The ranges that were asked for, by request.
    pub asked: Arc<Mutex<Vec<Option<usize>>>>,
}

/// The file's bytes.
pub fn file() -> Vec<u8> {
    (0..300_000u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// Starts a server; the tricks happen one per request.
pub fn serve(tricks: &[Trick]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let mut tricks = Vec::from(tricks).into_iter();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that goes away is its own business.
            let _ = answer(&mut stream.unwrap(), tricks.next(), &noted);
        }
    });
    Server { address, asked }
}

fn answer(stream: &mut TcpStream, trick: Option<Trick>, asked: &Mutex<Vec<Option<usize>>>) -> std::io::Result<()> {
    let mut range = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("range: bytes=") {
            range = text.trim_end_matches('-').parse::<usize>().ok();
        }
        if line.is_empty() {
            break;
        }
    }
    asked.lock().unwrap().push(range);
    let mut body = file();
    match trick {
        Some(Trick::Absent) => {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        Some(Trick::Broken) => {
            return stream.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        Some(Trick::Wrong) => body.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    let start = range.filter(|_| trick != Some(Trick::Whole)).unwrap_or(0);
    if start >= body.len() {
        return stream.write_all(b"HTTP/1.1 416 Range\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let (code, length) = (if start > 0 { "206 Partial Content" } else { "200 OK" }, body.len() - start);
    write!(stream, "HTTP/1.1 {code}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    let end = if trick == Some(Trick::Cut) { start + length / 2 } else { body.len() };
    stream.write_all(&body[start..end])
}

/// A project whose only stage reads the file from these addresses.
pub fn project(urls: &[&str], pinned: bool) -> Project {
    let project = Project::counting();
    let digest = ddpipe_cache::Digest::of(&file()).hex();
    let pin = if pinned { format!("blake3 = \"{digest}\"\n") } else { String::new() };
    let manifest = format!(
        r#"[pipeline]
name = "fetched"
kinds = ["../kinds"]

[sources.raw]
path = "data"
[sources.raw.files."one.bin"]
{pin}url = {urls:?}

[stages.a]
kind = "own.count"
inputs = {{ file = "source:raw/one.bin" }}
"#
    );
    project.file("pipelines/fetched.toml", manifest);
    project
}

/// The file lies there whole, and nothing beside it.
pub fn has_the_file(project: &Project) {
    assert!(std::fs::read(project.path("data/one.bin")).unwrap() == file(), "other bytes");
    assert!(!project.path("data/one.bin.part").exists());
}
