//! Which remote a command's cache has: `--remote`, the environment, or the settings of user and site.

use crate::config::Config;
use crate::exit::Fault;
use crate::sent::Trust;
use crate::trust;
use ddpipe_cache::shared::{Hurry, Patience, Remote};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The arguments that name a remote.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RemoteArgs {
    /// A remote cache, file:///FOLDER or s3://BUCKET/PREFIX: what is not here is taken from it, and what is computed is given
    /// to it; none leaves out the one of the settings
    #[arg(long, value_name = "URL", env = "DDPIPE_REMOTE")]
    remote: Option<String>,
    /// A file of settings, read after the site's and the user's
    #[arg(long, value_name = "FILE", env = "DDPIPE_CONFIG")]
    config: Option<PathBuf>,
    /// How long the remote is waited for in all; by default, as long as a plain run does.
    #[arg(skip)]
    pub patience: Option<Duration>,
    /// Whether the user wants to go.
    #[arg(skip)]
    pub hurry: Hurry,
    /// Whose records are believed, in place of what the settings say: in a pilot.
    #[arg(skip)]
    pub trust: Option<Trust>,
}

impl RemoteArgs {
    /// The settings of site and user.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn config(&self) -> Result<Config, Fault> {
        let mut config = Config::read(self.config.as_deref())?;
        if let Some(trust) = &self.trust {
            trust::lay_over(trust, &mut config)?;
        }
        Ok(config)
    }

    /// The remote without any keys, for words alone.
    ///
    /// # Errors
    /// It cannot be used, or none is named.
    pub fn bare(&self) -> Result<Remote, Fault> {
        let url = self.remote.as_deref().unwrap_or_default();
        Ok(Remote::at(url, Patience::default())?)
    }

    /// The remote, if one is named anywhere.
    ///
    /// # Errors
    /// It cannot be used; those of the settings.
    pub fn open(&self, mut patience: Patience) -> Result<Option<Remote>, Fault> {
        if let Some(longest) = self.patience {
            (patience.in_all, patience.stubborn) = (longest, true);
        }
        let is_one = |url: &String| !url.is_empty() && url != "none";
        if self.remote.as_ref().is_some_and(|url| !is_one(url)) {
            return Ok(None);
        }
        let config = self.config()?;
        let Some(url) = self.remote.clone().or_else(|| config.remote.clone()).filter(is_one) else { return Ok(None) };
        Ok(Some(trusting(&url, patience, &config)?.in_a_hurry(self.hurry.clone())))
    }
}

/// The remote at a URL, whose records are judged by the keys of these settings.
///
/// # Errors
/// It cannot be used; those of the keys.
pub fn trusting(url: &str, patience: Patience, config: &Config) -> Result<Remote, Fault> {
    let remote = Remote::at(url, patience)?;
    Ok(match trust::keys(config)? {
        Some(keys) => remote.with_notary(Arc::new(keys)),
        None => remote,
    })
}
