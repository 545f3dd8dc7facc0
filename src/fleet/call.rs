//! Calls of a batch system's programs, on this machine or by way of another one. One that hangs is ended.

use std::fmt;
use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Besides letters and digits, what words may have that go through the shell of another machine.
const PLAIN: &str = "_=:,./%@+-";

/// A submission may take so long.
pub const SUBMISSION: Duration = Duration::from_secs(120);
/// A question about jobs, and a cancellation, may take so long.
pub const QUESTION: Duration = Duration::from_secs(20);
/// Between two looks whether a program has ended.
const LOOK: Duration = Duration::from_millis(10);
/// What a program leaves behind may keep its output open; it is read for so long after its end.
const REST: Duration = Duration::from_secs(1);

/// Why a call came to nothing: the command and its last words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    words: String,
    /// It did not end, and was ended.
    pub hung: bool,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<String> for CallError {
    fn from(words: String) -> Self {
        CallError { words, hung: false }
    }
}

impl From<CallError> for String {
    fn from(error: CallError) -> Self {
        error.words
    }
}

/// Runs a command and gives its standard output.
///
/// # Errors
/// It cannot be started, fails, or does not end within `limit`.
pub fn call(via: &[String], words: &[String], input: &str, limit: Duration) -> Result<String, CallError> {
    if let Some(odd) = words.iter().find(|word| !via.is_empty() && !is_plain(word)) {
        let via = via.join(" ");
        let words =
            format!("{odd:?} cannot go through the shell of {via}: it has more than letters, digits and {PLAIN}");
        return Err(words.into());
    }
    let all: Vec<&String> = via.iter().chain(words).collect();
    let Some((program, arguments)) = all.split_first() else { return Err("no command is named".to_string().into()) };
    let said = || all.iter().take(4).map(|word| word.as_str()).collect::<Vec<_>>().join(" ");
    let failed = |error: std::io::Error| CallError::from(format!("`{}`: {error}", said()));
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take().map(Reader::of), child.stderr.take().map(Reader::of));
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_string();
        // One that reads nothing is no error.
        thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    }
    let Some(status) = ended(&mut child, limit).map_err(failed)? else {
        // It may have ended just now.
        let _ = child.kill();
        let _ = child.wait();
        let words = format!("`{}`: it did not end within {} s, and was ended", said(), limit.as_secs());
        return Err(CallError { words, hung: true });
    };
    let [stdout, stderr] = [stdout, stderr].map(|reader| reader.map(Reader::text).unwrap_or_default());
    if status.success() {
        return Ok(stdout);
    }
    let words = [stderr, stdout].map(|words| words.trim().to_string());
    let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_else(|| status.to_string());
    Err(format!("`{}`: {words}", said()).into())
}

/// How a program ended; none where it did not within so long.
fn ended(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() >= limit {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// What a program says, read while it runs.
struct Reader {
    said: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let into = said.clone();
        let thread = thread::spawn(move || {
            let mut buffer = [0u8; 1 << 12];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..read]);
            }
        });
        Reader { said, thread }
    }

    /// What was said, once the program has ended.
    fn text(self) -> String {
        let begun = Instant::now();
        while !self.thread.is_finished() && begun.elapsed() < REST {
            thread::sleep(LOOK);
        }
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
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
        let call = |via: &[String], words: &[String], input: &str| {
            call(via, words, input, SUBMISSION).map_err(|error| error.to_string())
        };
        let words = |line: &str| line.split(' ').map(str::to_string).collect::<Vec<_>>();
        assert_eq!(call(&[], &words("cat -"), "told").unwrap(), "told");
        assert_eq!(call(&words("env A=1"), &words("printenv A"), "").unwrap(), "1\n");
        assert!(call(&[], &words("cat /nowhere"), "").unwrap_err().contains("No such file"));
        assert!(call(&[], &words("/no/program"), "").unwrap_err().contains("`/no/program`"));
        assert!(call(&words("env"), &["a;b".into()], "").unwrap_err().contains("cannot go through the shell of env"));
    }

    #[test]
    fn a_command_that_hangs_is_ended_and_one_that_leaves_something_behind_is_not_waited_for() {
        let words = |script: &str| ["sh", "-c", script].map(str::to_string);
        let begun = Instant::now();
        let hung = call(&[], &words("exec sleep 3000"), "", Duration::from_millis(200)).unwrap_err();
        assert!(hung.hung && hung.to_string().contains("did not end within"), "{hung}");
        assert_eq!(call(&[], &words("sleep 30 & echo 12"), "", SUBMISSION).unwrap(), "12\n");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
