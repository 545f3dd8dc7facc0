//! Calls of a batch system's programs, on this machine or by way of another one.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Besides letters and digits, what words may have that go through the shell of another machine.
const PLAIN: &str = "_=:,./%@+-";

/// Runs a command and gives its standard output.
///
/// # Errors
/// It cannot be started, or fails; with the command and its last words.
pub fn call(via: &[String], words: &[String], input: &str) -> Result<String, String> {
    if let Some(odd) = words.iter().find(|word| !via.is_empty() && !is_plain(word)) {
        return Err(format!(
            "{odd:?} cannot go through the shell of {}: it has more than letters, digits and {PLAIN}",
            via.join(" ")
        ));
    }
    let all: Vec<&String> = via.iter().chain(words).collect();
    let Some((program, arguments)) = all.split_first() else { return Err("no command is named".into()) };
    let said = || all.iter().take(4).map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
    let failed = |error: std::io::Error| format!("`{}`: {error}", said());
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing is no error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_string());
    let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_else(|| output.status.to_string());
    Err(format!("`{}`: {words}", said()))
}

fn is_plain(word: &str) -> bool {
    word.chars().all(|letter| letter.is_ascii_alphanumeric() || PLAIN.contains(letter))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_command_is_called_and_its_last_words_are_told() {
        let words = |line: &str| line.split(' ').map(str::to_string).collect::<Vec<_>>();
        assert_eq!(call(&[], &words("cat -"), "told").unwrap(), "told");
        assert_eq!(call(&words("env A=1"), &words("printenv A"), "").unwrap(), "1\n");
        assert!(call(&[], &words("cat /nowhere"), "").unwrap_err().contains("No such file"));
        assert!(call(&[], &words("/no/program"), "").unwrap_err().contains("`/no/program`"));
        assert!(call(&words("env"), &["a;b".into()], "").unwrap_err().contains("cannot go through the shell of env"));
    }
}
