//! A small S3 endpoint inside the test process: real HTTP on a free port, signatures that are checked, objects in memory, and
//! faults when asked for. What it checks, it works out by itself, from the description of the signature.

#![allow(clippy::unwrap_used, dead_code)]

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const KEY: &str = "AKIDTEST";
pub const SECRET: &str = "a secret/with+letters";
pub const BUCKET: &str = "lab";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503; nothing is done.
    Unavailable,
    /// The request is carried out, and the connection ends before its answer.
    LostReply,
    /// An object ends after so many bytes, and with it the connection.
    Broken(usize),
    /// One byte of an object is another; listings are as they are.
    WrongByte,
    /// The answer takes so long.
    Slow(Duration),
    /// 507; nothing is done.
    Full,
}

/// The endpoint. It goes with the test process.
#[derive(Debug)]
pub struct Endpoint {
    pub url: String,
    pub objects: Mutex<BTreeMap<String, Vec<u8>>>,
    /// When each was written, in seconds since 1970.
    times: Mutex<BTreeMap<String, i64>>,
    pub uploads: Mutex<BTreeMap<String, BTreeMap<u64, Vec<u8>>>>,
    /// Each request as `PUT lab/name`.
    pub asked: Mutex<Vec<String>>,
    requests: AtomicUsize,
    /// The fault, the number of the request that it comes with, and with how many from there on.
    plan: Mutex<Option<(Fault, usize, usize)>>,
    /// How many objects a listing has at most.
    pub page: AtomicUsize,
    /// Whether several objects cannot be removed at once.
    pub no_batches: Mutex<bool>,
    /// Whether listings have no tags.
    pub no_tags: Mutex<bool>,
    /// By how many seconds its clock is ahead.
    pub ahead: Mutex<i64>,
    /// How late its listings are.
    pub late: Mutex<Duration>,
    changes: Mutex<Vec<Change>>,
    token: Option<String>,
}

