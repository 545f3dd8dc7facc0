//! A bucket as a store, of S3 or of anything that speaks its language. Requests are signed by `rusty-s3`, which knows no
//! network, and sent by `ureq`, without an asynchronous runtime. No request carries a condition: stores differ in whether they
//! honour one.

mod answer;
mod page;
mod parts;
mod settings;

pub use settings::Settings;

use super::store::{Seen, Store, StoreError};
use crate::Digest;
use answer::{Fault, moment};
use page::Page;
use percent_encoding::percent_decode_str;
use rusty_s3::actions::{DeleteObjectsResponse, ObjectIdentifier};
use rusty_s3::{Credentials, S3Action};
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

/// For how long a signature holds, by the store's clock.
const VALID: Duration = Duration::from_secs(900);
/// Longer objects are sent in parts.
const WHOLE: u64 = 64 << 20;
/// So many objects are removed by one request.
const BATCH: usize = 1000;
/// No listing and no error is longer.
const TEXT: u64 = 32 << 20;

/// Objects in a bucket, below a prefix.
pub struct Bucket {
    url: String,
    /// What stands before every name: nothing, or something that ends in `/`.
    prefix: String,
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    agent: Agent,
    /// Whether a listing had no tags: then the tags of single answers cannot be compared with it.
    without_tags: AtomicBool,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.url)
    }
}

impl Bucket {
    /// The store at `s3://BUCKET/PREFIX`. Makes no request.
    ///
    /// # Errors
    /// The URL names no bucket or has unusual letters, or the settings cannot be used; in words for people.
    pub fn new(url: &str, settings: Settings) -> Result<Self, String> {
        let (name, prefix) = named(url)?;
        let Settings { credentials, silence, .. } = &settings;
        let config = Agent::config_builder()
            .timeout_resolve(Some(*silence))
            .timeout_connect(Some((*silence).min(Duration::from_secs(10))))
            .timeout_send_request(Some(*silence))
            .timeout_recv_response(Some(*silence))
            // A body may take as long as it takes while bytes come and go.
            .timeout_per_read(Some(*silence))
            .timeout_per_write(Some(*silence))
            .http_status_as_error(false)
            // A signature is for one address.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("ddpipe/", env!("CARGO_PKG_VERSION")))
            .build();
        let bucket = settings.bucket(name)?;
        let url = format!("s3://{name}/{prefix}").trim_end_matches('/').to_string();
        let without_tags = AtomicBool::new(false);
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Bucket { url, prefix, bucket, credentials: credentials.clone(), agent: config.into(), without_tags })
    }

    /// What tells one writing from the next: the object's tag, or its time where listings of the store give no tags.
    fn version(&self, etag: &str, written: SystemTime) -> u64 {
        let etag = etag.trim_matches('"').trim_start_matches("&quot;").trim_end_matches("&quot;");
        if etag.is_empty() || self.without_tags.load(Ordering::Relaxed) {
            return written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        }
        u64::from_str_radix(&Digest::of(etag.as_bytes()).hex()[..16], 16).unwrap_or_default()
    }

    /// The whole name of an object.
    fn key(&self, name: &str) -> Result<String, StoreError> {
        if name.split('/').any(|part| part.is_empty() || part.chars().all(|letter| letter == '.')) {
            return Err(StoreError::Other(format!("{name:?} is no name of an object")));
        }
        Ok(format!("{}{name}", self.prefix))
    }

    /// Signs a request and sends it, with a body where one is given and these headers besides. Statuses from 300 on are
    /// faults.
    fn send<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        body: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) -> Result<Response<Body>, Fault> {
        let mut request = Request::builder().method(A::METHOD.to_str()).uri(action.sign(VALID).as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => request.body(body).map(|request| self.agent.run(request)),
            None => request.body(()).map(|request| self.agent.run(request)),
        };
        let mut response = match sent {
            Ok(sent) => sent.map_err(Fault::silent)?,
            Err(error) => return Err(Fault::of(StoreError::Other(error.to_string()))),
        };
        let status = response.status().as_u16();
        if status < 300 {
            return Ok(response);
        }
        let mut text = Vec::new();
        // What cannot be read of an error is not said.
        let _ = response.body_mut().as_reader().take(1 << 16).read_to_end(&mut text);
        Err(Fault::told(status, response.headers(), &String::from_utf8_lossy(&text)))
    }

    /// As [`Bucket::send`], and the answer's text.
    fn ask<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        body: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) -> Result<Vec<u8>, Fault> {
        let mut response = self.send(action, body, headers)?;
        let mut text = Vec::new();
        let read = response.body_mut().as_reader().take(TEXT).read_to_end(&mut text);
        read.map_err(|error| Fault::broken(&error))?;
        Ok(text)
    }

    fn delete_one(&self, name: &str) -> Result<(), StoreError> {
        let key = self.key(name)?;
        match self.send(&self.bucket.delete_object(Some(&self.credentials), &key), None, &[]) {
            Err(fault) if !fault.is_absence() => Err(fault.error),
            _ => Ok(()),
        }
    }

    /// Removes several; false where the store cannot do that at once.
    fn delete_batch(&self, names: &[String]) -> Result<bool, StoreError> {
        let keys: Result<Vec<_>, _> = names.iter().map(|name| self.key(name).map(ObjectIdentifier::new)).collect();
        let keys = keys?;
        let mut action = self.bucket.delete_objects(Some(&self.credentials), keys.iter());
        action.set_quiet(true);
        let (body, md5) = action.clone().body_with_md5();
        let headers = [("Content-MD5", md5.as_str()), ("Content-Type", "application/xml")];
        let text = match self.ask(&action, Some(body.as_bytes()), &headers) {
            Ok(text) => text,
            Err(fault) if fault.is_unknown() => return Ok(false),
            Err(fault) => return Err(fault.error),
        };
        let answer = DeleteObjectsResponse::parse(&text).map_err(|error| not_understood("a removal", &error))?;
        match answer.errors.into_iter().find(|error| error.code != "NoSuchKey") {
            None => Ok(true),
            Some(error) => Err(Fault::coded(&error.code, &format!("{}: {}", error.key, error.message)).error),
        }
    }
}

