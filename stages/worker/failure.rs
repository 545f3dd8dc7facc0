//! What went wrong in a stage, in the words of the protocol. A panic is caught here, with the place that it came from;
//! nothing that a stage does, short of ending the process, ends the worker.

use crate::artifact::SourceChanged;
use crate::context::Interrupted;
use anyhow::Result;
use ddpipe_cache::CacheError;
use ddpipe_interface::Param;
use ddpipe_interface::protocol::Cause;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// What helps every stage that memory is too small for.
const ELSEWHERE: &str = "run fewer stages at once (--jobs), or run it on a device with more memory (--device)";

/// Why a job failed.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure.
    pub cause: Cause,
    /// What happened, location first.
    pub message: String,
    /// What to do next, where it is known.
    pub hint: Option<String>,
}

impl Failure {
    /// Sorts an error into its cause.
    pub fn of(error: &anyhow::Error) -> Self {
        let message = plain(&format!("{error:#}"));
        let (cause, hint) = if error.is::<Interrupted>() {
            (Cause::Interrupted, None)
        } else if let Some(CacheError::Damaged { .. } | CacheError::Missing { .. }) = error.downcast_ref() {
            (Cause::DamagedInput, None)
        } else if error.is::<SourceChanged>() {
            (Cause::DamagedInput, Some("run again once the file stays as it is".into()))
        } else {
            (Cause::Error, None)
        };
        Failure { cause, message, hint }.seen_as_memory()
    }

    /// Names the parameters of the kind that take less memory, where memory ran out.
    pub fn naming<'a>(mut self, params: impl Iterator<Item = (&'a String, &'a Param)>) -> Self {
        let less = |(name, param): (&'a String, &'a Param)| match param.less_memory.as_deref()? {
            "lower" => Some(format!("a lower `{name}`")),
            text => Some(format!("{name} = {text:?}")),
        };
        let ways: Vec<String> = params.filter_map(less).collect();
        if self.cause == Cause::OutOfMemory && !ways.is_empty() {
            self.hint = Some(format!("it takes less memory with {}; else {ELSEWHERE}", ways.join(" or ")));
        }
        self
    }

    /// Whether CUDA is of no use to this process any more: its first such error stays for good.
    pub fn spoils_the_device(&self) -> bool {
        self.cause != Cause::OutOfMemory && self.message.contains("CUDA error")
    }

    fn panic(place: &str, text: &str) -> Self {
        let message = format!("{place}: {}", plain(text));
        Failure { cause: Cause::Panic, message, hint: None }.seen_as_memory()
    }

    fn seen_as_memory(mut self) -> Self {
        let full = ["out of memory", "can't allocate memory", "Cannot allocate memory"];
        if matches!(self.cause, Cause::Error | Cause::Panic) && full.iter().any(|text| self.message.contains(text)) {
            self.cause = Cause::OutOfMemory;
            self.hint = Some(ELSEWHERE.into());
        }
        self
    }
}

/// Runs `stage`; a panic becomes a [`Failure`] like any error.
pub fn guard<T>(stage: impl FnOnce() -> Result<T>) -> Result<T, Failure> {
    listen_for_panics();
    GUARDED.set(true);
    let done = catch_unwind(AssertUnwindSafe(stage));
    GUARDED.set(false);
    match done {
        Ok(done) => done.map_err(|error| Failure::of(&error)),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
            // A panic that a thread of the stage's handed on was seen over there.
            let place = PLACE.take().unwrap_or_else(|| "in another thread".into());
            Err(Failure::panic(&place, text.unwrap_or("a panic without a message")))
        }
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Panics of guarded stages are noted with their place, others are printed as ever.
fn listen_for_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| match GUARDED.get() {
            true => PLACE.set(Some(place(info.location(), &Backtrace::force_capture().to_string()))),
            false => before(info),
        }));
    });
}

/// Where a panic came from. The line itself is often in a library (a tensor operation that was given wrong shapes);
/// then the innermost line of the stages is named too.
fn place(location: Option<&std::panic::Location>, trace: &str) -> String {
    let line = location.map_or("somewhere".into(), |at| format!("{}:{}", at.file(), at.line()));
    // Frames look like "12: ddpipe_stages::distill::dm::run" with, where there are line tables, the next line
    // "at ./distill/dm/mod.rs:40:9"; names are short then, but only our own paths are relative.
    let mut lines = trace.lines().map(str::trim).peekable();
    while let Some(text) = lines.next() {
        let Some((_, name)) = text.split_once(": ").filter(|(number, _)| number.parse::<u32>().is_ok()) else {
            continue;
        };
        let at = lines.peek().and_then(|text| text.strip_prefix("at ./"));
        match at.filter(|at| !at.starts_with("worker/")) {
            Some(at) if line.split_once(at_line(at)).is_some() => return line,
            Some(at) => return format!("{at} ({name}), through {line}"),
            None if is_of_a_stage(name) => return format!("{name}, through {line}"),
            None => {}
        }
    }
    line
}

/// Whether a function is a stage's or of what stages use, and not of the worker around them.
fn is_of_a_stage(function: &str) -> bool {
    let ours = ["ddpipe_stages::", "ddpipe_nn::"].iter().any(|name| function.contains(name));
    ours && !function.contains("ddpipe_stages::worker::")
}

/// `file:line` of `file:line:column`.
fn at_line(at: &str) -> &str {
    at.rsplit_once(':').map_or(at, |(line, _)| line)
}

