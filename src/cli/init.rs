//! `ddpipe init`: the files of a project that runs. What the projects are is in `templates`.

use super::{Done, print};
use crate::exit::Fault;
use crate::templates::Template;
use crate::visible::visible;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Make a project that runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to make it in; made if it is not there
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// What the project is about
    #[arg(long, value_name = "TEMPLATE", default_value = "quickstart")]
    from: Template,
}

pub(super) fn run(args: Args) -> Done {
    let files = args.from.files();
    // Nothing is written before all of it can be.
    let paths = files.iter().map(|(name, _)| args.folder.join(name));
    // A dangling link is something too.
    let taken = paths.filter(|path| path.symlink_metadata().is_ok());
    let there: Vec<String> = taken.map(|path| shown(&path)).collect();
    if !there.is_empty() {
        return Err(Fault::usage(format!(
            "{}: there already; nothing was written\n  name another folder: ddpipe init DIR",
            there.join(", ")
        )));
    }
    for (name, text) in &files {
        let path = args.folder.join(name);
        write_new(&path, text).map_err(|error| Fault::io("write", &path, &error))?;
    }
    let made = files.iter().map(|(name, _)| format!("  {}\n", shown(&args.folder.join(name))));
    let mut said = format!("made\n{}\nnext\n", made.collect::<String>());
    if args.folder.as_path() != Path::new(".") {
        said.push_str(&format!("  cd {}\n", quoted(&args.folder)));
    }
    if let Some(before) = args.from.before() {
        said.push_str(&format!("  # {before}\n"));
    }
    let (manifest, options) = (args.from.manifest(), args.from.run_options());
    said.push_str(&format!("  ddpipe plan {manifest}\n  ddpipe run {manifest}{options}\n"));
    print(&visible(&said))
}

/// Writes a file that is not there yet, with its folders.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => std::io::Error::other(format!("{} is no folder", folder.display())),
            _ => error,
        })?;
    }
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
