//! What everything was made from: the files from outside, the manifest as it was written, what was laid over it, and the
//! machines and libraries.

use super::subject::Subject;
use super::words::Pair;
use crate::command;
use crate::when;
use indexmap::IndexMap;

/// What everything was made from.
pub struct Provenance {
    /// The files from outside.
    pub sources: Vec<Source>,
    /// The way the run was called.
    pub called: Vec<Pair>,
    /// Machines, devices and libraries, each with the number of its nodes.
    pub machines: Vec<Pair>,
    /// The files of the manifest with their texts.
    pub files: Vec<Pair>,
}

/// A file from outside.
pub struct Source {
    /// `source/file`.
    pub name: String,
    /// Where it was read.
    pub path: String,
    /// Its BLAKE3 digest, in full.
    pub digest: String,
    /// Whether what its publisher states was compared.
    pub verified: &'static str,
    /// How a person gets it.
    pub obtain: String,
    /// Its licence, where the manifest states it.
    pub licence: String,
}

/// What everything was made from.
pub fn of(subject: &Subject) -> Provenance {
    Provenance {
        sources: sources(subject),
        called: called(subject),
        machines: machines(subject),
        files: files(subject),
    }
}

fn sources(subject: &Subject) -> Vec<Source> {
    let source = |(name, seen): (&String, &ddpipe_cache::SourceSeen)| {
        let of = name.split('/').next().and_then(|source| subject.pipeline.sources.get(source));
        Source {
            name: name.clone(),
            path: seen.path.display().to_string(),
            digest: seen.digest.hex(),
            verified: if seen.verified { "as its publisher states it" } else { "not verified" },
            obtain: of.and_then(|source| source.obtain.clone()).unwrap_or_default(),
            licence: of.and_then(|source| source.licence.clone()).unwrap_or_default(),
        }
    };
    subject.sources.iter().map(source).collect()
}

fn called(subject: &Subject) -> Vec<Pair> {
    let Some(started) = &subject.started else { return Vec::new() };
    let mut pairs = vec![
        Pair::of("command", command::line(&started.command)),
        Pair::of("in", started.folder.display().to_string()),
    ];
    pairs.extend(started.profile.iter().map(|name| Pair::of("profile", name)));
    pairs.extend(started.sets.iter().map(|(path, value)| Pair::of("set", format!("{path} = {value}"))));
    pairs.extend(started.env.iter().map(|(name, value)| Pair::of("environment", format!("{name}={value}"))));
    pairs.extend(started.select.iter().map(|node| Pair::of("selected", node)));
    if let Some(run) = &subject.run {
        pairs.push(Pair::of("began", when::long(run.begun())));
    }
    pairs
}

fn machines(subject: &Subject) -> Vec<Pair> {
    let mut counts: IndexMap<String, usize> = IndexMap::new();
    for (_, record) in subject.records() {
        let made = &record.provenance;
        let numerics = made.numerics.as_ref().map_or(String::new(), |numerics| format!("; {numerics}"));
        let name = format!(
            "{}, {} ({}), ddpipe {}, libtorch {}{numerics}",
            made.host, made.device_name, made.device, made.ddpipe, made.libtorch
        );
        *counts.entry(name).or_default() += 1;
    }
    counts.into_iter().map(|(name, count)| Pair::of(super::words::counted(count, "node"), name)).collect()
}

fn files(subject: &Subject) -> Vec<Pair> {
    let root = &subject.pipeline.root;
    let files = subject.pipeline.files.iter();
    files
        .map(|(path, text)| {
            Pair::of(path.strip_prefix(root).unwrap_or(path).display().to_string(), text.text.replace('\r', ""))
        })
        .collect()
}
