//! Downloads one file that a manifest declares: continued where an earlier attempt stopped, checked before it gets its
//! name, from the first address that works. The only place of the engine that uses the network.

mod part;
mod range;
mod transfer;

pub use range::ContentRange;

use part::Part;
use std::path::Path;
use std::time::Duration;
use transfer::{Answer, Transfer, Trouble};

/// Whether the network is forbidden (`--offline`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offline(pub bool);

/// Fetches files over HTTP.
pub struct Downloader {
    agent: ureq::Agent,
    silence: Duration,
}

/// How often an address is tried again after the connection broke, continuing where that is safe.
const ATTEMPTS: usize = 4;

/// How long a server may say nothing before it is given up, unless `DDPIPE_SILENCE_SECONDS` says otherwise.
const SILENCE: Duration = Duration::from_secs(30);

/// What is known about the bytes that an address has given so far.
#[derive(Default)]
struct Version {
    /// The server's strong name for them, which it changes when they change.
    etag: Option<String>,
    /// How many they are in all.
    total: Option<u64>,
}

impl Default for Downloader {
    fn default() -> Self {
        Self::new()
    }
}

impl Downloader {
    /// A downloader that gives up on a server that is silent for 30 s, or for as long as `DDPIPE_SILENCE_SECONDS` says.
    pub fn new() -> Self {
        let said = std::env::var("DDPIPE_SILENCE_SECONDS").ok().and_then(|text| text.parse().ok());
        let said = said.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Self::with_silence(said.filter(|limit| !limit.is_zero()).unwrap_or(SILENCE))
    }

    /// A downloader that gives up on a server that says nothing for this long, before, in or after its headers.
    pub fn with_silence(silence: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_resolve(Some(silence))
            .timeout_connect(Some(silence))
            .timeout_send_request(Some(silence))
            .timeout_recv_response(Some(silence))
            // A body may take as long as it takes while bytes come; `Transfer` watches for silence.
            .timeout_recv_body(None)
            .http_status_as_error(false)
            .user_agent(concat!("ddpipe/", env!("CARGO_PKG_VERSION")))
            .build();
        Downloader { agent: config.into(), silence }
    }

