//! Outputs opened by the programs of the desktop, as copies with names that say what they are.

use super::{Shown, file_name};
use crate::cli::{Done, print};
use crate::exit::{Exit, Fault};
use std::path::Path;
use std::process::{Command, Stdio};

/// The program that opens a file as the desktop does.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Opens the outputs, or the one of this name.
pub fn open(shown: &[Shown], only: Option<&str>) -> Done {
    let failed = |error: std::io::Error| Fault::io("make", &std::env::temp_dir(), &error);
    let folder = tempfile::Builder::new().prefix("ddpipe-show-").tempdir().map_err(failed)?.keep();
    for shown in shown {
        for (name, output) in shown.outputs(only) {
            let bytes = shown.project.cache.blobs().read_verified(output.digest)?;
            let file = folder.join(file_name(shown, name, &bytes));
            std::fs::write(&file, bytes).map_err(|error| Fault::io("write", &file, &error))?;
            open_file(&file, "`ddpipe show … --out FILE` writes it where you want it")?;
            print(&crate::visible::visible(&format!("{}\n", file.display())))?;
        }
    }
    Ok(Exit::Ok)
}

/// Opens a file with the desktop's program for it.
pub fn open_file(file: &Path, way_out: &str) -> Result<(), Fault> {
    let quiet = || Stdio::null();
    let opened = Command::new(OPENER).arg(file).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    let fault = |what: String| Fault {
        exit: Exit::Cache,
        message: format!("{OPENER} {}: {what}\n  {way_out}", file.display()),
    };
    match opened {
        Err(error) => Err(fault(error.to_string())),
        Ok(status) if !status.success() => Err(fault(status.to_string())),
        Ok(_) => Ok(()),
    }
}
