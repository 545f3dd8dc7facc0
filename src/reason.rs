//! Why a node runs, in terms that a user can act on: the difference between what is described now and what an earlier
//! record of the same node described, the one with the fewest differences.

use ddpipe_interface::Declaration;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One reason for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// There is no record of this node.
    NeverRan,
    /// The node is of another stage kind than before.
    KindChanged {
        /// The value in the record that is compared with.
        old: String,
        /// The value now.
        new: String,
    },
    /// The kind's version was raised: the same inputs and parameters would give other bytes.
    StageVersion {
        /// The value in the record that is compared with.
        old: String,
        /// The value now.
        new: String,
    },
    /// A parameter has another value. Where it is not set the value is its default, and says so: `10.0 (default)`.
    ParamChanged {
        /// The name of what changed.
        name: String,
        /// The value in the record that is compared with.
        old: String,
        /// The value now.
        new: String,
    },
    /// An input has other bytes (or, gathered, other labels or numbers).
    InputChanged {
        /// The name of what changed.
        name: String,
        /// What is behind it, in words, where that was looked for: `start: ipc: 10 -> 5`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// The seed changed.
    SeedChanged {
        /// The value in the record that is compared with.
        old: String,
        /// The value now.
        new: String,
    },
    /// The device's class changed, and the kind keeps devices apart.
    DeviceChanged {
        /// The value in the record that is compared with.
        old: String,
        /// The value now.
        new: String,
    },
    /// Library, instruction set, threads or device changed, and the pipeline is strict about them.
    NumericsChanged {
        /// The value in the record that is compared with.
        old: String,
        /// The value now.
        new: String,
    },
    /// The program of a project's own kind, or a file that it names, changed.
    ProgramChanged {
        /// The argument of the command that names the file.
        name: String,
    },
    /// An environment variable that the program of a project's own kind is given changed.
    VariableChanged {
        /// The name of the variable.
        name: String,
    },
    /// The same action is on record, but bytes that it made are no longer in the cache.
    OutputLost {
        /// The name of the output.
        name: String,
    },
    /// The user asked for it with `--force`.
    Forced,
}

/// All differences between a record's description and today's. `kind` names the defaults of parameters.
pub fn differences(old: &[(String, String)], new: &[(String, String)], kind: Option<&Declaration>) -> Vec<Reason> {
    let find = |entries: &[(String, String)], name: &str| {
        entries.iter().find(|(entry, _)| entry == name).map(|(_, value)| value.clone())
    };
    // Defaults are a matter of the kind's version, and only those of one version are at hand.
    let default = |entries: &[(String, String)], name: &str| {
        let Some(default) = kind.and_then(|kind| kind.params.get(name)?.default.as_ref()) else {
            return "not set".to_string();
        };
        match (find(entries, "version"), kind.map(|kind| kind.version.to_string())) {
            (Some(version), Some(now)) if version != now => format!("the default of version {version}"),
            _ => format!("{default} (default)"),
        }
    };
    let mut names: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(old.iter().map(|(name, _)| name.as_str()).filter(|name| find(new, name).is_none()));
    let mut reasons: Vec<Reason> = Vec::new();
    for name in names {
        let (before, now) = (find(old, name), find(new, name));
        if before == now {
            continue;
        }
        let or = |value: Option<String>, otherwise: &str| value.unwrap_or_else(|| otherwise.to_string());
        let reason = match name.split_once(' ').unwrap_or((name, "")) {
            ("kind", _) => Reason::KindChanged { old: or(before, "none"), new: or(now, "none") },
            ("version", _) => Reason::StageVersion { old: or(before, "none"), new: or(now, "none") },
            ("param", name) => Reason::ParamChanged {
                old: before.unwrap_or_else(|| default(old, name)),
                new: now.unwrap_or_else(|| default(new, name)),
                name: name.into(),
            },
            ("input", name) => {
                Reason::InputChanged { name: name.split('[').next().unwrap_or(name).into(), cause: None }
            }
            ("seed", _) => Reason::SeedChanged { old: or(before, "none"), new: or(now, "none") },
            ("device", _) => Reason::DeviceChanged { old: or(before, "none"), new: or(now, "none") },
            ("env", name) => Reason::VariableChanged { name: name.into() },
            ("numerics", _) => Reason::NumericsChanged { old: or(before, "loose"), new: or(now, "loose") },
            (_, "") => Reason::ProgramChanged { name: name.into() },
            (_, argument) => Reason::ProgramChanged { name: argument.into() },
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NeverRan => f.write_str("never ran"),
            Reason::KindChanged { old, new } => write!(f, "kind: {old} -> {new}"),
            Reason::StageVersion { old, new } => write!(f, "the kind's version: {old} -> {new}"),
            Reason::ParamChanged { name, old, new } => write!(f, "{name}: {old} -> {new}"),
            Reason::InputChanged { name, cause: None } => write!(f, "input {name} changed"),
            Reason::InputChanged { name, cause: Some(cause) } => write!(f, "input {name} changed: {cause}"),
            Reason::SeedChanged { old, new } => write!(f, "seed: {old} -> {new}"),
            Reason::DeviceChanged { old, new } => write!(f, "device: {old} -> {new}"),
            Reason::NumericsChanged { old, new } => write!(f, "numerics: {old} -> {new}"),
            Reason::ProgramChanged { name } => write!(f, "its program changed: {name}"),
            Reason::VariableChanged { name } => write!(f, "environment variable {name} changed"),
            Reason::OutputLost { name } => write!(f, "its output {name} is no longer in the cache"),
            Reason::Forced => f.write_str("forced"),
        }
    }
}
