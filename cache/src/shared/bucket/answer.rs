//! What a store's refusals and silences mean, in the few words that a [`StoreError`] has, with the way out where there is one.

use crate::shared::store::StoreError;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use std::io;
use std::time::{Duration, SystemTime};
use ureq::http::HeaderMap;

/// A clock that is off by more than this is mentioned.
const CLOCK: i64 = 240;

/// Why a request was not answered as it was meant.
#[derive(Debug)]
pub(super) struct Fault {
    /// The status, or 0 where there was none.
    pub status: u16,
    code: String,
    pub error: StoreError,
}

impl Fault {
    pub fn of(error: StoreError) -> Self {
        Fault { status: 0, code: String::new(), error }
    }

    /// No answer came. Its text never has the address, which is signed.
    pub fn silent(error: ureq::Error) -> Self {
        Fault::of(match error {
            ureq::Error::Io(error) => return Fault::broken(&error),
            ureq::Error::Timeout(at) => StoreError::Unavailable(format!("no answer in time ({at})")),
            ureq::Error::HostNotFound => StoreError::Unavailable("its address has no host by that name".into()),
            ureq::Error::Rustls(error) => refused_certificate(&error),
            ureq::Error::Tls(error) => refused_certificate(&error),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => StoreError::Other("its address is no address".into()),
            error => StoreError::Unavailable(error.to_string()),
        })
    }

    /// The connection broke.
    pub fn broken(error: &io::Error) -> Self {
        let text = error.to_string();
        Fault::of(match error.kind() {
            io::ErrorKind::InvalidData if text.contains("certificate") => refused_certificate(&text),
            io::ErrorKind::InvalidData if text.contains("corrupt message") => {
                StoreError::Denied(format!("{text}\n  its address may be one of http:// and not of https://"))
            }
            _ => StoreError::Unavailable(text),
        })
    }

    /// The store answered with an error, whose text is XML or nothing.
    pub fn told(status: u16, headers: &HeaderMap, text: &str) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Said { code, message, region } = quick_xml::de::from_str(text).unwrap_or_default();
        let (code, message) = (shown(&code), shown(&message));
        let said = match (code.is_empty(), message.is_empty()) {
            (true, true) => format!("status {status}"),
            (false, true) => code.clone(),
            _ => format!("{code}: {message}"),
        };
        let region = header("x-amz-bucket-region").or(region.as_deref()).map(shown);
        let error = match status {
            301 | 307 | 400 if region.is_some() && !code.contains("Token") => StoreError::NoSuchPlace(format!(
                "{said}\n  the bucket is in another region: export AWS_REGION={}",
                region.unwrap_or_default()
            )),
            401 | 403 => StoreError::Denied(said + &why_denied(&code, header("date"))),
            404 if code == "NoSuchBucket" => StoreError::NoSuchPlace(format!(
                "{said}\n  make the bucket once, and check its name and AWS_ENDPOINT_URL"
            )),
            408 | 429 | 500 | 502..=504 => StoreError::Unavailable(said),
            507 => StoreError::Full(said),
            _ if code.is_empty() && !text.trim().is_empty() => StoreError::NoSuchPlace(format!(
                "{said}, in words that no S3 store has\n  check AWS_ENDPOINT_URL: something else answers there"
            )),
            _ if code.is_empty() => StoreError::Other(said),
            _ => Fault::coded(&code, &message).error,
        };
        Fault { status, code, error }
    }

    /// An error that has only a code and a text.
    pub fn coded(code: &str, message: &str) -> Self {
        let said = if code.is_empty() { message.to_string() } else { format!("{code}: {message}") };
        let error = match code {
            "AccessDenied"
            | "ExpiredToken"
            | "InvalidToken"
            | "RequestTimeTooSkewed"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch" => StoreError::Denied(said + &why_denied(code, None)),
            "SlowDown" | "ServiceUnavailable" | "InternalError" | "RequestTimeout" | "OperationAborted" => {
                StoreError::Unavailable(said)
            }
            "QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" => {
                StoreError::Full(said)
            }
            _ => StoreError::Other(said),
        };
        Fault { status: 0, code: code.to_string(), error }
    }

    /// Whether the object is not there, and the bucket is.
    pub fn is_absence(&self) -> bool {
        self.status == 404 && !matches!(self.error, StoreError::NoSuchPlace(_))
    }

    /// Whether the store does not know such a request.
    pub fn is_unknown(&self) -> bool {
        matches!(self.status, 405 | 501) || self.code == "NotImplemented"
    }

    /// Nothing, where the object is not there.
    pub fn absent<T>(self) -> Result<Option<T>, StoreError> {
        if self.is_absence() { Ok(None) } else { Err(self.error) }
    }
}

