//! The settings of a user or a site, as files of TOML. A project has none: a repository that somebody cloned must not decide
//! where results go. Later files win: the site's, the user's, one that is named.

use crate::exit::Fault;
use crate::machine::Machine;
use ddpipe_cache::shared::keys::{NoKey, PublicKey};
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
    /// The keys whose records from remotes are believed.
    pub trusted: Vec<PublicKey>,
    /// Whether records from remotes have to be signed; where nobody says so, if keys are named.
    pub require_signature: Option<bool>,
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
    trust: WrittenTrust,
    #[serde(default)]
    machines: IndexMap<String, Machine>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCache {
    remote: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTrust {
    #[serde(default)]
    keys: Vec<Key>,
    require_signature: Option<bool>,
}

/// A key as a text.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Key(PublicKey);

impl TryFrom<String> for Key {
    type Error = NoKey;

    fn try_from(text: String) -> Result<Self, NoKey> {
        text.parse().map(Key)
    }
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
        let Written { cache: WrittenCache { remote }, trust, machines } = toml::from_str(text)?;
        self.trusted.extend(trust.keys.into_iter().map(|Key(key)| key));
        self.require_signature = trust.require_signature.or(self.require_signature);
        self.remote = remote.or(self.remote.take());
        self.machines.extend(machines);
        Ok(())
    }
}

fn users() -> Option<PathBuf> {
    Some(folder()?.join(USER))
}

/// The user's folder for settings of all programs.
pub fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))
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
        config.lay_over("[trust]\nkeys = [\"ada:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"]\n").unwrap();
        assert_eq!((config.trusted.len(), config.require_signature), (1, None));
        let said = config.lay_over("[trust]\nkeys = [\"ada\"]\n").unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("\"ada\" is no key"), "{said}");
        let said = config.lay_over("[cache]\nremoet = \"file:///mine\"\n").unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("remoet") && said.contains("`remote`"), "{said}");
    }
}
