//! Command lines for people to copy. Quotes what a shell would read otherwise.

use crate::place;
use ddpipe_cache::Cache;
use std::path::Path;

/// A command line as one could type it; of the program only its name.
pub fn line(words: &[String]) -> String {
    let name =
        |word: &String| Path::new(word).file_name().map_or(word.clone(), |name| name.to_string_lossy().into_owned());
    let words = words.iter().enumerate().map(|(at, word)| if at == 0 { name(word) } else { word.clone() });
    words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

/// The command that runs a run of this cache again. The cache is named unless it is the one of the folder around it.
pub fn again(cache: &Cache, run: &str) -> String {
    let root = cache.root();
    let words = |cache: &[&str]| {
        let words = ["ddpipe", "run", "--from-run", run].into_iter().chain(cache.iter().copied());
        line(&words.map(str::to_string).collect::<Vec<_>>())
    };
    let is_found = place::nearest().and_then(|found| std::path::absolute(found).ok()).as_deref() == Some(root);
    match root.parent().filter(|_| root.ends_with(place::FOLDER)) {
        Some(_) if is_found => words(&[]),
        Some(project) => format!("cd {} && {}", quoted(&project.display().to_string()), words(&[])),
        None => words(&["--cache", &root.display().to_string()]),
    }
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=,:+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_by_a_shell() {
        let words = ["/usr/bin/ddpipe", "run", "a b.toml", "--set", "vars.x=[1, 2]", "it's"].map(str::to_string);
        assert_eq!(line(&words), r"ddpipe run 'a b.toml' --set 'vars.x=[1, 2]' 'it'\''s'");
    }
}
