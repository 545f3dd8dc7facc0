//! `ddpipe check`: everything that can be said about manifests without reading data, and what they let a user choose.

mod json;

use super::project::{Invocation, ManifestArgs, OverArgs, PickArgs};
use super::remote::RemoteArgs;
use super::{Done, print};
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report};
use crate::exit::{Exit, Fault};
use crate::graph::Graph;
use crate::load::load;
use crate::manifest::Overrides;
use crate::manifest::outline::Outline;
use crate::note::say;
use crate::selection;
use crate::visible::visible;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Check manifests.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The manifests; - reads one from standard input
    #[arg(id = "manifest", value_name = "MANIFEST", required_unless_present = "from_run")]
    manifests: Vec<PathBuf>,
    /// Check the manifest as it was in this run (`ddpipe runs` lists them; the cache is `--cache`, or .ddpipe in this folder)
    #[arg(long, value_name = "ID", conflicts_with_all = ["manifest", "profile", "set", "select", "all_profiles", "list"])]
    from_run: Option<String>,
    #[command(flatten)]
    over: OverArgs,
    /// The cache's folder, for --from-run
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    picks: PickArgs,
    /// Check every manifest as it is and in each of its profiles
    #[arg(long, conflicts_with = "profile")]
    all_profiles: bool,
    /// List the variables and profiles of the manifests, and check nothing
    #[arg(long, conflicts_with_all = ["profile", "set", "select", "force", "all_profiles"])]
    list: bool,
    /// Print JSON: what was found, with file, line and column
    #[arg(long)]
    json: bool,
}

/// What was found about one manifest, with its profiles applied.
struct Found {
    manifest: PathBuf,
    profile: Vec<String>,
    /// What it comes to, where nothing is wrong.
    size: Option<Size>,
    errors: Report,
    warnings: Vec<Diagnostic>,
}

/// What a pipeline comes to.
struct Size {
    pipeline: String,
    nodes: usize,
    sources: usize,
}

pub(super) fn run(args: Args) -> Done {
    let asked = args.asked()?;
    if args.list {
        return list(&asked, args.json);
    }
    let mut found = Vec::new();
    for invocation in &asked {
        let profiles = match args.all_profiles {
            // What is wrong with the file is found below.
            true => Outline::read(&invocation.manifest, &invocation.overrides).unwrap_or_default().profiles,
            false => Vec::new(),
        };
        let profiles = profiles.into_iter().map(|(name, _)| vec![name]);
        for profile in std::iter::once(invocation.overrides.profile.clone()).chain(profiles) {
            let overrides = Overrides { profile, ..invocation.overrides.clone() };
            found.push(check(&Invocation { overrides, ..invocation.clone() }, &args.picks.force)?);
        }
    }
    let wrong = found.iter().any(|one| !one.errors.is_empty());
    if args.json {
        print(&format!("{:#}\n", json::of_all(&found)))?;
    } else {
        tell(found)?;
    }
    Ok(if wrong { Exit::Usage } else { Exit::Ok })
}

impl Args {
    /// The manifests, each with what is laid over it.
    fn asked(&self) -> Result<Vec<Invocation>, Fault> {
        let (over, picks, from_run) = (self.over.clone(), self.picks.clone(), self.from_run.clone());
        if from_run.is_some() {
            let of_run = ManifestArgs {
                manifest: None,
                from_run,
                over,
                cache: self.cache.clone(),
                cache_from: None,
                remote: RemoteArgs::default(),
                picks,
                numerics: None,
            };
            return Ok(vec![of_run.invocation()?]);
        }
        let overrides = over.overrides()?;
        let mut asked: Vec<Invocation> = Vec::new();
        for manifest in &self.manifests {
            let mut overrides = overrides.clone();
            if manifest == Path::new("-") {
                let before = asked.iter().find_map(|before| before.overrides.stdin.clone());
                overrides.stdin = Some(before.map_or_else(standard_input, Ok)?);
            }
            asked.push(Invocation { manifest: manifest.clone(), overrides, select: picks.select.clone() });
        }
        Ok(asked)
    }
}

/// Everything that comes on standard input.
fn standard_input() -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let most = crate::manifest::MAX_FILE;
    let read = std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| Fault::io("read", Path::new("<stdin>"), &error))?;
    if bytes.len() as u64 > most {
        return Err(Fault::usage(format!("<stdin> has more than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Fault::usage("<stdin> is not UTF-8 text"))
}

fn check(invocation: &Invocation, force: &[String]) -> Result<Found, Fault> {
    let Invocation { manifest, overrides, select } = invocation;
    let mut found = Found {
        manifest: manifest.clone(),
        profile: overrides.profile.clone(),
        size: None,
        errors: Report::default(),
        warnings: Vec::new(),
    };
    match load(manifest, overrides, Catalog::built_in()?) {
        Err(report) => found.errors = report,
        Ok(pipeline) => {
            let graph = Graph::link(&pipeline);
            for (texts, what) in [(select.as_slice(), "--select"), (force, "--force")] {
                let faults = selection::faults(&pipeline, &graph, texts, what);
                faults.into_iter().for_each(|fault| found.errors.push(fault));
            }
            let (nodes, sources) = (pipeline.nodes.len(), pipeline.sources.len());
            found.size = Some(Size { pipeline: pipeline.name, nodes, sources });
            found.warnings = pipeline.warnings;
        }
    }
    Ok(found)
}

/// Warnings and errors on standard error, and a line for each manifest.
fn tell(found: Vec<Found>) -> Result<(), Fault> {
    let several = found.len() > 1;
    let mut text = String::new();
    for Found { manifest, profile, size, errors, warnings } in found {
        warnings.iter().for_each(|warning| say(warning.render(false).trim_end()));
        let profile = if profile.is_empty() { String::new() } else { format!(" ({})", profile.join(", ")) };
        let file = format!("{}{profile}", manifest.display());
        let result = match size {
            _ if !errors.is_empty() => {
                let count = counted(errors.diagnostics.len(), "error");
                let names_file = |error: &Diagnostic| error.place.as_ref().is_some_and(|place| place.source.is_file);
                if several && !errors.diagnostics.iter().all(names_file) {
                    say(format!("in {file}:"));
                }
                say(Fault::from(errors));
                if !several {
                    continue;
                }
                format!("{file}: {count}")
            }
            Some(Size { pipeline, nodes, sources }) => {
                let name = if several { file } else { pipeline };
                format!("{name}: ok, {}, {}", counted(nodes, "node"), counted(sources, "source"))
            }
            None => continue,
        };
        text.push_str(&format!("{result}\n"));
    }
    print(&visible(&text)).map(|_| ())
}

/// `1 node`, `2 nodes`.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The variables and profiles of manifests.
fn list(asked: &[Invocation], as_json: bool) -> Done {
    let mut outlines = Vec::new();
    for Invocation { manifest, overrides, .. } in asked {
        outlines.push((manifest, Outline::read(manifest, overrides)?));
    }
    if as_json {
        return print(&format!("{:#}\n", json::of_outlines(&outlines)));
    }
    let mut text = String::new();
    for (manifest, Outline { vars, profiles }) in &outlines {
        text.push_str(&format!("{}\n", manifest.display()));
        if vars.is_empty() && profiles.is_empty() {
            text.push_str("  no variables and no profiles\n");
        }
        for (name, value) in vars {
            text.push_str(&format!("  --set vars.{name}={value}\n"));
        }
        for (name, changes) in profiles {
            text.push_str(&format!("  --profile {name}\n"));
            for (path, value) in changes {
                text.push_str(&format!("      {path} = {value}\n"));
            }
        }
    }
    print(&visible(&text))
}
