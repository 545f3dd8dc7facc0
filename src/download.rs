//! Downloads one file that a manifest declares: continued where an earlier attempt stopped, checked before it gets its
//! name, from the first address that works. The only place of the engine that uses the network.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whether the network is forbidden (`--offline`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offline(pub bool);

/// Fetches files over HTTP.
pub struct Downloader {
    agent: ureq::Agent,
}

/// How often an address is tried again after the connection broke, continuing each time.
const ATTEMPTS: usize = 4;

impl Default for Downloader {
    fn default() -> Self {
        Self::new()
    }
}

impl Downloader {
    /// A downloader that gives up on a silent server after 30 s.
    pub fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .timeout_recv_body(None)
            .user_agent(concat!("ddpipe/", env!("CARGO_PKG_VERSION")))
            .build();
        Downloader { agent: config.into() }
    }

    /// Downloads to `to`, from the first of these addresses that gives bytes which `check` accepts. Bytes collect in
    /// `to` with `.part` behind it, which a later attempt continues where `check` can tell a wrong file (`pinned`).
    /// Errors name every address and what it said.
    pub fn fetch(
        &self,
        urls: &[String],
        to: &Path,
        pinned: bool,
        check: &dyn Fn(&Path) -> Result<(), String>,
        on_progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), String> {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| format!("could not create {}: {error}", folder.display()))?;
        }
        let part = part_of(to);
        let _lock = match only_one(&part, to)? {
            Some(lock) => lock,
            None => return Ok(()),
        };
        let mut said = Vec::new();
        for url in urls {
            if !pinned {
                // Who knows of what these bytes are the beginning.
                empty(&part)?;
            }
            match self.fetch_one(url, &part, check, on_progress) {
                Ok(()) => {
                    return fs::rename(&part, to)
                        .map_err(|error| format!("could not move {} into place: {error}", part.display()));
                }
                Err(error) => said.push(format!("{url}: {error}")),
            }
        }
        if fs::metadata(&part).is_ok_and(|metadata| metadata.len() == 0) {
            let _ = fs::remove_file(&part);
        }
        Err(format!("could not be downloaded; {}", said.join("; ")))
    }

    fn fetch_one(
        &self,
        url: &str,
        part: &Path,
        check: &dyn Fn(&Path) -> Result<(), String>,
        on_progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), String> {
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            match self.transfer(url, part, on_progress) {
                Ok(()) => match check(part) {
                    Ok(()) => return Ok(()),
                    Err(fault) => {
                        // Continuing a wrong file never makes it right.
                        empty(part)?;
                        last = fault;
                    }
                },
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(error)) => last = error,
            }
            if attempt + 1 < ATTEMPTS {
                std::thread::sleep(Duration::from_millis(200 << attempt));
            }
        }
        Err(last)
    }

    fn transfer(&self, url: &str, part: &Path, on_progress: &mut dyn FnMut(u64, Option<u64>)) -> Result<(), Trouble> {
        let here = |error: std::io::Error| Trouble::Final(format!("{}: {error}", part.display()));
        let have = fs::metadata(part).map_or(0, |metadata| metadata.len());
        let mut request = self.agent.get(url);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let mut response = match request.call() {
            // The part is the whole file already, or longer than it: start over unless the check likes it.
            Err(ureq::Error::StatusCode(416)) => return Ok(()),
            Err(ureq::Error::StatusCode(code)) if code < 500 => return Err(Trouble::Final(format!("status {code}"))),
            Err(error) => return Err(Trouble::Passing(error.to_string())),
            Ok(response) => response,
        };
        let continued = response.status() == 206;
        let length = response.headers().get("content-length").and_then(|text| text.to_str().ok()?.parse::<u64>().ok());
        let mut done = if continued { have } else { 0 };
        let total = length.map(|length| done + length);
        let mut file = match continued {
            true => OpenOptions::new().append(true).open(part).map_err(here)?,
            false => File::create(part).map_err(here)?,
        };
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0u8; 1 << 16];
        loop {
            let read = reader.read(&mut buffer).map_err(|error| Trouble::Passing(error.to_string()))?;
            if read == 0 {
                break;
            }
            file.write_all(&buffer[..read]).map_err(here)?;
            done += read as u64;
            on_progress(done, total);
        }
        file.sync_all().map_err(here)?;
        match total {
            Some(total) if done < total => {
                Err(Trouble::Passing(format!("the connection ended after {done} of {total} bytes")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether trying again may help.
enum Trouble {
    Passing(String),
    Final(String),
}

/// Takes the right to write a `.part`, waiting for another process that downloads the same file; nothing where that one
/// has brought it.
fn only_one(part: &Path, to: &Path) -> Result<Option<File>, String> {
    let wrong = |error: std::io::Error| format!("could not write {}: {error}", part.display());
    loop {
        let file = OpenOptions::new().append(true).create(true).open(part).map_err(wrong)?;
        file.lock().map_err(wrong)?;
        let ours = file.metadata().map_err(wrong)?.ino();
        let named = fs::metadata(part).ok().map(|metadata| metadata.ino());
        if to.is_file() {
            // What is locked may be a new and empty one, or the very file that has its name by now.
            if named == Some(ours) {
                let _ = fs::remove_file(part);
            }
            return Ok(None);
        }
        if named == Some(ours) {
            return Ok(Some(file));
        }
    }
}

fn empty(part: &Path) -> Result<(), String> {
    let emptied = OpenOptions::new().write(true).open(part).and_then(|file| file.set_len(0));
    emptied.map_err(|error| format!("{}: {error}", part.display()))
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    to.with_file_name(name)
}