    /// Downloads to `to`, from the first of these addresses that gives bytes which `check` accepts. Bytes collect in
    /// `to` with `.part` behind it. Where `check` can tell a wrong file (`pinned`), a later attempt continues them; where
    /// it cannot, they are continued only while the server says that they are the same version, and otherwise begun
    /// anew. Errors name every address and what it said.
    pub fn fetch(
        &self,
        urls: &[String],
        to: &Path,
        pinned: bool,
        check: &dyn Fn(&Path) -> Result<(), String>,
        on_progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), String> {
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("could not create {}: {error}", folder.display()))?;
        }
        let Some(mut part) = Part::take(to)? else { return Ok(()) };
        let mut said = Vec::new();
        for url in urls {
            if !pinned {
                // Who knows of what these bytes are the beginning.
                part.empty()?;
            }
            match self.fetch_one(url, &mut part, pinned, check, on_progress) {
                Ok(()) => return part.finish(to),
                Err(error) => said.push(format!("{url}: {error}")),
            }
        }
        part.give_up();
        Err(format!("could not be downloaded; {}", said.join("; ")))
    }

    fn fetch_one(
        &self,
        url: &str,
        part: &mut Part,
        pinned: bool,
        check: &dyn Fn(&Path) -> Result<(), String>,
        on_progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), String> {
        let mut last = String::new();
        let mut version = Version::default();
        for attempt in 0..ATTEMPTS {
            if !pinned && version.etag.is_none() {
                part.empty()?;
            }
            match self.transfer(url, part, pinned, &mut version, on_progress) {
                Ok(()) => match check(part.path()) {
                    Ok(()) => return Ok(()),
                    Err(fault) => {
                        // Continuing a wrong file never makes it right.
                        (version, last) = (Version::default(), fault);
                        part.empty()?;
                    }
                },
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(error)) => last = error,
                Err(Trouble::Other(error)) => {
                    (version, last) = (Version::default(), error);
                    part.empty()?;
                }
            }
            if attempt + 1 < ATTEMPTS {
                std::thread::sleep(Duration::from_millis(200 << attempt));
            }
        }
        Err(last)
    }

    /// One request, and its bytes behind those that the part has.
    fn transfer(
        &self,
        url: &str,
        part: &mut Part,
        pinned: bool,
        version: &mut Version,
        on_progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), Trouble> {
        let have = part.len().map_err(Trouble::Final)?;
        // An https address never becomes an http one on the way.
        let config = self.agent.get(url).config().https_only(url.starts_with("https://")).build();
        let mut request = config.header("Accept-Encoding", "identity");
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
            if let Some(etag) = &version.etag {
                request = request.header("If-Range", etag);
            }
        }
        let mut transfer = Transfer::begin(request, self.silence)?;
        let answer = transfer.answer();
        let mut done = match answer.status {
            200 => {
                part.empty().map_err(Trouble::Final)?;
                *version = Version { etag: answer.strong_etag(), total: answer.length };
                0
            }
            206 => {
                let range = continued(answer, have, pinned, version).map_err(Trouble::Other)?;
                version.total = range.total.or(version.total);
                have
            }
            416 => return whole(answer, have, version).map_err(Trouble::Other),
            code @ (408 | 429 | 500..) => return Err(Trouble::Passing(format!("status {code}"))),
            code => return Err(Trouble::Final(format!("status {code}"))),
        };
        if !pinned && version.total.is_none() && !answer.chunked {
            let what =
                "the server does not say how long the file is, so that a cut one cannot be told from a whole one";
            return Err(Trouble::Final(format!("{what}; declare a digest for the file")));
        }
        while let Some(bytes) = transfer.more()? {
            part.write(&bytes).map_err(Trouble::Final)?;
            done += bytes.len() as u64;
            on_progress(done, version.total);
        }
        part.sync().map_err(Trouble::Final)?;
        match version.total {
            Some(total) if done < total => {
                Err(Trouble::Passing(format!("the connection ended after {done} of {total} bytes")))
            }
            Some(total) if done > total => Err(Trouble::Other(format!("the server sent more than {total} bytes"))),
            _ => Ok(()),
        }
    }
}

/// Whether a 206 continues exactly the bytes that are there.
fn continued(answer: &Answer, have: u64, pinned: bool, version: &Version) -> Result<ContentRange, String> {
    let range = answer.range.ok_or("the server sent a part of the file and does not say which")?;
    let (first, last) = range.bytes.ok_or("the server sent a part of the file and does not say which")?;
    if have == 0 || first != have {
        return Err(format!("the server was asked for the bytes from {have} on and sent those from {first} on"));
    }
    if answer.length.is_some_and(|length| length != last - first + 1) {
        return Err("the server sent another number of bytes than it says".into());
    }
    let other_total = range.total.zip(version.total).is_some_and(|(now, then)| now != then);
    let other_etag = if pinned {
        answer.etag.as_ref().zip(version.etag.as_ref()).is_some_and(|(now, then)| now != then)
    } else {
        answer.etag != version.etag
    };
    if other_total || other_etag {
        return Err("the file on the server changed during the download".into());
    }
    Ok(range)
}

/// Whether a 416 says that the bytes that are there are the whole file.
fn whole(answer: &Answer, have: u64, version: &Version) -> Result<(), String> {
    match answer.range.and_then(|range| range.total) {
        Some(total) if total == have && have > 0 && version.total.is_none_or(|then| then == total) => Ok(()),
        Some(total) => Err(format!("{have} bytes are there, and the file on the server has {total}")),
        None => Err(format!("the server has nothing after {have} bytes and does not say how long the file is")),
    }
}
