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
    /// The connection ends in the middle of a body whose version has a name, `"A"`.
    CutVersion,
    /// The rest of another version, named `"B"`.
    OtherVersion,
    /// The rest of the version named `"A"`, as asked for.
    SameVersion,
    /// The rest of another version, without a name.
    Nameless,
    /// Nothing is left, and no word of how long the file is.
    Nothing,
    /// A part that begins at the first byte, whatever was asked for.
    WrongStart,
    /// Half of the file, without a word of how long it is.
    Unmeasured,
    /// Headers, and then silence.
    SilentBody,
    /// Nothing at all.
    Silent,
    /// The file of another folder, at the given place of the same server.
    Elsewhere(&'static str),
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
    let total = body.len();
    let head = |stream: &mut TcpStream, status: &str, headers: &str| {
        write!(stream, "HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n")
    };
    let (mut named, mut end) = ("", total);
    let mut start = range.unwrap_or(0);
    match trick {
        None => {}
        Some(Trick::Absent) => return head(stream, "404 Not Found", "Content-Length: 0\r\n"),
        Some(Trick::Broken) => return head(stream, "500 Oh", "Content-Length: 0\r\n"),
        Some(Trick::Nothing) => return head(stream, "416 Range", "Content-Length: 0\r\n"),
        Some(Trick::Elsewhere(place)) => {
            return head(stream, "302 Found", &format!("Content-Length: 0\r\nLocation: {place}\r\n"));
        }
        Some(Trick::Unmeasured) => {
            head(stream, "200 OK", "")?;
            return stream.write_all(&body[..total / 2]);
        }
        Some(Trick::Silent | Trick::SilentBody) => {
            if trick == Some(Trick::SilentBody) {
                head(stream, "200 OK", &format!("Content-Length: {total}\r\n"))?;
                stream.write_all(&body[..1000])?;
            }
            let kept = stream.try_clone()?;
            std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_secs(600));
                drop(kept);
            });
            return Ok(());
        }
        Some(Trick::Wrong) => body.iter_mut().for_each(|byte| *byte ^= 1),
        Some(Trick::Whole) => start = 0,
        Some(Trick::Cut) => end = start + (total - start) / 2,
        Some(Trick::CutVersion) => (named, end) = ("ETag: \"A\"\r\n", start + (total - start) / 2),
        Some(Trick::SameVersion) => named = "ETag: \"A\"\r\n",
        Some(Trick::OtherVersion | Trick::Nameless) => {
            body.iter_mut().for_each(|byte| *byte ^= 1);
            named = if trick == Some(Trick::Nameless) { "" } else { "ETag: \"B\"\r\n" };
        }
        Some(Trick::WrongStart) => {
            let headers = format!("Content-Length: {total}\r\nContent-Range: bytes 0-{}/{total}\r\n", total - 1);
            head(stream, "206 Partial Content", &headers)?;
            return stream.write_all(&body);
        }
    }
    if start >= total {
        return head(stream, "416 Range", &format!("Content-Length: 0\r\nContent-Range: bytes */{total}\r\n"));
    }
    let length = format!("Content-Length: {}\r\n{named}", total - start);
    match start {
        0 => head(stream, "200 OK", &length)?,
        _ => {
            let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1);
            head(stream, "206 Partial Content", &format!("{length}{range}"))?;
        }
    }
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
