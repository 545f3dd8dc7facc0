//! The last words on a run that a signal ends before anything ran: while it loads, digests files, downloads or plans. They
//! are said on a thread of their own, whatever the run is busy with.

use crate::ended::Ended;
use crate::event::{Event, Observer as _};
use crate::exit::Exit;
use crate::note::say;
use crate::progress;
use ddpipe_cache::RunDir;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What there is to say. Clones share it.
#[derive(Clone)]
pub struct CutOff {
    begun: Instant,
    json: bool,
    run: Arc<Mutex<Option<Folder>>>,
}

/// The folder of a run.
struct Folder {
    run: String,
    path: PathBuf,
    ended: Ended,
}

impl CutOff {
    /// Of a command that was called now.
    pub fn new(begun: Instant, json: bool) -> Self {
        CutOff { begun, json, run: Arc::default() }
    }

    /// The run has its folder, in which its end is noted.
    pub fn has_folder(&self, run: &RunDir, ended: &Ended) {
        let folder = Folder { run: run.id().to_string(), path: run.path().to_path_buf(), ended: ended.clone() };
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder);
    }

    /// Says it: in the run's folder, to people, and last to programs.
    pub fn tell(&self, exit: Exit) {
        let (took, code) = (self.begun.elapsed(), exit as u8);
        let folder = self.run.lock().unwrap_or_else(PoisonError::into_inner).take();
        let name = folder.as_ref().map_or("the run".to_string(), |folder| format!("run {}", folder.run));
        let message = format!("{name} was stopped before anything ran ({})", exit.name());
        let last = [
            Event::Ended { counts: Default::default(), seconds: took.as_secs_f64() },
            Event::Error { message: message.clone(), code },
            Event::Exit { code, outcome: exit.name().into() },
        ];
        if let Some(Folder { path, mut ended, .. }) = folder {
            (ended.exit, ended.seconds) = (code, took.as_secs_f64());
            ended.faults.push(message.clone());
            let noted = ended.write_into(&path).and_then(|()| progress::Journal::add(&path, took, &last));
            if let Err(error) = noted {
                say(format!("{}: {error}", path.display()));
            }
        }
        say(message);
        if self.json {
            last.iter().for_each(|event| progress::Json.on_event(event));
        }
    }
}
