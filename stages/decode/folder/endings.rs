//! What a file is by the ending of its name, as far as an ending tells. No file is opened here.

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A PNG or JPEG picture.
    Picture,
    /// A picture in another format; to pass it over would lose an image.
    OtherPicture,
    /// A text or program that lies beside the data.
    Beside,
    /// Not known by its ending: its first bytes tell.
    Unknown,
}

const PICTURES: [&str; 7] = ["png", "jpg", "jpeg", "jpe", "jfif", "jif", "jfi"];

const OTHER_PICTURES: [&str; 26] = [
    "apng", "avif", "bmp", "dcm", "dib", "exr", "gif", "hdr", "heic", "heif", "ico", "j2k", "jp2", "jxl", "pam", "pbm",
    "pcx", "pgm", "pnm", "ppm", "psd", "qoi", "tga", "tif", "tiff", "webp",
];

const BESIDE: [&str; 25] = [
    "cfg", "csv", "doc", "docx", "htm", "html", "ini", "ipynb", "json", "jsonl", "log", "m", "md", "md5", "pdf", "py",
    "rst", "sh", "sha256", "toml", "tsv", "txt", "xml", "yaml", "yml",
];

/// Names without an ending that lie beside data.
const NAMES: [&str; 5] = ["authors", "license", "licence", "makefile", "readme"];

/// What a file is, by its name.
pub fn kind(name: &str) -> Kind {
    let base = name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let ending = base.rsplit_once('.').map(|(_, ending)| ending).unwrap_or_default();
    match ending {
        _ if PICTURES.contains(&ending) => Kind::Picture,
        _ if OTHER_PICTURES.contains(&ending) => Kind::OtherPicture,
        _ if BESIDE.contains(&ending) || NAMES.contains(&base.as_str()) => Kind::Beside,
        _ => Kind::Unknown,
    }
}

/// The ending of a name, for messages: `.webp`.
pub fn shown(name: &str) -> String {
    name.rsplit_once('.').map(|(_, ending)| format!(".{}", ending.to_lowercase())).unwrap_or_default()
}

/// Whether the bytes of a file begin as those of a PNG or a JPEG picture do.
pub fn begins_as_picture(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.starts_with(&[0xFF, 0xD8, 0xFF])
}
