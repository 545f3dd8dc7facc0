//! Names of nodes and results as other programs take them: as parts of paths, of addresses and of their own rules.

/// So many letters of a name are kept.
const LONGEST: usize = 120;
/// So much of a digest tells names apart of which something was left out.
const DIGITS: usize = 10;

/// A node's address as the name of one file or folder: `evaluate-arch=mlp,seed=0`. It has no letters but those of ASCII, digits
/// and `-_=,.`; of an address that had others, a digest keeps it apart from all others.
pub fn of_node(address: &str) -> String {
    let (stage, axes) = address.split_once('[').unwrap_or((address, ""));
    let axes = axes.strip_suffix(']').unwrap_or(axes);
    let name = if axes.is_empty() { stage.to_string() } else { format!("{stage}-{axes}") };
    plain(&name, "-_=,.")
}

/// A text with these letters beside those of ASCII and digits.
pub fn plain(text: &str, others: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    let mut name: String = text.chars().take(LONGEST).map(|it| if is_plain(it) { it } else { '_' }).collect();
    // A name of dots alone leads out of a folder, and one that begins with a dot is not seen.
    if name.starts_with('.') {
        name.replace_range(..1, "_");
    }
    if name != text {
        let digest = blake3::hash(text.as_bytes()).to_hex();
        name.push('-');
        name.extend(digest.chars().take(DIGITS));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_its_own() {
        assert_eq!(of_node("evaluate[arch=mlp,seed=0]"), "evaluate-arch=mlp,seed=0");
        assert_eq!(of_node("table"), "table");
        let hostile = of_node("a[x=\"../../b\"]");
        assert!(hostile.starts_with("a-x=_.._.._b_-") && !hostile.contains('/'), "{hostile}");
        assert_ne!(of_node("a[x=ä]"), of_node("a[x=ö]"));
        assert_eq!(plain("accuracy.std", "-_."), "accuracy.std");
        assert!(plain("..", ".").starts_with("_."));
        assert!(plain(&"x".repeat(999), "").len() < 140);
    }
}