/// What a listing says of an object: its length, its tag and when it was written.
type Line = (usize, String, i64);
/// When an object was written or removed, and what a listing says of it from then on.
type Change = (Instant, String, Option<Line>);

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Endpoint {
    pub fn start() -> Arc<Self> {
        Self::with_token(None)
    }

    /// One that wants a session's token besides.
    pub fn with_token(token: Option<&str>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Arc::new(Endpoint {
            url: format!("http://{}", listener.local_addr().unwrap()),
            objects: Mutex::default(),
            times: Mutex::default(),
            uploads: Mutex::default(),
            asked: Mutex::default(),
            requests: AtomicUsize::new(0),
            plan: Mutex::default(),
            page: AtomicUsize::new(1000),
            no_batches: Mutex::new(false),
            no_tags: Mutex::default(),
            ahead: Mutex::new(0),
            late: Mutex::default(),
            changes: Mutex::default(),
            token: token.map(str::to_string),
        });
        let serving = endpoint.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let endpoint = serving.clone();
                thread::spawn(move || endpoint.converse(stream));
            }
        });
        endpoint
    }

    /// The variables that lead here.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", KEY.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
            ("AWS_REGION", "eu-test-1".into()),
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ALLOW_HTTP", "true".into()),
        ]
    }

    /// From the request `at` on (the first is 0), so many meet this fault.
    pub fn fail(&self, fault: Fault, at: usize, requests: usize) {
        self.requests.store(0, Ordering::SeqCst);
        *self.plan.lock().unwrap() = Some((fault, at, requests));
    }

    pub fn heal(&self) {
        *self.plan.lock().unwrap() = None;
    }

    pub fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn converse(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some(request) = read_request(&mut reader) {
            let number = self.requests.fetch_add(1, Ordering::SeqCst);
            self.asked.lock().unwrap().push(format!("{} {}", request.method, request.path.trim_start_matches('/')));
            let plan = *self.plan.lock().unwrap();
            let meets = |at: usize, requests: usize| (at..at.saturating_add(requests)).contains(&number);
            let fault = plan.filter(|(_, at, requests)| meets(*at, *requests)).map(|(fault, ..)| fault);
            let mut answer = match fault {
                Some(Fault::Unavailable) => refused(503, "SlowDown", "too many requests"),
                Some(Fault::Full) => refused(507, "", ""),
                _ => self.checked(&request),
            };
            if let Some(Fault::Slow(wait)) = fault {
                thread::sleep(wait);
            }
            let gives = request.method == "GET" && answer.status < 300 && !answer.body.is_empty();
            let mut ends = fault == Some(Fault::LostReply);
            let length = answer.body.len();
            match fault {
                Some(Fault::WrongByte) if gives && !request.query.contains_key("list-type") => {
                    answer.body[length / 2] ^= 1
                }
                Some(Fault::Broken(at)) if gives => {
                    answer.body.truncate(at);
                    ends = true;
                }
                _ => {}
            }
            if fault == Some(Fault::LostReply) {
                return;
            }
            let length = if request.method == "HEAD" { answer.body.len() } else { length };
            let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {length}\r\n", answer.status);
            head.push_str(&format!("Date: {}\r\n", http_date(self.now())));
            for (name, value) in &answer.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            let body: &[u8] = if request.method == "HEAD" { b"" } else { &answer.body };
            let all = [head.as_bytes(), b"\r\n", body].concat();
            if stream.write_all(&all).is_err() || ends {
                return;
            }
        }
    }

    fn now(&self) -> i64 {
        let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        here as i64 + *self.ahead.lock().unwrap()
    }

    fn checked(&self, request: &Request) -> Answer {
        match self.signature_fault(request) {
            Some((code, message)) => refused(403, code, message),
            None => self.carry_out(request),
        }
    }

    /// What is wrong with a signature in the query.
    fn signature_fault(&self, request: &Request) -> Option<(&'static str, &'static str)> {
        let asked = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
        if asked("X-Amz-Algorithm") != "AWS4-HMAC-SHA256" {
            return Some(("AccessDenied", "the request is not signed"));
        }
        if self.token.as_deref().unwrap_or_default() != asked("X-Amz-Security-Token") {
            return Some(("ExpiredToken", "the token has expired"));
        }
        let date = asked("X-Amz-Date");
        let (day, scope) = (&date[..8], asked("X-Amz-Credential"));
        let whole_scope = format!("{day}/eu-test-1/s3/aws4_request");
        if scope != format!("{KEY}/{whole_scope}") {
            return Some(("InvalidAccessKeyId", "no such key"));
        }
        let signed_at = seconds(date);
        let expires: i64 = asked("X-Amz-Expires").parse().unwrap();
        if self.now() > signed_at + expires || self.now() < signed_at - 900 {
            return Some(("AccessDenied", "Request has expired"));
        }
        let query: Vec<String> = request
            .query
            .iter()
            .filter(|(name, _)| *name != "X-Amz-Signature")
            .map(|(name, value)| format!("{}={}", encoded(name, ""), encoded(value, "")))
            .collect();
        assert_eq!(asked("X-Amz-SignedHeaders"), "host");
        let canonical = format!(
            "{}\n{}\n{}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
            request.method,
            encoded(&request.path, "/"),
            query.join("&"),
            request.headers["host"]
        );
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{whole_scope}\n{}", hex(&Sha256::digest(canonical)));
        let mut key = hmac(format!("AWS4{SECRET}").as_bytes(), day);
        for part in ["eu-test-1", "s3", "aws4_request"] {
            key = hmac(&key, part);
        }
        let right = hex(&hmac(&key, &to_sign)) == asked("X-Amz-Signature");
        (!right).then_some(("SignatureDoesNotMatch", "the signature is another"))
    }

    fn carry_out(&self, request: &Request) -> Answer {
        let path = request.path.trim_start_matches('/');
        let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return refused(404, "NoSuchBucket", "The specified bucket does not exist");
        }
        let asked = |name: &str| request.query.get(name).map(String::as_str);
        let upload = asked("uploadId").unwrap_or_default();
        let mut objects = self.objects.lock().unwrap();
        let mut uploads = self.uploads.lock().unwrap();
        let mut times = self.times.lock().unwrap();
        let is_known = uploads.contains_key(upload);
        match (request.method.as_str(), name) {
            ("GET", "") if asked("list-type") == Some("2") => self.listing(request, &self.lines(&objects, &times)),
            ("POST", "") if asked("delete").is_some() => {
                if *self.no_batches.lock().unwrap() {
                    return refused(501, "NotImplemented", "one at a time");
                }
                let text = String::from_utf8_lossy(&request.body).into_owned();
                text.split("<Key>").skip(1).filter_map(|rest| rest.split('<').next()).for_each(|name| {
                    objects.remove(name);
                    self.changed(name, None);
                });
                found(b"<DeleteResult></DeleteResult>".to_vec())
            }
            ("POST", name) if asked("uploads").is_some() => {
                let id = format!("{name}-{}", uploads.len());
                uploads.insert(id.clone(), BTreeMap::new());
                let text =
                    format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
                found(text.into_bytes())
            }
            (_, _) if !upload.is_empty() && !is_known => refused(404, "NoSuchUpload", "no such upload"),
            ("PUT", _) if !upload.is_empty() => {
                let number = asked("partNumber").unwrap().parse().unwrap();
                uploads.get_mut(upload).unwrap().insert(number, request.body.clone());
                tagged(tag(&request.body))
            }
            ("POST", name) if !upload.is_empty() => {
                let parts = uploads.remove(upload).unwrap();
                let text = String::from_utf8_lossy(&request.body).into_owned();
                let right = parts.iter().all(|(number, part)| {
                    let part = format!("<ETag>{}</ETag><PartNumber>{number}</PartNumber>", tag(part));
                    text.replace("&quot;", "\"").contains(&part)
                });
                if !right || text.matches("<Part>").count() != parts.len() {
                    return refused(400, "InvalidPart", "another list of parts");
                }
                let whole: Vec<u8> = parts.into_values().flatten().collect();
                self.changed(name, Some((whole.len(), tag(&whole), self.now())));
                objects.insert(name.to_string(), whole);
                times.insert(name.to_string(), self.now());
                found(b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>".to_vec())
            }
            ("DELETE", _) if !upload.is_empty() => {
                uploads.remove(upload);
                Answer { status: 204, ..found(Vec::new()) }
            }
            ("PUT", name) => {
                self.changed(name, Some((request.body.len(), tag(&request.body), self.now())));
                times.insert(name.to_string(), self.now());
                objects.insert(name.to_string(), request.body.clone());
                tagged(tag(&request.body))
            }
            ("DELETE", name) => {
                self.changed(name, None);
                objects.remove(name);
                Answer { status: 204, ..found(Vec::new()) }
            }
            (_, name) => match objects.get(name) {
                None => refused(404, "NoSuchKey", "The specified key does not exist."),
                Some(bytes) => {
                    let mut answer = given(request, bytes);
                    let written = http_date(times.get(name).copied().unwrap_or(0));
                    answer.headers.push(("Last-Modified".into(), written));
                    answer
                }
            },
        }
    }

    fn changed(&self, name: &str, line: Option<Line>) {
        self.changes.lock().unwrap().push((Instant::now(), name.to_string(), line));
    }

    /// What listings say: what is there, or what was there a while ago.
    fn lines(&self, objects: &BTreeMap<String, Vec<u8>>, times: &BTreeMap<String, i64>) -> BTreeMap<String, Line> {
        let late = *self.late.lock().unwrap();
        if late.is_zero() {
            let written = |name: &String| times.get(name).copied().unwrap_or(0);
            let line = |(name, bytes): (&String, &Vec<u8>)| (name.clone(), (bytes.len(), tag(bytes), written(name)));
            return objects.iter().map(line).collect();
        }
        let mut lines = BTreeMap::new();
        let changes = self.changes.lock().unwrap();
        for (_, name, line) in changes.iter().filter(|(at, ..)| at.elapsed() >= late) {
            match line {
                Some(line) => lines.insert(name.clone(), line.clone()),
                None => lines.remove(name),
            };
        }
        lines
    }

    fn listing(&self, request: &Request, objects: &BTreeMap<String, Line>) -> Answer {
        let prefix = request.query.get("prefix").cloned().unwrap_or_default();
        let after = request.query.get("continuation-token").cloned().unwrap_or_default();
        let page = self.page.load(Ordering::SeqCst);
        let all = objects.iter().filter(|(name, _)| name.starts_with(&prefix) && **name > after);
        let names: Vec<(&String, &Line)> = all.take(page + 1).collect();
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult>");
        for (name, (size, tag, written)) in names.iter().take(page) {
            let (year, month, day) = date(*written);
            let (hour, minute, second) = (written / 3600 % 24, written / 60 % 60, written % 60);
            let written = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z");
            let tag = format!("<ETag>{}</ETag>", tag.replace('"', "&quot;"));
            let tag = if *self.no_tags.lock().unwrap() { String::new() } else { tag };
            text.push_str(&format!(
                "<Contents><Key>{}</Key><LastModified>{written}</LastModified>{tag}<Size>{size}</Size></Contents>",
                encoded(name, "")
            ));
        }
        if names.len() > page {
            let last = names[page - 1].0;
            text.push_str(&format!("<NextContinuationToken>{last}</NextContinuationToken>"));
        }
        text.push_str("</ListBucketResult>");
        found(text.into_bytes())
    }
}

