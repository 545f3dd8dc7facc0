//! Which remote a command's cache has: `--remote`, the environment, or the settings of user and site.

use crate::config::Config;
use crate::exit::Fault;
use ddpipe_cache::shared::{Patience, Remote};
use std::path::PathBuf;

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
}

impl RemoteArgs {
    /// The settings of site and user.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn config(&self) -> Result<Config, Fault> {
        Config::read(self.config.as_deref())
    }

    /// The remote, if one is named anywhere.
    ///
    /// # Errors
    /// It cannot be used; those of the settings.
    pub fn open(&self, patience: Patience) -> Result<Option<Remote>, Fault> {
        let named = match &self.remote {
            Some(url) => Some(url.clone()),
            None => self.config()?.remote,
        };
        let url = named.filter(|url| !url.is_empty() && url != "none");
        Ok(url.map(|url| Remote::at(&url, patience)).transpose()?)
    }
}
