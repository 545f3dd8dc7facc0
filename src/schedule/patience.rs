//! How long a run waits: for a stage to end, for a word of it, and for one that was asked to stop.

use std::time::Duration;

/// The clocks of a run.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a stage without a `timeout` of its own may take; none waits for ever.
    pub timeout: Option<Duration>,
    /// After how long without any message of a running stage the run says so; then again after twice that time, and so on.
    pub silence: Duration,
    /// How long a stage that took too long has to save its checkpoint before its worker is killed.
    pub grace: Duration,
    /// After so long a pilot leaves that only waits for what other pilots have begun.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Patience { timeout: None, silence: seconds(60), grace: seconds(30), idle: seconds(300) }
    }
}

impl Patience {
    /// The default with this timeout, and with `DDPIPE_SILENCE_SECONDS`, `DDPIPE_GRACE_SECONDS` and `DDPIPE_IDLE_SECONDS` of
    /// the environment.
    pub fn of_environment(timeout: Option<Duration>) -> Self {
        let seconds = |name: &str| {
            let text = std::env::var(name).ok()?;
            text.parse().ok().and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        };
        let default = Patience::default();
        Patience {
            timeout,
            silence: seconds("DDPIPE_SILENCE_SECONDS").unwrap_or(default.silence),
            grace: seconds("DDPIPE_GRACE_SECONDS").unwrap_or(default.grace),
            idle: seconds("DDPIPE_IDLE_SECONDS").unwrap_or(default.idle),
        }
    }
}
