//! One job from its message to its outcome: builds the stage's context, runs it, and seals what it made. Knows
//! neither the socket nor the order of jobs.

use crate::context::{CHECKPOINT, Context, Host, Inputs, Interrupted, Origin, Outputs};
use crate::registry;
use crate::worker::command::{self, Surroundings};
use crate::worker::engine::{Engine, Listener};
use crate::worker::failure::{Failure, guard};
use crate::worker::inputs::Reader;
use crate::worker::interrupts::Interrupts;
use crate::worker::memory::Peak;
use crate::worker::outputs::{Sealed, drop_non_finite, seal};
use crate::worker::scratch::ScratchLock;
use anyhow::{Context as _, Result};
use ddpipe_cache::Numerics;
use ddpipe_interface::metric::{PEAK_DEVICE_MEMORY, PEAK_MEMORY};
use ddpipe_interface::protocol::{Cause, Job, LogLevel};
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::Device;

/// What all jobs of this worker share.
pub struct Worker {
    /// The engine that messages go to.
    pub engine: Engine,
    /// Knows whether the running job has to stop.
    pub interrupts: Arc<Interrupts>,
    /// Reads the jobs' inputs.
    pub reader: Reader,
    /// Time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Threads for computing, told to programs too.
    pub threads: u16,
    /// What decides the bits of results: a checkpoint of other numerics is not continued.
    pub numerics: Numerics,
}

/// A job that went well.
#[derive(Debug)]
pub struct Finished {
    /// What it made; nothing when it asks for more.
    pub sealed: Sealed,
    /// What it asks for, by input and place.
    pub asks: IndexMap<String, Vec<usize>>,
    /// Scalar results.
    pub metrics: IndexMap<String, f64>,
    /// Seconds of the stage itself.
    pub seconds: f64,
    /// Peak memory in bytes, where it can be known.
    pub peak_memory: Option<u64>,
}

/// Runs one job to its end. When memory runs out while artifacts of other stages are kept, they make way and the stage
/// is tried once more: whether it fits must not depend on what ran before it.
pub fn run(job: &Job, worker: &Worker) -> Result<Finished, Failure> {
    loop {
        let tried = once(job, worker);
        let full = matches!(&tried, Err(failure) if failure.cause == Cause::OutOfMemory);
        match full.then(|| worker.reader.residency.borrow_mut().clear()) {
            Some(freed @ 1..) => {
                let text =
                    format!("out of memory; {} MiB kept for later stages are freed, and it starts over", freed >> 20);
                listener(job, worker).log(LogLevel::Warn, text);
            }
            _ => return tried.map_err(|failure| with_way_on(job, failure)),
        }
    }
}

fn once(job: &Job, worker: &Worker) -> Result<Finished, Failure> {
    if worker.interrupts.wants_to_stop(job.id) {
        return Err(Failure::of(&Interrupted.into()));
    }
    let device = worker.reader.device;
    let host = listener(job, worker);
    let origin = Origin { key: job.key.hex(), version: job.version, numerics: worker.numerics.canonical() };
    let ctx =
        Context::new(computes_on(job, device), job.seed, job.scratch.clone(), worker.checkpoint_every, Box::new(host));
    let ctx = ctx.of(origin);
    let peak = Peak::start(device);
    let start = Instant::now();
    let mut outputs = guard(|| {
        let lock = ScratchLock::take(&job.scratch, &ctx)?;
        let made = stage(job, worker, &ctx, &lock);
        // First, since a stage that read a file half old and half new complains about something else.
        worker.reader.unchanged()?;
        let outputs = made?;
        if let Device::Cuda(index) = device {
            tch::Cuda::synchronize(index as i64);
        }
        Ok(outputs)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    drop_non_finite(&mut outputs).into_iter().for_each(|text| ctx.warn(text));
    let mut metrics = std::mem::take(&mut outputs.metrics);
    let asks = std::mem::take(&mut outputs.asks);
    let sealed = match asks.is_empty() {
        true => guard(|| seal(outputs.artifacts, &job.outputs, device).with_context(|| job.kind.clone()))?,
        false => Sealed::default(),
    };
    let measured = match &job.command {
        Some(_) => peak.of_program(),
        // Asked at the end: what is still kept then was there all the while.
        None => peak.of_job(ctx.device, kept_for_others(job, worker)),
    };
    for (name, bytes) in [(PEAK_MEMORY, measured.host), (PEAK_DEVICE_MEMORY, measured.device)] {
        // A program may know its own better.
        bytes.map(|bytes| metrics.entry(name.into()).or_insert(bytes as f64));
    }
    let on_host = job.command.is_some() || ctx.device == Device::Cpu;
    let peak_memory = if on_host { measured.host } else { measured.device };
    Ok(Finished { sealed, asks, metrics, seconds, peak_memory })
}

/// Bytes of tensors in memory that the job does not read.
fn kept_for_others(job: &Job, worker: &Worker) -> u64 {
    let own: Vec<_> = job.inputs.values().flatten().map(|input| input.digest).collect();
    worker.reader.residency.borrow().bytes_beside(&own)
}

fn stage(job: &Job, worker: &Worker, ctx: &Context, lock: &ScratchLock) -> Result<Outputs> {
    if let Some(program) = &job.command {
        let abandoned = || worker.interrupts.abandoned();
        let (reader, threads) = (&worker.reader, worker.threads);
        let around = Surroundings { ctx, reader, lock, abandoned: &abandoned, threads };
        return command::run(job, program, &around).with_context(|| job.kind.clone());
    }
    let kind = registry::find(&job.kind).with_context(|| {
        format!("stage kind {:?} is not built into this ddpipe-worker; build it and ddpipe together", job.kind)
    })?;
    let reader = worker.reader.handing_on(ctx.device);
    let inputs = Inputs::new(job.inputs.clone(), Box::new(reader)).with_absent(job.absent.clone());
    let outputs = kind.run(ctx, &inputs, &job.params)?;
    kind.check_metrics(outputs.metrics.keys().map(String::as_str), &job.params)?;
    Ok(outputs)
}

/// Kinds that read files or draw tables work on the host, whatever the slot; what they make goes to the slot's device.
fn computes_on(job: &Job, slot: Device) -> Device {
    let on_host = registry::find(&job.kind).is_some_and(|kind| kind.cpu_only());
    if on_host { Device::Cpu } else { slot }
}

fn listener(job: &Job, worker: &Worker) -> Listener {
    Listener { engine: worker.engine.clone(), id: job.id, interrupts: worker.interrupts.clone() }
}

/// An interruption says whether there is something to continue from, and full memory which parameters take less.
fn with_way_on(job: &Job, failure: Failure) -> Failure {
    if failure.cause != Cause::Interrupted {
        let declared = registry::find(&job.kind).and_then(|kind| kind.declared().ok());
        return match declared {
            Some(declared) => failure.naming(declared.params.iter()),
            None => failure,
        };
    }
    let message = match job.scratch.join(CHECKPOINT).exists() {
        true => "interrupted; its checkpoint is saved, and the next run continues from it",
        false => "interrupted; it left no checkpoint, and the next run starts it again",
    };
    Failure { message: message.into(), ..failure }
}
