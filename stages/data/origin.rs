//! The origin of a data set's images in words, for `Dataset::origin`.

/// The words by which generated files of ddpipe mark themselves in their comment, and which the origin then contains.
const SAMPLE_DATA: &str = "sample data";

/// The origin of images: `given` by a manifest, or else `otherwise`. Generated files, recognised by their comment, are
/// always called sample data.
pub fn origin(given: Option<&str>, comment: &str, otherwise: impl FnOnce() -> String) -> String {
    match (given, comment.contains(SAMPLE_DATA)) {
        (Some(origin), true) => format!("{origin} ({SAMPLE_DATA})"),
        (Some(origin), false) => origin.into(),
        (None, true) => SAMPLE_DATA.into(),
        (None, false) => otherwise(),
    }
}
