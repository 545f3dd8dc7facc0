//! Where a data set's images come from, in words: `Dataset::origin`.

/// What ddpipe's own generated files say in their comment, and what the origin then says.
const SAMPLE_DATA: &str = "sample data";

/// The origin of images: what a manifest gives, else `otherwise`. Generated files, known by their comment, are called sample
/// data in any case.
pub fn origin(given: Option<&str>, comment: &str, otherwise: impl FnOnce() -> String) -> String {
    match (given, comment.contains(SAMPLE_DATA)) {
        (Some(origin), true) => format!("{origin} ({SAMPLE_DATA})"),
        (Some(origin), false) => origin.into(),
        (None, true) => SAMPLE_DATA.into(),
        (None, false) => otherwise(),
    }
}
