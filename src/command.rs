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

/// Options that say where nodes are computed and kept.
const ELSEWHERE: [&str; 5] = ["--on", "--pilots", "--within", "--remote", "--config"];
/// What a command line allowed.
const ALLOWS: &str = "--allow-commands";

/// The command that runs a run of this cache again, on the machines and with the remote of the command line `called`. The
/// cache is named unless it is the one of the folder around it.
pub fn again(cache: &Cache, run: &str, called: &[String]) -> String {
    let root = cache.root();
    let elsewhere = elsewhere(called);
    let words = |cache: &[&str]| {
        let words = ["ddpipe", "run", "--from-run", run].into_iter().chain(cache.iter().copied());
        line(&words.map(str::to_string).chain(elsewhere.iter().cloned()).collect::<Vec<_>>())
    };
    let is_found = place::nearest().and_then(|found| std::path::absolute(found).ok()).as_deref() == Some(root);
    match root.parent().filter(|_| root.ends_with(place::FOLDER)) {
        Some(_) if is_found => words(&[]),
        Some(project) => format!("cd {} && {}", quoted(&project.display().to_string()), words(&[])),
        None => words(&["--cache", &root.display().to_string()]),
    }
}

/// What a command line says of where nodes are computed and kept, and whether the project's programs may run.
fn elsewhere(called: &[String]) -> Vec<String> {
    let (mut words, mut found) = (called.iter(), Vec::new());
    while let Some(word) = words.next() {
        let (name, has_value) = word.split_once('=').map_or((word.as_str(), false), |(name, _)| (name, true));
        if name == ALLOWS {
            found.push(word.clone());
        }
        if ELSEWHERE.contains(&name) {
            found.push(word.clone());
            if !has_value {
                found.extend(words.next().cloned());
            }
        }
    }
    found
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

    #[test]
    fn machines_and_remotes_of_a_command_line_are_found() {
        let called = [
            "ddpipe",
            "run",
            "a.toml",
            "--allow-commands",
            "--on",
            "far",
            "--set",
            "vars.x=1",
            "--remote=s3://lab/a",
            "--pilots",
            "2",
        ];
        let found = elsewhere(&called.map(str::to_string));
        assert_eq!(found, ["--allow-commands", "--on", "far", "--remote=s3://lab/a", "--pilots", "2"]);
    }
}
