//! The command `ddpipe`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ddpipe::cli::main()
}
