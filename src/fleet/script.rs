//! The script that a batch system runs: what a pilot needs around it, and what becomes of signals. Pure.

use super::PilotOrder;
use crate::command::quoted;
use crate::machine::Machine;
use std::path::Path;

/// What ends a pilot before its time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warned {
    /// Slurm sends SIGUSR1 so early; the job is queued again then, where that is of use.
    BySlurm,
    /// The script itself counts so many seconds.
    After(u64),
}

/// Pilots save and leave so many seconds before their time is up; short ones after three quarters of it.
pub fn early(time: u64) -> u64 {
    (time / 4).min(120)
}

/// The program of a pilot as the nodes see it.
pub fn program(machine: &Machine) -> String {
    let own = || std::env::current_exe().unwrap_or_else(|_| "ddpipe".into());
    machine.ddpipe.clone().unwrap_or_else(own).display().to_string()
}

/// The words that start a pilot, those around it included.
pub fn command(machine: &Machine, order: &PilotOrder) -> Vec<String> {
    let words = machine.wrap.iter().cloned().chain([program(machine)]);
    words.chain(order.arguments.iter().cloned()).collect()
}

/// Words as a line of a shell.
pub fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Variables as lines of a shell.
pub fn exports(variables: &[(String, String)]) -> String {
    variables.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect()
}

/// The whole script.
pub fn script(machine: &Machine, order: &PilotOrder, variables: &[(String, String)], warned: Warned) -> String {
    let mut text = format!("#!/bin/sh\n# ddpipe, pilot {} of the run {}\n", order.number, order.run);
    if machine.local.is_none() {
        // Batch systems say late that a job is over, or never.
        let exit = quoted(&order.exit_file().display().to_string());
        text.push_str(&format!("ddpipe_over={exit}\nrm -f \"$ddpipe_over\"\ntrap 'echo $? > \"$ddpipe_over\"' EXIT\n"));
    }
    machine.setup.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    text.push_str(&exports(variables));
    if machine.local.is_none() {
        let folder = quoted(&order.folder.display().to_string());
        text.push_str(&format!("cd {folder} || exit 2\n"));
    }
    text.push_str(&format!("{} & pid=$!\n", line(&command(machine, order))));
    text.push_str("early=\ntrap 'early=1; kill -TERM $pid' USR1\ntrap 'kill -TERM $pid' TERM USR2\n");
    if let Warned::After(seconds) = warned {
        // The clock takes its `sleep` along when it is not needed any more, ends when the script is gone, and holds no file open.
        text.push_str(&format!(
            "(left={seconds}; trap 'kill $nap; exit' TERM\n while [ $left -gt 0 ]; do\n  step=10; [ $left -gt 10 ] || step=$left\n  \
             sleep $step & nap=$!; wait $nap; left=$((left - step)); kill -0 $$ || exit\n done; kill -USR1 $$\n) </dev/null \
             >/dev/null 2>&1 & clock=$!\n"
        ));
    }
    // A signal ends `wait`, and not what it waits for.
    text.push_str("while :; do wait $pid; code=$?; kill -0 $pid 2>/dev/null || break; done\n");
    match warned {
        Warned::BySlurm => text.push_str(&again(&order.run_folder)),
        Warned::After(_) => text.push_str("kill $clock 2>/dev/null\n"),
    }
    text.push_str("exit $code\n");
    text
}

/// A pilot whose time was up is queued again, a few times, unless the run is to stop.
fn again(run: &Path) -> String {
    let stop = quoted(&crate::peers::stop_in(run).display().to_string());
    format!(
        "if [ -n \"$early\" ] && [ $code = 143 ] && [ ! -e {stop} ] && [ \"${{SLURM_RESTART_COUNT:-0}}\" -lt 10 ]; then\n  \
         scontrol requeue \"$SLURM_JOB_ID\" && trap - EXIT && exit 0\nfi\n"
    )
}
