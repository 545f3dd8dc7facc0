//! `ddpipe report`: a run, or what is on record for a manifest, as one HTML file.

use super::subject::SubjectArgs;
use super::{Done, print};
use crate::exit::Exit;
use crate::report;
use crate::results::write_whole;
use crate::visible::visible;
use std::path::PathBuf;

/// Write a run, or what is on record for a manifest, as one HTML file.
#[derive(Debug, clap::Args)]
#[command(after_help = super::examples::REPORT)]
pub struct Args {
    #[command(flatten)]
    of: SubjectArgs,
    /// The file to write
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Open it with the program that the desktop has for it
    #[arg(long)]
    open: bool,
}

pub(super) fn run(args: Args) -> Done {
    let page = args.of.with(&|subject| Ok(report::page(subject)))?;
    write_whole(&args.out, page.as_bytes())?;
    print(&visible(&format!("{}\n", args.out.display())))?;
    if args.open {
        super::show::open_file(&args.out, "the file is there; open it with a browser")?;
    }
    Ok(Exit::Ok)
}
