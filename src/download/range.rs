//! The header `Content-Range`, by which a server says which bytes of which whole it sends.

use std::str::FromStr;

/// `bytes 500-999/1000`, `bytes 500-999/*` or, of a file that ends before what was asked for, `bytes */1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first and the last byte that are sent; the first is not behind the last. None where the range cannot be sent.
    pub bytes: Option<(u64, u64)>,
    /// The length of the whole file, more than the last byte, where the server knows it.
    pub total: Option<u64>,
}

/// A text that is not the value of a `Content-Range`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a content range")]
pub struct NotARange;

impl FromStr for ContentRange {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let (unit, rest) = text.trim().split_once(' ').ok_or(NotARange)?;
        let (bytes, total) = rest.trim_start().split_once('/').ok_or(NotARange)?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return Err(NotARange);
        }
        let total = if total == "*" { None } else { Some(number(total)?) };
        if bytes == "*" {
            return Ok(ContentRange { bytes: None, total });
        }
        let (first, last) = bytes.split_once('-').ok_or(NotARange)?;
        let (first, last) = (number(first)?, number(last)?);
        // The last number of all has no successor: nothing is that long.
        if first > last || last == u64::MAX || total.is_some_and(|total| last >= total) {
            return Err(NotARange);
        }
        Ok(ContentRange { bytes: Some((first, last)), total })
    }
}

/// Digits and nothing else; `parse` alone would take a sign.
fn number(text: &str) -> Result<u64, NotARange> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NotARange);
    }
    text.parse().map_err(|_| NotARange)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_three_forms_are_read() {
        let read = |text: &str| text.parse::<ContentRange>().unwrap();
        assert_eq!(read("bytes 500-999/1000"), ContentRange { bytes: Some((500, 999)), total: Some(1000) });
        assert_eq!(read(" Bytes 0-0/*"), ContentRange { bytes: Some((0, 0)), total: None });
        assert_eq!(read("bytes */1000"), ContentRange { bytes: None, total: Some(1000) });
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            "bytes",
            "bytes 1-2",
            "bytes 2-1/3",
            "bytes 1-3/3",
            "bytes -1/3",
            "bytes +1-2/3",
            "bytes 1-2/+3",
            "bytes 1-/3",
            "lines 1-2/3",
            "bytes 1-18446744073709551616/*",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(text.parse::<ContentRange>(), Err(NotARange), "{text}");
        }
    }
}