fn given(request: &Request, bytes: &[u8]) -> Answer {
    let mut answer = Answer { headers: vec![("ETag".into(), tag(bytes))], ..found(bytes.to_vec()) };
    if let Some(from) = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')) {
        let from: usize = from.parse().unwrap();
        if from >= bytes.len() {
            return refused(416, "InvalidRange", "nothing is there");
        }
        answer.status = 206;
        answer.body = bytes[from..].to_vec();
    }
    answer
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.trim().to_string()),
            None => break,
        };
    }
    assert!(!headers.keys().any(|name| name.starts_with("if-")), "a condition: {headers:?}");
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let query = query.map(|(name, value)| (decoded(name), decoded(value))).collect();
    Some(Request { method, path: decoded(path), query, headers, body })
}

fn found(body: Vec<u8>) -> Answer {
    Answer { status: 200, headers: Vec::new(), body }
}

fn tagged(tag: String) -> Answer {
    Answer { headers: vec![("ETag".into(), tag)], ..found(Vec::new()) }
}

fn refused(status: u16, code: &str, message: &str) -> Answer {
    let text = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Answer { status, headers: Vec::new(), body: text.into_bytes() }
}

fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", &hex(&Sha256::digest(bytes))[..32])
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    let pad = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).unwrap_or(&0) ^ byte).collect() };
    let inner = Sha256::digest([pad(0x36), text.as_bytes().to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything but these letters as `%XX`.
fn encoded(text: &str, plain: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.contains(byte as char);
    text.bytes().map(|byte| if is_plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The seconds since 1970 of `20130524T000000Z`.
fn seconds(date: &str) -> i64 {
    let number = |from: usize, to: usize| -> i64 { date[from..to].parse().unwrap() };
    days(number(0, 4), number(4, 6), number(6, 8)) * 86400 + number(9, 11) * 3600 + number(11, 13) * 60 + number(13, 15)
}

/// Days since 1970.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// Year, month and day of a time.
fn date(seconds: i64) -> (i64, i64, i64) {
    let all = seconds.div_euclid(86400);
    let year = (1970..).find(|year| days(year + 1, 1, 1) > all).unwrap();
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= all).unwrap();
    (year, month, all - days(year, month, 1) + 1)
}

/// A time as headers have it.
fn http_date(seconds: i64) -> String {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day) = date(seconds);
    let week = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][seconds.div_euclid(86400).rem_euclid(7) as usize];
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{week}, {day:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", months[month as usize - 1])
}