fn refused_certificate(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Denied(format!("its certificate is not accepted: {error}"))
}

/// What somebody can do who was refused; `date` is the store's time.
fn why_denied(code: &str, date: Option<&str>) -> String {
    let theirs = date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp().as_second());
    let ahead = theirs.map_or(0, |theirs| Timestamp::now().as_second() - theirs);
    if ahead.abs() > CLOCK || code == "RequestTimeTooSkewed" {
        let by = format!("{} minutes {}", ahead.abs() / 60, if ahead > 0 { "ahead of" } else { "behind" });
        let by = if ahead == 0 { "far from".to_string() } else { by };
        return format!("\n  the clock of this machine is {by} the store's: set it");
    }
    match code {
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "NotSignedUp" => {
            "\n  AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not known there, or do not belong together".into()
        }
        "ExpiredToken" | "InvalidToken" => {
            "\n  the login is over: `eval \"$(aws configure export-credentials --format env)\"` gets new keys".into()
        }
        _ => "\n  the key has to be allowed to list the bucket, and to read, write and remove its objects".into(),
    }
}

/// What a store says of an error, as far as it says something that can be read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Said {
    code: String,
    message: String,
    region: Option<String>,
}

/// A text of the store's that goes to a terminal.
fn shown(text: &str) -> String {
    text.trim().chars().filter(|letter| !letter.is_control()).take(300).collect()
}

/// A time as headers have it, or as listings do, in whole seconds; long ago where it cannot be read.
pub(super) fn moment(text: &str) -> SystemTime {
    let listed = text.parse::<Timestamp>().ok();
    let second = listed.or_else(|| Some(rfc2822::parse(text).ok()?.timestamp())).map_or(0, |time| time.as_second());
    SystemTime::UNIX_EPOCH + Duration::from_secs(second.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(status: u16, headers: &[(&'static str, &str)], code: &str) -> StoreError {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| drop(map.insert(*name, value.parse().unwrap())));
        let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>a &amp; b</Message></Error>");
        Fault::told(status, &map, &text).error
    }

    #[test]
    fn every_answer_means_something() {
        assert!(matches!(told(503, &[], "SlowDown"), StoreError::Unavailable(text) if text == "SlowDown: a & b"));
        assert!(matches!(told(500, &[], ""), StoreError::Unavailable(_)));
        assert!(matches!(told(507, &[], ""), StoreError::Full(_)));
        let of_others = |text| Fault::told(404, &HeaderMap::new(), text);
        assert!(
            matches!(of_others("<html>not here</html>").error, StoreError::NoSuchPlace(why) if why.contains("something else answers"))
        );
        assert!(!of_others("<html>not here</html>").is_absence() && of_others("").is_absence());
        assert!(matches!(told(400, &[], "ExpiredToken"), StoreError::Denied(text) if text.contains("login is over")));
        assert!(matches!(told(404, &[], "NoSuchBucket"), StoreError::NoSuchPlace(_)));
        assert!(
            matches!(told(403, &[], "SignatureDoesNotMatch"), StoreError::Denied(text) if text.contains("AWS_SEC"))
        );
        let moved = told(301, &[("x-amz-bucket-region", "eu-west-1")], "PermanentRedirect");
        assert!(matches!(moved, StoreError::NoSuchPlace(text) if text.contains("export AWS_REGION=eu-west-1")));
        let skewed = told(403, &[("date", "Fri, 24 May 2013 00:00:00 GMT")], "AccessDenied");
        assert!(matches!(skewed, StoreError::Denied(text) if text.contains("minutes ahead of the store's")));
        assert!(matches!(told(418, &[], "Teapot"), StoreError::Other(_)));
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        let (header, listed) = ("Fri, 24 May 2013 00:00:00 GMT", "2013-05-24T00:00:00.250Z");
        assert_eq!(moment(header), moment(listed));
        assert_ne!(moment(header), SystemTime::UNIX_EPOCH);
        assert_eq!(moment("yesterday"), SystemTime::UNIX_EPOCH);
    }
}
