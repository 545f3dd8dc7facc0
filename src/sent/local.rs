//! The folder of a node, as the settings call it: with variables that the node has.

use crate::exit::Fault;
use std::path::PathBuf;

/// The folder that this text names here: `$TMPDIR/ddpipe`, `${SCRATCH:-/tmp}/ddpipe`.
///
/// # Errors
/// A variable is not set here, or the path is not absolute.
pub fn folder(text: &str) -> Result<PathBuf, Fault> {
    let fault = |why: String| {
        let message = format!(
            "the setting local = {text:?}: {why} on {}\n  name a folder that every node has, such as \"${{TMPDIR:-/tmp}}/ddpipe\"",
            ddpipe_cache::host()
        );
        Fault::usage(message)
    };
    let expanded = shellexpand::env(text).map_err(|error| fault(format!("${} is not set", error.var_name)))?;
    let path = PathBuf::from(expanded.as_ref());
    if path.is_absolute() { Ok(path) } else { Err(fault(format!("{} is no absolute path", path.display()))) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn variables_are_those_of_the_node() {
        assert_eq!(folder("/tmp/ddpipe").unwrap(), PathBuf::from("/tmp/ddpipe"));
        assert_eq!(folder("${NO_SUCH_VARIABLE:-/scratch}/d").unwrap(), PathBuf::from("/scratch/d"));
        assert!(folder("$NO_SUCH_VARIABLE/d").unwrap_err().message.contains("$NO_SUCH_VARIABLE is not set"));
        assert!(folder("ddpipe").unwrap_err().message.contains("no absolute path"));
    }
}
