//! The program `ddpipe-worker`. All that it does is in the library of the stages, which alone links libtorch.

use std::process::ExitCode;

fn main() -> ExitCode {
    ddpipe_stages::worker::main()
}
