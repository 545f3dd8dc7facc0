//! A page of a listing, as stores write it. Not all of them give every object a tag, as the reader of `rusty-s3` expects.

use serde::Deserialize;

/// A page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Page {
    /// The objects.
    #[serde(rename = "Contents", default)]
    pub contents: Vec<Object>,
    /// What names the next page, where there is one.
    #[serde(rename = "NextContinuationToken", default)]
    pub next_continuation_token: Option<String>,
}

/// An object.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    /// Its name, with `%` and two digits for some letters.
    #[serde(rename = "Key")]
    pub key: String,
    /// What changes with its content; empty where the store gives none.
    #[serde(rename = "ETag", default)]
    pub etag: String,
    /// When it was written.
    #[serde(rename = "LastModified", default)]
    pub last_modified: String,
    /// Its length in bytes.
    #[serde(rename = "Size", default)]
    pub size: u64,
}

impl Page {
    /// Reads one.
    ///
    /// # Errors
    /// It is no page of a listing.
    pub fn read(text: &[u8]) -> Result<Self, quick_xml::DeError> {
        quick_xml::de::from_reader(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tags_may_be_missing_and_other_elements_are_passed_over() {
        let text = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>lab</Name>\
                    <Contents><Key>a%20b</Key><LastModified>2026-11-29T16:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>3</Size></Contents>\
                    <KeyCount>2</KeyCount><Contents><Key>c</Key><LastModified>2026-11-29T16:00:00Z</LastModified><Size>4</Size></Contents>\
                    <IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
        let page = Page::read(text.as_bytes()).unwrap();
        let told: Vec<_> =
            page.contents.iter().map(|object| (object.key.as_str(), object.etag.as_str(), object.size)).collect();
        assert_eq!(told, [("a%20b", "\"x\"", 3), ("c", "", 4)]);
        assert_eq!(page.next_continuation_token.as_deref(), Some("t"));
        assert!(Page::read(b"<html><p>hello</html>").is_err());
    }
}
