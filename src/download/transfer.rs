//! One request and its answer. A thread of its own waits for the server, so that one that falls silent is given up.

use super::ContentRange;
use std::io::Read as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use ureq::RequestBuilder;
use ureq::typestate::WithoutBody;

/// Why bytes did not come.
pub enum Trouble {
    /// Asking this address again may help, and the bytes so far may be continued.
    Passing(String),
    /// Asking again may help; the bytes so far are worth nothing.
    Other(String),
    /// Asking again does not help.
    Final(String),
}

/// What a server says before it sends bytes.
#[derive(Default)]
pub struct Answer {
    /// The status, after redirects.
    pub status: u16,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// `Content-Range`, where it can be read.
    pub range: Option<ContentRange>,
    /// `ETag`: the server's name for this version of the file.
    pub etag: Option<String>,
    /// Whether the body says itself where it ends.
    pub chunked: bool,
}

/// An answer whose bytes are on their way.
pub struct Transfer {
    answer: Answer,
    pieces: Receiver<Piece>,
    silence: Duration,
}

enum Piece {
    Answer(Answer),
    Bytes(Vec<u8>),
    End,
    Broken(Trouble),
}

impl Answer {
    fn of(response: &ureq::http::Response<ureq::Body>) -> Self {
        let text = |name: &str| response.headers().get(name)?.to_str().ok();
        Answer {
            status: response.status().as_u16(),
            length: text("content-length").and_then(|text| text.parse().ok()),
            range: text("content-range").and_then(|text| text.parse().ok()),
            etag: text("etag").map(str::to_string),
            chunked: text("transfer-encoding").is_some_and(|text| text.eq_ignore_ascii_case("chunked")),
        }
    }

    /// The `ETag`, where equal ones promise equal bytes.
    pub fn strong_etag(&self) -> Option<String> {
        self.etag.clone().filter(|etag| etag.starts_with('"'))
    }
}

impl Transfer {
    /// Sends the request and waits for the answer.
    pub fn begin(request: RequestBuilder<WithoutBody>, silence: Duration) -> Result<Self, Trouble> {
        let (sender, pieces) = sync_channel(8);
        std::thread::spawn(move || {
            if let Err(trouble) = read(request, &sender) {
                // Nobody listens any more where the transfer was given up.
                let _ = sender.send(Piece::Broken(trouble));
            }
        });
        let mut transfer = Transfer { answer: Answer::default(), pieces, silence };
        // Looking the name up, connecting, sending and answering have limits of their own; this is above their sum.
        match transfer.piece(silence.saturating_mul(5))? {
            Piece::Answer(answer) => transfer.answer = answer,
            Piece::Broken(trouble) => return Err(trouble),
            Piece::Bytes(_) | Piece::End => return Err(Trouble::Final("the server gave no answer".into())),
        }
        Ok(transfer)
    }

    /// What the server says about the bytes.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The next bytes; none at the end.
    pub fn more(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        match self.piece(self.silence)? {
            Piece::Bytes(bytes) => Ok(Some(bytes)),
            Piece::Broken(trouble) => Err(trouble),
            Piece::Answer(_) | Piece::End => Ok(None),
        }
    }

    fn piece(&self, limit: Duration) -> Result<Piece, Trouble> {
        self.pieces.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => silent(limit),
            RecvTimeoutError::Disconnected => Trouble::Passing("the connection ended".into()),
        })
    }
}

fn silent(limit: Duration) -> Trouble {
    Trouble::Final(format!("the server was silent for {} s", limit.as_secs_f64()))
}

/// Reads to the end, or until nobody listens.
fn read(request: RequestBuilder<WithoutBody>, sender: &SyncSender<Piece>) -> Result<(), Trouble> {
    let mut response = request.call().map_err(|error| match error {
        ureq::Error::Timeout(at) => Trouble::Final(format!("the server was silent ({at})")),
        ureq::Error::RequireHttpsOnly(url) => Trouble::Final(format!("it leads to {url}, which is not https")),
        error => Trouble::Passing(error.to_string()),
    })?;
    if sender.send(Piece::Answer(Answer::of(&response))).is_err() {
        return Ok(());
    }
    let mut reader = response.body_mut().as_reader();
    loop {
        let mut buffer = vec![0u8; 1 << 16];
        let read = reader.read(&mut buffer).map_err(|error| Trouble::Passing(error.to_string()))?;
        buffer.truncate(read);
        let piece = if read == 0 { Piece::End } else { Piece::Bytes(buffer) };
        if sender.send(piece).is_err() || read == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_never_leads_to_http() {
        let agent: ureq::Agent = ureq::Agent::config_builder().https_only(true).build().into();
        match Transfer::begin(agent.get("http://127.0.0.1:9/x"), Duration::from_secs(5)) {
            Err(Trouble::Final(why)) => assert!(why.contains("http://127.0.0.1:9/x, which is not https"), "{why}"),
            _ => panic!("an address without https was asked"),
        }
    }
}
