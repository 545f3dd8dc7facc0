//! JSON as programs write it. Python's `json.dump` writes NaN and infinities by names that JSON does not have; here they
//! become `null`, which is how ddpipe's own documents say that a number is not defined.

use std::borrow::Cow;

/// The names, longest first.
const NOT_FINITE: [&[u8]; 3] = [b"-Infinity", b"Infinity", b"NaN"];

/// The text with `null` for every number that is not finite; texts in quotes stay as they are.
pub fn with_null_for_not_finite(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !NOT_FINITE.iter().any(|name| bytes.windows(name.len()).any(|window| window == *name)) {
        return Cow::Borrowed(bytes);
    }
    let mut mended = Vec::with_capacity(bytes.len());
    let (mut rest, mut quoted) = (bytes, false);
    while let Some((&first, after)) = rest.split_first() {
        let name = NOT_FINITE.iter().find(|name| !quoted && rest.starts_with(name));
        rest = match (first, name, after) {
            (_, Some(name), _) => {
                mended.extend_from_slice(b"null");
                rest.get(name.len()..).unwrap_or_default()
            }
            (b'\\', None, [escaped, after @ ..]) if quoted => {
                mended.extend_from_slice(&[first, *escaped]);
                after
            }
            _ => {
                quoted ^= first == b'"';
                mended.push(first);
                after
            }
        };
    }
    Cow::Owned(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_for_numbers_that_are_not_finite_is_null() {
        for (written, read) in [
            (
                r#"{"metrics": {"a": NaN, "b": -Infinity, "c": [Infinity, 1]}}"#,
                r#"{"metrics": {"a": null, "b": null, "c": [null, 1]}}"#,
            ),
            (r#"{"NaN": "say \"NaN\" \\", "x": NaN}"#, r#"{"NaN": "say \"NaN\" \\", "x": null}"#),
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            (r#"{"a": "NaN"#, r#"{"a": "NaN"#),
            ("NaN\\", "null\\"),
        ] {
            assert_eq!(with_null_for_not_finite(written.as_bytes()), read.as_bytes(), "{written}");
        }
    }
}
