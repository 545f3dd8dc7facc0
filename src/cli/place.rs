//! Which cache a command means that names no manifest: `--cache`, or the nearest one of a project around this folder.

use crate::exit::{Exit, Fault};
use crate::place;
use ddpipe_cache::Cache;
use std::path::PathBuf;

/// The argument that names a cache.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CacheArgs {
    /// The cache's folder [default: .ddpipe in this folder or the nearest one above]
    #[arg(long, value_name = "DIR", env = "DDPIPE_CACHE", global = true)]
    cache: Option<PathBuf>,
}

impl CacheArgs {
    /// As if this folder had been named, if one is given.
    pub fn named(cache: Option<PathBuf>) -> Self {
        CacheArgs { cache }
    }

    /// The folder that was named, if one was.
    pub fn given(&self) -> Option<&PathBuf> {
        self.cache.as_ref()
    }

    /// The cache's folder: the one that is named, or that is found; else where one would be made in this folder.
    pub fn folder(&self) -> PathBuf {
        self.cache.clone().or_else(place::nearest).unwrap_or_else(|| PathBuf::from(place::FOLDER))
    }

    /// Opens the cache, which must be there already.
    ///
    /// # Errors
    /// There is none; those of the cache.
    pub fn open(&self) -> Result<Cache, Fault> {
        let folder = self.folder();
        if !folder.is_dir() {
            let above = if self.cache.is_none() { ", nor in a folder above" } else { "" };
            let message =
                format!("there is no cache at {}{above}\n  name the cache with --cache DIR", folder.display());
            return Err(Fault { exit: Exit::Cache, message });
        }
        Ok(Cache::open(&folder)?)
    }
}
