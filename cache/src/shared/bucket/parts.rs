//! A long object is sent in parts, several at a time; it appears when all are there. What is given up is removed again.

use super::Bucket;
use super::answer::Fault;
use crate::shared::store::StoreError;
use rusty_s3::actions::CreateMultipartUpload;
use std::io::{self, Read};
use std::thread;
use std::time::Duration;

/// The length of a part, but for the last, as long as there are no more than `PARTS`.
const PART: u64 = 16 << 20;
/// There may be 10,000.
const PARTS: u64 = 9_000;
/// So many are sent at a time, each from memory.
const AT_ONCE: usize = 4;
/// A part is sent so often before the whole object is begun anew.
const TRIES: u32 = 3;

impl Bucket {
    pub(super) fn put_parts(&self, key: &str, bytes: u64, body: &mut dyn Read) -> Result<(), StoreError> {
        let begin = self.bucket.create_multipart_upload(Some(&self.credentials), key);
        let text = self.ask(&begin, Some(b""), &[]).map_err(|fault| fault.error)?;
        let begun = CreateMultipartUpload::parse_response(&text);
        let begun = begun.map_err(|error| super::not_understood("the beginning of an object", &error))?;
        let sent = self.send_parts(key, begun.upload_id(), bytes, body);
        if sent.is_err() {
            let abort = self.bucket.abort_multipart_upload(Some(&self.credentials), key, begun.upload_id());
            if let Err(fault) = self.send(&abort, None, &[]) {
                tracing::debug!(error = %fault.error, "parts of an object stay in the bucket");
            }
        }
        sent
    }

    fn send_parts(&self, key: &str, upload: &str, bytes: u64, body: &mut dyn Read) -> Result<(), StoreError> {
        let length = PART.max(bytes.div_ceil(PARTS));
        let mut tags: Vec<String> = Vec::new();
        let mut left = bytes;
        while left > 0 {
            let mut parts = Vec::new();
            while left > 0 && parts.len() < AT_ONCE {
                let part = read_part(body, left.min(length)).map_err(|error| StoreError::Other(error.to_string()))?;
                left -= part.len() as u64;
                parts.push(part);
            }
            // The end is looked for before the last part is sent: a body may find out there that it is wrong.
            if left == 0 && body.read(&mut [0]).map_err(|error| StoreError::Other(error.to_string()))? > 0 {
                return Err(StoreError::Other(format!("{key}: more than {bytes} bytes came")));
            }
            let first = tags.len() + 1;
            let sent: Vec<Result<String, StoreError>> = thread::scope(|scope| {
                let numbered = parts.iter().enumerate();
                let sending: Vec<_> = numbered
                    .map(|(index, part)| scope.spawn(move || self.send_part(key, upload, first + index, part)))
                    .collect();
                let lost = || Err(StoreError::Other("a part was not sent".into()));
                sending.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
            });
            for tag in sent {
                tags.push(tag?);
            }
        }
        let tags = tags.iter().map(String::as_str);
        let end = self.bucket.complete_multipart_upload(Some(&self.credentials), key, upload, tags);
        let list = end.clone().body();
        let text = self.ask(&end, Some(list.as_bytes()), &[("Content-Type", "application/xml")]);
        let text = text.map_err(|fault| fault.error)?;
        // An error may come late, under a status that says that all is well.
        let text = String::from_utf8_lossy(&text);
        match text.contains("<Error>") {
            true => Err(Fault::told(500, &Default::default(), &text).error),
            false => Ok(()),
        }
    }

    /// Sends a part, again where that may help; its tag.
    fn send_part(&self, key: &str, upload: &str, number: usize, part: &[u8]) -> Result<String, StoreError> {
        let number = u16::try_from(number).map_err(|error| StoreError::Other(error.to_string()))?;
        let mut tries = 0;
        loop {
            let action = self.bucket.upload_part(Some(&self.credentials), key, number, upload);
            match self.send(&action, Some(part), &[]) {
                Ok(response) => match super::header(&response, "etag") {
                    "" => return Err(StoreError::Other("it gives parts no tags".into())),
                    tag => return Ok(tag.to_string()),
                },
                Err(Fault { error: error @ StoreError::Unavailable(_), .. }) if tries + 1 < TRIES => {
                    tracing::debug!(%error, number, "a part is sent again");
                    thread::sleep(Duration::from_millis(200) * 2u32.pow(tries));
                    tries += 1;
                }
                Err(fault) => return Err(fault.error),
            }
        }
    }
}

fn read_part(body: &mut dyn Read, bytes: u64) -> io::Result<Vec<u8>> {
    let mut part = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    body.read_exact(&mut part)?;
    Ok(part)
}
