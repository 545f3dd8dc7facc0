//! Names of files in archives and folders: what systems leave behind beside the data, and names as text whatever wrote
//! them. Knows neither archives nor folders.

/// Folders that systems and programs make beside data.
const FOLDERS: [&str; 6] =
    ["__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"];

/// Files that they make, in lower case.
const FILES: [&str; 4] = ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"];

/// Whether a file was left by a system or a program and is none of the data: hidden, in a hidden folder, or known by name.
pub fn is_left_behind(path: &str) -> bool {
    let base = path.rsplit('/').next().unwrap_or_default();
    path.split('/').any(|part| part.starts_with('.') && part != "." && part != ".." || FOLDERS.contains(&part))
        || FILES.contains(&base.to_lowercase().as_str())
}

/// The upper half of code page 437, in which ZIP files have names that are not marked as UTF-8.
const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// A name as text: as it is where it is UTF-8, else as code page 437, in which no two names are alike. The second value says
/// whether it was UTF-8.
pub fn text(raw: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(raw) {
        return (text.to_string(), true);
    }
    let upper = |byte: u8| UPPER.chars().nth(usize::from(byte & 0x7F)).unwrap_or(char::REPLACEMENT_CHARACTER);
    let letter = |&byte: &u8| if byte.is_ascii() { char::from(byte) } else { upper(byte) };
    (raw.iter().map(letter).collect(), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systems_leave_behind_is_known() {
        for name in [".DS_Store", "a/.ipynb_checkpoints/1.png", "__MACOSX/a/1.png", "a/Thumbs.db", "a/@eaDir/x.jpg"] {
            assert!(is_left_behind(name), "{name}");
        }
        for name in ["a/1.png", "./a/1.png", "a.b/thumbs.png"] {
            assert!(!is_left_behind(name), "{name}");
        }
    }

    #[test]
    fn names_of_any_encoding_stay_apart() {
        assert_eq!(UPPER.chars().count(), 128);
        assert_eq!(UPPER.chars().collect::<std::collections::HashSet<_>>().len(), 128);
        assert_eq!(text("猫/1.png".as_bytes()), ("猫/1.png".into(), true));
        let (dog, bird) = (text(b"\xb9\xb7/1.png"), text(b"\xc4\xf1/1.png"));
        assert_eq!(dog, ("╣╖/1.png".into(), false));
        assert_ne!(dog, bird);
    }
}
