//! The environment of a program: what every program on this machine needs to run, what its declaration names, and nothing
//! else. Tokens and settings that are not declared stay away from it, and cannot decide its results.

use std::process::Command;

/// Variables that describe the machine and the user's session, and that results must not depend on.
const OF_THE_MACHINE: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
];

/// Gives the command these variables, and those of the machine.
pub fn set(command: &mut Command, declared: &[(String, String)]) {
    command.env_clear();
    command.envs(OF_THE_MACHINE.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(declared.iter().map(|(name, value)| (name, value)));
}
