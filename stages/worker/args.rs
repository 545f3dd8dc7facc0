//! The command line. People rarely type it: the engine does, once per device slot.

use clap::Parser;
use std::path::PathBuf;
use tch::Device;

/// Runs ddpipe's stages on one device. The engine starts it.
#[derive(Debug, Parser)]
#[command(name = "ddpipe-worker", version)]
pub struct Args {
    /// Print one line of JSON about libtorch and CUDA as seen from here, and exit
    #[arg(long, exclusive = true)]
    pub probe: bool,
    /// Print one line of JSON on what decides the bits of results on this device with this many threads, and exit
    #[arg(long, exclusive = true, value_name = "DEVICE,THREADS", value_parser = place)]
    pub numerics: Option<(Device, u16)>,
    /// Absent with `--probe` and `--numerics` only.
    #[command(flatten)]
    pub session: Option<Session>,
}

/// What one worker is started with.
#[derive(Debug, clap::Args)]
pub struct Session {
    /// The engine's Unix socket
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// The root of the cache that outputs go to
    #[arg(long, value_name = "ROOT")]
    pub cache: PathBuf,
    /// `cpu`, or `cuda:0`, `cuda:1`, …
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device)]
    pub device: Device,
    /// Tensors kept on the device between stages, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    pub memory_budget: u64,
    /// Threads that a stage computes with on the CPU
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Seconds between two checkpoints of a stage
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub checkpoint_seconds: u64,
}

/// Reads the command line; ends the process with a usage message when it makes no sense.
pub fn parse() -> Args {
    Args::parse()
}

fn device(text: &str) -> Result<Device, String> {
    match text.strip_prefix("cuda:").map(str::parse) {
        Some(Ok(index)) => Ok(Device::Cuda(index)),
        None if text == "cpu" => Ok(Device::Cpu),
        _ => Err("a device is cpu, or cuda:0, cuda:1, …".into()),
    }
}

fn place(text: &str) -> Result<(Device, u16), String> {
    let split = text.rsplit_once(',').and_then(|(name, threads)| Some((name, threads.parse().ok()?)));
    let (name, threads) = split.ok_or("expected a device and a number of threads: cpu,2")?;
    Ok((device(name)?, threads))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound_and_takes_a_session_or_a_probe() {
        Args::command().debug_assert();
        let session = |device| {
            Args::try_parse_from(["w", "--socket", "s", "--cache", "c", "--device", device]).map(|args| args.session)
        };
        assert_eq!(session("cuda:1").unwrap().unwrap().device, Device::Cuda(1));
        assert_eq!(session("cpu").unwrap().unwrap().device, Device::Cpu);
        assert!(session("gpu").unwrap_err().to_string().contains("cuda:0"));
        for wanting in [&["w"] as &[&str], &["w", "--socket", "s"]] {
            assert!(Args::try_parse_from(wanting).unwrap_err().to_string().contains("--cache"));
        }
        assert!(Args::try_parse_from(["w", "--probe"]).unwrap().session.is_none());
    }
}