impl Store for Bucket {
    fn url(&self) -> &str {
        &self.url
    }

    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let key = self.key(name)?;
        let action = self.bucket.get_object(Some(&self.credentials), &key);
        let mut response = match self.send(&action, None, &[("Accept-Encoding", "identity")]) {
            Ok(response) => response,
            Err(fault) => return fault.absent(),
        };
        let mut bytes = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| Fault::broken(&error).error)?;
        if bytes.len() as u64 > limit {
            return Err(StoreError::Other(format!("{name}: longer than {limit} bytes")));
        }
        Ok(Some(bytes))
    }

    fn read(&self, name: &str, from: u64, into: &mut dyn Write) -> Result<bool, StoreError> {
        let key = self.key(name)?;
        let action = self.bucket.get_object(Some(&self.credentials), &key);
        let range = format!("bytes={from}-");
        let headers = [("Accept-Encoding", "identity"), ("Range", range.as_str())];
        let mut response = match self.send(&action, None, &headers[..if from > 0 { 2 } else { 1 }]) {
            Ok(response) => response,
            // Nothing is behind that place: all of it came before.
            Err(fault) if fault.status == 416 => return Ok(self.head(name)?.is_some()),
            Err(fault) => return Ok(fault.absent::<()>()?.is_some()),
        };
        // A store may give all of it, whatever it was asked for.
        let unwanted = if response.status() == 206 { 0 } else { from };
        let mut reader = response.body_mut().as_reader();
        let skipped = io::copy(&mut reader.by_ref().take(unwanted), &mut io::sink());
        skipped.map_err(|error| Fault::broken(&error).error)?;
        let mut buffer = vec![0u8; 1 << 18];
        loop {
            let read = match reader.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Fault::broken(&error).error),
            };
            into.write_all(&buffer[..read]).map_err(|error| StoreError::Other(error.to_string()))?;
        }
    }

    fn put(&self, name: &str, bytes: u64, body: &mut dyn Read) -> Result<Seen, StoreError> {
        let key = self.key(name)?;
        if bytes > WHOLE {
            self.put_parts(&key, bytes, body)?;
            let gone = || StoreError::Unavailable(format!("{name} is not there after it was sent"));
            return self.head(name)?.ok_or_else(gone);
        }
        // Read to its end before a byte is sent: a body may find out there that it is wrong.
        let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        let read = body.take(bytes + 1).read_to_end(&mut content);
        read.map_err(|error| StoreError::Other(error.to_string()))?;
        if content.len() as u64 != bytes {
            return Err(StoreError::Other(format!("{name}: {} bytes came instead of {bytes}", content.len())));
        }
        let action = self.bucket.put_object(Some(&self.credentials), &key);
        let response = self.send(&action, Some(&content), &[]).map_err(|fault| fault.error)?;
        let written = moment(header(&response, "date"));
        Ok(Seen { bytes, version: self.version(header(&response, "etag"), written), written })
    }

    fn head(&self, name: &str) -> Result<Option<Seen>, StoreError> {
        let key = self.key(name)?;
        let response = match self.send(&self.bucket.head_object(Some(&self.credentials), &key), None, &[]) {
            Ok(response) => response,
            Err(fault) => return fault.absent(),
        };
        let bytes = header(&response, "content-length").parse().unwrap_or_default();
        let written = moment(header(&response, "last-modified"));
        Ok(Some(Seen { bytes, version: self.version(header(&response, "etag"), written), written }))
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Seen)>, StoreError> {
        let below = format!("{}/", self.key(folder)?);
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
            action.with_prefix(&below);
            if let Some(token) = &next {
                action.with_continuation_token(token);
            }
            let text = self.ask(&action, None, &[]).map_err(|fault| fault.error)?;
            let page = Page::read(&text).map_err(|error| not_understood("a listing", &error))?;
            for object in page.contents {
                let key = percent_decode_str(&object.key).decode_utf8_lossy();
                let Some(name) = key.strip_prefix(&self.prefix) else { continue };
                let written = moment(&object.last_modified);
                if object.etag.is_empty() {
                    self.without_tags.store(true, Ordering::Relaxed);
                }
                let version = self.version(&object.etag, written);
                found.push((name.to_string(), Seen { bytes: object.size, version, written }));
            }
            match page.next_continuation_token {
                // A store that gives the same page again would be asked for ever.
                Some(token) if !token.is_empty() && next.as_ref() != Some(&token) => next = Some(token),
                _ => return Ok(found),
            }
        }
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        for names in names.chunks(BATCH) {
            if names.len() == 1 || !self.delete_batch(names)? {
                names.iter().try_for_each(|name| self.delete_one(name))?;
            }
        }
        Ok(())
    }
}

/// The bucket and the prefix that a URL names.
fn named(url: &str) -> Result<(&str, &str), String> {
    let rest = url.strip_prefix("s3://").unwrap_or(url).trim_end_matches('/');
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter));
    if name.is_empty() || !is_plain(name) {
        return Err(format!("{name:?} is no name of a bucket\n  name one as in s3://BUCKET/PREFIX"));
    }
    let is_folder = |part: &str| !part.is_empty() && is_plain(part) && part.chars().any(|letter| letter != '.');
    if !prefix.is_empty() && !prefix.split('/').all(is_folder) {
        return Err(format!(
            "the prefix {prefix:?} has other letters than a-z, A-Z, 0-9, `-`, `.`, `_` and single `/`"
        ));
    }
    Ok((name, prefix))
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn not_understood(what: &str, error: &dyn fmt::Display) -> StoreError {
    StoreError::Other(format!("its answer to {what} is not understood: {error}"))
}