/// A message of libtorch without its C++ frames, and without the words of the `unwrap` that it came through.
fn plain(text: &str) -> String {
    let wrapped = text.split_once("`Err` value: Torch(\"").map(|(_, inner)| inner.trim_end_matches("\")"));
    let text = wrapped.map_or_else(|| text.to_string(), |inner| inner.replace("\\n", "\n").replace("\\\"", "\""));
    let frames = ["\nException raised from", "\nframe #"].into_iter().filter_map(|begin| text.find(begin));
    text[..frames.min().unwrap_or(text.len())].trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::Normalisation;
    use anyhow::{Context as _, anyhow};
    use ddpipe_cache::Digest;
    use tch::Tensor;

    fn failure(stage: impl FnOnce() -> Result<()>) -> Failure {
        guard(stage).unwrap_err()
    }

    #[test]
    fn a_panic_is_told_with_its_message_and_place() {
        let seen = failure(|| panic!("the {} is odd", "number"));
        assert_eq!(seen.cause, Cause::Panic);
        assert!(seen.message.contains("failure.rs:"), "{}", seen.message);
        assert!(seen.message.ends_with("the number is odd"), "{}", seen.message);
    }

    #[test]
    fn a_failed_allocation_loses_its_frames_too() {
        let text = "can't allocate memory: you tried to allocate 8 bytes\nframe #0: c10::alloc_cpu + 0x5 (0x7f in libc10.so)\n";
        let seen = failure(|| Err(anyhow!("{text}")));
        assert_eq!(seen.cause, Cause::OutOfMemory);
        assert_eq!(seen.message, "can't allocate memory: you tried to allocate 8 bytes");
    }

    #[test]
    fn a_panic_inside_a_tensor_operation_loses_its_foreign_frames() {
        let seen = failure(|| {
            let _ = Tensor::from_slice(&[1.0f32, 2.0]) + Tensor::from_slice(&[1.0f32, 2.0, 3.0]);
            Ok(())
        });
        assert_eq!(seen.cause, Cause::Panic);
        assert!(seen.message.ends_with("at non-singleton dimension 0"), "{}", seen.message);
        assert!(seen.message.contains(": The size of tensor a (2) must match"), "{}", seen.message);
    }

    #[test]
    fn errors_are_sorted_through_any_context() {
        let stop = failure(|| Err(Interrupted).context("distill.dm").context("node"));
        assert_eq!(stop.cause, Cause::Interrupted);
        let damaged = || CacheError::Damaged { digest: Digest::of(b"1"), path: "aside".into() };
        for error in [anyhow::Error::from(damaged()), SourceChanged("a.gz".into()).into()] {
            let seen = failure(|| Err(error).context("input x"));
            assert_eq!(seen.cause, Cause::DamagedInput);
            assert!(seen.message.starts_with("input x: "), "{}", seen.message);
        }
        let other = failure(|| Err(anyhow!("classes = 0")));
        assert_eq!((other.cause, other.hint), (Cause::Error, None));
    }

    #[test]
    fn full_memory_is_recognised_in_errors_and_panics_and_says_what_to_do() {
        let texts = ["CUDA out of memory. Tried to allocate 2 GiB", "DefaultCPUAllocator: can't allocate memory"];
        for text in texts {
            for seen in [failure(|| Err(anyhow!(text))), failure(|| panic!("{text}"))] {
                assert_eq!(seen.cause, Cause::OutOfMemory);
                assert!(seen.hint.unwrap().contains("--device"));
            }
        }
        assert!(failure(|| Err(anyhow!("CUDA error: an illegal memory access"))).spoils_the_device());
        let declared = crate::registry::find("distill.mtt").unwrap().declared().unwrap();
        let named = failure(|| Err(anyhow!("CUDA out of memory"))).naming(declared.params.iter()).hint.unwrap();
        assert!(named.starts_with("it takes less memory with a lower `batch_syn` or gradient = \"recomputed\"; else"));
        assert!(!failure(|| Err(anyhow!("CUDA error: out of memory"))).spoils_the_device());
    }

    #[test]
    fn a_real_allocation_that_cannot_be_met_is_full_memory() {
        let seen = failure(|| {
            let _ = Tensor::f_zeros([1 << 50], (tch::Kind::Float, tch::Device::Cpu))?;
            Ok(())
        });
        assert_eq!(seen.cause, Cause::OutOfMemory, "{}", seen.message);
    }

    #[test]
    fn the_stage_is_named_when_a_library_panics() {
        let here = std::panic::Location::caller();
        let through = format!(", through {}:{}", here.file(), here.line());
        let debug = "   9: panic\n             at /rustc/x.rs:1:1\n  10: add\n             at /r/tch/lib.rs:5:5\n  \
                     11: run\n             at ./distill/dm/mod.rs:40:9";
        assert_eq!(place(Some(here), debug), format!("distill/dm/mod.rs:40:9 (run){through}"));
        let release = "   1: ddpipe_stages::worker::failure::listen_for_panics\n   9: core::panicking::panic\n  \
                       10: tch::add\n  11: ddpipe_stages::distill::dm::run";
        assert_eq!(place(Some(here), release), format!("ddpipe_stages::distill::dm::run{through}"));
        let library = release.replace("tch::add\n", "ddpipe_nn::network::forward\n");
        assert_eq!(place(Some(here), &library), format!("ddpipe_nn::network::forward{through}"));
    }

    #[test]
    fn a_panic_in_a_stage_of_the_library_is_placed_there() {
        let seen = failure(|| {
            let three_channels = Normalisation::new(vec![0.0; 3], vec![1.0; 3]);
            let _ = three_channels.apply(&Tensor::from_slice(&[0f32; 2]).view([1, 2, 1, 1]));
            Ok(())
        });
        assert!(seen.message.contains("data") && seen.message.contains("normalisation"), "{}", seen.message);
        assert!(seen.message.contains("must match the size"), "{}", seen.message);
    }
}
