//! `ddpipe doctor`: what is installed, what is missing, and the command that mends it. Answers without libtorch, too.

mod far;

use super::place::CacheArgs;
use super::remote::RemoteArgs;
use super::{Done, print};
use crate::executor::worker_program;
use crate::exit::Exit;
use crate::sent;
use crate::size;
use ddpipe_cache::Cache;
use std::path::Path;
use std::process::{Command, Stdio};

/// Check this installation.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    cache: CacheArgs,
    /// Look at a machine of the settings instead, as a pilot there would find it: NAME, or NAME:TYPE
    #[arg(long, value_name = "MACHINE")]
    on: Option<String>,
    #[command(flatten)]
    settings: RemoteArgs,
    /// The name under which the answer goes into the remote: in a job whose node shares no folder with the asking command
    #[arg(long, hide = true, value_name = "NAME", requires = "local")]
    tell: Option<String>,
    /// The folder of the node that it would work in
    #[arg(long, hide = true, value_name = "DIR")]
    local: Option<String>,
}

/// The last words if nothing is wrong.
const WELL: &str = "all is well";

/// What was found, and whether all is well.
#[derive(Default)]
struct Findings {
    text: String,
    wrong: usize,
}

impl Findings {
    fn note(&mut self, what: &str, found: impl AsRef<str>) {
        self.text.push_str(&format!("{what:10} {}\n", found.as_ref()));
    }

    fn wrong(&mut self, what: &str, found: impl AsRef<str>, mend: &str) {
        self.wrong += 1;
        self.text.push_str(&format!("{what:10} {}\n           mend it with: {mend}\n", found.as_ref()));
    }
}

pub(super) fn run(args: Args) -> Done {
    if let Some(named) = &args.on {
        return far::run(named, &args.settings, &args.cache.folder(), &[WELL, "is wrong", "are wrong"]);
    }
    let mut findings = Findings::default();
    findings.note("host", ddpipe_cache::host());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    findings.note("ddpipe", format!("{}, {} cores", env!("CARGO_PKG_VERSION"), cores));
    worker(&mut findings);
    match args.local.as_deref().map(sent::folder) {
        None => cache(&mut findings, &args.cache.folder()),
        Some(Ok(place)) => cache(&mut findings, &place.join("cache")),
        Some(Err(fault)) => {
            findings.wrong("local", fault.message, "another folder in the setting `local` of the machine")
        }
    }
    let verdict = match findings.wrong {
        0 => format!("{WELL}\n"),
        1 => "1 thing is wrong\n".to_string(),
        wrong => format!("{wrong} things are wrong\n"),
    };
    if let Some(name) = &args.tell {
        far::tell(name, &args.settings, &format!("{}{verdict}", findings.text))?;
    }
    print(&format!("{}{verdict}", findings.text))?;
    Ok(if findings.wrong == 0 { Exit::Ok } else { Exit::Stage })
}

fn worker(findings: &mut Findings) {
    let program = match worker_program() {
        Ok(program) => program,
        Err(error) => return findings.wrong("worker", error.message, "make build"),
    };
    findings.note("worker", program.display().to_string());
    let output = match Command::new(&program).arg("--probe").stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return findings.wrong("libtorch", format!("the worker does not start: {error}"), "make build"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let probe = String::from_utf8_lossy(&output.stdout);
    let Ok(probe) = serde_json::from_str::<serde_json::Value>(probe.trim()) else {
        let last = said.lines().last().unwrap_or("it said nothing");
        return findings.wrong("libtorch", format!("the worker does not run: {last}"), "make setup && make build");
    };
    let text = |name: &str| probe[name].as_str().unwrap_or("unknown").to_string();
    findings.note("libtorch", format!("{} in {}", text("libtorch"), text("libtorch_path")));
    findings.note("cpu", format!("{} ({})", text("cpu"), text("cpu_capability")));
    cuda(findings, &probe["cuda"]);
}

/// A GPU is no must; one that the driver shows but the worker cannot use is wrong.
fn cuda(findings: &mut Findings, probe: &serde_json::Value) {
    let devices = probe["devices"].as_array().map_or(&[][..], Vec::as_slice);
    for device in devices {
        let memory = device["memory"].as_u64().map_or(String::new(), |bytes| format!(", {}", size::show(bytes)));
        findings.note("cuda", format!("{}{memory}", device["name"].as_str().unwrap_or("a device")));
    }
    let usable = probe["usable"].as_bool() == Some(true);
    let why = ["library_error", "driver_error"].iter().find_map(|name| probe[name].as_str());
    let has_gpu = crate::slots::find("auto", None, None).is_ok_and(|slots| slots.class() == "cuda");
    match (usable, has_gpu) {
        (true, _) => {}
        (false, true) => findings.wrong("cuda", why.unwrap_or("not usable"), "make setup-cuda"),
        (false, false) => {
            let driver = probe["driver_error"].as_str().or(why).unwrap_or("no device");
            findings.note("cuda", format!("not used: {driver}"));
        }
    }
}

fn cache(findings: &mut Findings, root: &Path) {
    let existing = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let free = nix::sys::statvfs::statvfs(existing).map(|stat| stat.blocks_available() * stat.fragment_size());
    let free = free.map_or("an unknown amount".into(), size::show);
    if !root.is_dir() {
        return findings
            .note("cache", format!("{} (made when a manifest is planned or run), {free} free", root.display()));
    }
    match Cache::open(root).and_then(|cache| cache.du()) {
        Ok(usage) => {
            findings
                .note("cache", format!("{}: {} used, {free} free", root.display(), size::show(usage.total().bytes)));
        }
        Err(error) => findings.wrong("cache", error.to_string(), "ddpipe run --cache DIR, or mend its permissions"),
    }
}
