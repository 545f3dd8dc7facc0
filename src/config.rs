//! The settings of a user or a site, as files of TOML. A project has none: a repository that somebody cloned must not decide
//! where results go. Later files win: the site's, the user's, one that is named.

use crate::exit::Fault;
use crate::machine::Machine;
use indexmap::IndexMap;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The site's file.
const SITE: &str = "/etc/ddpipe/config.toml";
/// The user's, in the folder for settings.
const USER: &str = "ddpipe/config.toml";

/// All settings together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The URL of the remote that caches have.
    pub remote: Option<String>,
    /// The machines that `--on` names.
    pub machines: IndexMap<String, Machine>,
}

/// One file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    cache: WrittenCache,
    #[serde(default)]
    machines: IndexMap<String, Machine>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCache {
    remote: Option<String>,
}

impl Config {
    /// Reads the files that are there; the named one has to be.
    ///
    /// # Errors
    /// A file cannot be read, or says what nobody knows.
    pub fn read(named: Option<&Path>) -> Result<Self, Fault> {
        let usual = std::iter::once(PathBuf::from(SITE)).chain(users());
        let mut config = Config::default();
        for path in usual.filter(|path| path.exists()).chain(named.map(Path::to_path_buf)) {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Fault::usage(format!("could not read the settings {}: {error}", path.display())))?;
            let wrong = |why: &str| Fault::usage(format!("the settings {}: {}", path.display(), why.trim_end()));
            config.lay_over(&text).map_err(|error| wrong(&error.to_string()))?;
            for (name, machine) in &mut config.machines {
                if let Some(fault) = machine.fault() {
                    return Err(wrong(&format!("machines.{name}: {fault}")));
                }
                machine.is_told_in(&std::path::absolute(&path).unwrap_or_else(|_| path.clone()));
            }
        }
        Ok(config)
    }

    fn lay_over(&mut self, text: &str) -> Result<(), toml::de::Error> {
        let Written { cache: WrittenCache { remote }, machines } = toml::from_str(text)?;
        self.remote = remote.or(self.remote.take());
        self.machines.extend(machines);
        Ok(())
    }
}

fn users() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?.join(USER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn later_files_win_and_unknown_settings_are_errors_with_their_place() {
        let mut config = Config::default();
        config.lay_over("[cache]\nremote = \"file:///site\"\n").unwrap();
        config.lay_over("").unwrap();
        assert_eq!(config.remote.as_deref(), Some("file:///site"));
        config.lay_over("[cache]\nremote = \"file:///mine\"\n").unwrap();
        assert_eq!(config.remote.as_deref(), Some("file:///mine"));
        let said = config.lay_over("[cache]\nremoet = \"file:///mine\"\n").unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("remoet") && said.contains("`remote`"), "{said}");
    }
}
