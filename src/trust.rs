//! Whose results are believed: one's own key, which is a file beside the settings, and the keys that the settings name. Knows
//! no records and no remote.

use crate::config::{self, Config};
use crate::exit::{Exit, Fault};
use crate::sent::Trust;
use ddpipe_cache::shared::keys::{Keys, PublicKey, Signer};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file in the folder for settings, and the variable that names another one.
const FILE: &str = "ddpipe/key";
const VARIABLE: &str = "DDPIPE_KEY_FILE";

/// One's own key and those of the settings. None where there is neither: then records are neither signed nor judged.
///
/// # Errors
/// The file of the key cannot be read, or others may read it.
pub fn keys(config: &Config) -> Result<Option<Keys>, Fault> {
    let own = match path() {
        Some(path) => own(&path)?,
        None => None,
    };
    if own.is_none()
        && let Some(path) = named()
    {
        let message =
            format!("{VARIABLE} names {}, which is not there\n  `ddpipe cache key` makes a key there", path.display());
        return Err(Fault::usage(message));
    }
    let required = config.require_signature.unwrap_or(!config.trusted.is_empty());
    let trusted = config.trusted.clone();
    if required && own.is_none() {
        tracing::warn!(
            "what is sent to remotes is not signed, since there is no key of one's own; `ddpipe cache key` makes one"
        );
    }
    Ok((own.is_some() || required).then_some(Keys { own, trusted, required }))
}

/// Whose records a run believes, for its pilots; none where nothing is signed.
///
/// # Errors
/// Those of [`keys`].
pub fn told(config: &Config) -> Result<Option<Trust>, Fault> {
    let Some(keys) = keys(config)? else { return Ok(None) };
    let own = keys.own.iter().map(Signer::public);
    let mut believed: Vec<String> = own.chain(keys.trusted.iter().cloned()).map(|key| key.to_string()).collect();
    believed.sort();
    believed.dedup();
    Ok(Some(Trust { keys: believed, required: keys.required }))
}

/// In a pilot: believes what its run believes.
///
/// # Errors
/// The run would not believe this pilot; a key is none.
pub fn lay_over(trust: &Trust, config: &mut Config) -> Result<(), Fault> {
    let trusted = trust.keys.iter().map(|key| key.parse::<PublicKey>()).collect::<Result<Vec<_>, _>>();
    config.trusted = trusted.map_err(|error| Fault::usage(format!("the keys of the run: {error}")))?;
    config.require_signature = Some(trust.required);
    if !trust.required {
        return Ok(());
    }
    let own = path().map(|path| own(&path)).transpose()?.flatten().map(|own| own.public());
    if own.as_ref().is_some_and(|own| config.trusted.contains(own)) {
        return Ok(());
    }
    let has = own.map_or("there is no key".to_string(), |own| format!("the key is {own}"));
    Err(Fault::usage(format!(
        "nobody would believe what this pilot computes: the run believes signed records alone, and on {} {has}\n  name a file \
         with the key in {VARIABLE}, in `env` of the machine's settings",
        ddpipe_cache::host()
    )))
}

/// One's own public key; made with this name if there is none.
///
/// # Errors
/// The file cannot be read or written, or the name is none.
pub fn own_or_new(name: Option<&str>) -> Result<(PublicKey, PathBuf), Fault> {
    let path = path()
        .ok_or_else(|| Fault::usage(format!("there is no folder for settings\n  name a file with {VARIABLE}")))?;
    if let Some(own) = own(&path)? {
        let public = own.public();
        if name.is_some_and(|name| name != public.name()) {
            let message = format!("there is a key already: {public}\n  move {} away to make another", path.display());
            return Err(Fault::usage(message));
        }
        return Ok((public, path));
    }
    let user = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let unnamed = |_| Fault::usage("nothing says what you are called\n  name the key with --name");
    let name = name.map_or_else(user, |name| Ok(name.to_string())).map_err(unnamed)?;
    let mut seed = [0; 32];
    let fault = |error: &dyn std::fmt::Display| Fault {
        exit: Exit::Cache,
        message: format!("could not write the key {}: {error}", path.display()),
    };
    getrandom::fill(&mut seed).map_err(|error| fault(&error))?;
    let signer =
        Signer::new(&name, seed).map_err(|error| Fault::usage(format!("{error}\n  name the key with --name")))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| fault(&error))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            writeln!(file, "{}", signer.line()).and_then(|()| file.sync_all()).map_err(|error| fault(&error))?;
            Ok((signer.public(), path))
        }
        // Another command was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => own_or_new(Some(&name)),
        Err(error) => Err(fault(&error)),
    }
}

fn path() -> Option<PathBuf> {
    named().or_else(|| Some(config::folder()?.join(FILE)))
}

fn named() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn own(path: &Path) -> Result<Option<Signer>, Fault> {
    let fault = |why: String| Fault::usage(format!("the key {}: {why}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(format!("could not read it: {error}"))),
    };
    let metadata = file.metadata().map_err(|error| fault(error.to_string()))?;
    if !metadata.is_file() {
        return Err(fault(format!("it is no file\n  name another one with {VARIABLE}")));
    }
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(fault(format!("others may read it\n  chmod 600 {}", path.display())));
    }
    let mut line = String::new();
    let read = file.take(1024).read_to_string(&mut line);
    read.map_err(|error| fault(format!("could not read it: {error}")))?;
    let wrong = |_| fault("it holds no key\n  move it away, and `ddpipe cache key` makes another".into());
    Signer::of_line(&line).map(Some).map_err(wrong)
}
