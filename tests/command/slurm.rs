//! Runs whose pilots a batch system starts: a real Slurm of two pretend nodes on this machine, and the same by `commands`.

use crate::pilots::{assert_complete, counted, noted, sweep};
use crate::project::Project;
use crate::slurm_cluster::Slurm;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// Pilots of one GPU each, by Slurm itself and by its commands.
pub const SETTINGS: &str = r#"
[machines.slurm]
queue = "slurm"
[machines.slurm.pilots]
gpu = { device = "cpu", gpus = 1, cpus = 1, memory = "300MiB", time = "10min", options = ["--gres=gpu:1"] }

[machines.by_commands]
queue = "commands"
submit = ["sbatch", "--parsable", "--no-requeue", "--job-name={name}", "--cpus-per-task={cpus}", "--mem={memory_mb}M", "--time={time_min}", "--output={log}", "{options}", "{script}"]
status = ["squeue", "-h", "-t", "all", "-j", "{id}", "-o", "%i %T"]
states = { queued = ["PENDING", "CONFIGURING"], running = ["RUNNING", "COMPLETING"], ended = ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"] }
cancel = ["scancel", "{id}"]
[machines.by_commands.pilots]
cpu = { device = "cpu", cpus = 1, memory = "300MiB", time = "10min", options = ["--gres=gpu:1"] }
"#;

/// The sweep, beside a cluster; none where there is no Slurm.
fn on_a_cluster() -> Option<(Slurm, Project)> {
    let cluster = Slurm::start()?;
    let project = sweep_on(&cluster, SETTINGS);
    // Each stage notes the GPUs that are for it.
    let note = "open(params[\"log\"] + \".gpus\", \"a\").write(os.environ.get(\"CUDA_VISIBLE_DEVICES\", \"none\") + \"\\n\")\n";
    project.edit("kinds/own/task/task.py", "print(\"at work\"", &format!("{note}print(\"at work\""));
    Some((cluster, project))
}

/// The sweep for a cluster, with these settings; the queue and the heartbeats are quick.
pub fn sweep_on(cluster: &Slurm, settings: &str) -> Project {
    let mut project = sweep();
    project.file("home/.config/ddpipe/config.toml", settings);
    let conf = cluster.conf();
    for (name, value) in
        [("SLURM_CONF", conf.as_str()), ("DDPIPE_QUEUE_SECONDS", "0.5"), ("DDPIPE_HEARTBEAT_SECONDS", "1")]
    {
        project.env(name, value);
    }
    project
}

fn every_node_was_computed_once(project: &Project) {
    let noted = noted(project);
    assert!(noted.len() == 6 && noted.values().all(|times| *times == 2), "{noted:?}");
}

#[test]
fn pilots_that_slurm_starts_compute_every_node_once_on_gpus_of_their_own() {
    let Some((cluster, project)) = on_a_cluster() else { return };
    project.run(&["doctor", "--on", "slurm"]).ok().says("all is well").says("submitted to slurm as");
    let plan = project.run(&["plan", "pipelines/sweep.toml", "--on", "slurm"]);
    plan.ok().says("1 pilot of slurm:gpu (1 GPU, 1 CPU, 300.0 MiB, 0.2 h)");
    let run = project.go("pipelines/sweep.toml", &["--on", "slurm", "--pilots", "4"]);
    run.ok();
    assert_eq!(counted(&run, "ran"), 13);
    assert!(run.events().iter().any(|event| event["event"] == "pilots" && event["working"] != 0), "{}", run.out);
    every_node_was_computed_once(&project);
    let gpus: BTreeSet<String> = project.read("log.gpus").lines().map(str::to_string).collect();
    assert!(!gpus.is_empty() && gpus.iter().all(|gpus| gpus == "0" || gpus == "1"), "{gpus:?}");
    assert!(cluster.jobs("PENDING,RUNNING").is_empty());
    assert_complete(&project);
    // What is on record needs no pilot.
    let before = cluster.jobs("all").len();
    project.go("pipelines/sweep.toml", &["--on", "slurm"]).ok().ran(&[]);
    assert_eq!(cluster.jobs("all").len(), before);
}

#[test]
fn a_run_on_slurm_is_left_found_again_and_stopped() {
    let Some((cluster, project)) = on_a_cluster() else { return };
    project.edit("pipelines/sweep.toml", "params = { log", "params = { pause = 1.0, log");
    // Six pilots are more than there are GPUs: two have to wait.
    let on = ["--on", "slurm", "--pilots", "6"];
    let mut run = project.start_run("pipelines/sweep.toml", &on);
    assert!(run.until("\"started\""));
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.wait().code(143).says("the pilots go on");
    assert!(!cluster.jobs("RUNNING").is_empty());
    let submitted = cluster.jobs("all").len();
    let mut again = project.start_run("pipelines/sweep.toml", &on);
    assert!(again.until("they are watched"));
    assert_eq!(cluster.jobs("all").len(), submitted, "no second set of pilots");
    again.signal(nix::sys::signal::Signal::SIGINT);
    again.wait().code(130);
    cluster.until("empty queue", |cluster| cluster.jobs("PENDING,RUNNING").is_empty());
    project.go("pipelines/sweep.toml", &on).ok();
    assert!(noted(&project).values().sum::<usize>() <= 12 + 4, "what was begun, once more: {:?}", noted(&project));
    assert_complete(&project);
}

#[test]
fn a_pilot_that_is_cancelled_is_not_replaced_and_the_others_do_its_work() {
    let Some((cluster, project)) = on_a_cluster() else { return };
    project.edit("pipelines/sweep.toml", "params = { log", "params = { pause = 0.5, log");
    let mut run = project.start_run("pipelines/sweep.toml", &["--on", "slurm", "--pilots", "2"]);
    assert!(run.until("\"started\""));
    cluster.until("two pilots", |cluster| cluster.jobs("RUNNING").len() == 2);
    cluster.call("scancel", &[&cluster.jobs("RUNNING")[0]]);
    run.wait().ok().says("was cancelled");
    assert_eq!(cluster.jobs("all").len(), 2);
    assert!(noted(&project).values().sum::<usize>() <= 13);
    assert_complete(&project);
}

#[test]
fn pilots_that_commands_of_the_settings_start_compute_every_node_once() {
    let Some((cluster, project)) = on_a_cluster() else { return };
    project.run(&["doctor", "--on", "by_commands"]).ok().says("all is well");
    project.go("pipelines/sweep.toml", &["--on", "by_commands:cpu", "--pilots", "2"]).ok();
    every_node_was_computed_once(&project);
    assert!(cluster.jobs("PENDING,RUNNING").is_empty());
    assert_complete(&project);
}

#[test]
fn what_is_wrong_with_a_machine_is_said_before_anything_is_submitted() {
    let project = Project::counting();
    let refused = |settings: &str, on: &str| {
        project.file("home/.config/ddpipe/config.toml", settings);
        project.go("pipelines/two.toml", &["--on", on])
    };
    refused("", "slurm").code(2).says("no [machines.slurm]").says("docs/machines.md");
    refused("[machines.a]\nqueue = \"slum\"\n", "a").code(2).says("line 2").says("slum");
    refused("[machines.a]\nqueue = \"commands\"\n[machines.a.pilots]\n", "a").code(2).says("needs `submit`");
    let slurm = "[machines.a]\nqueue = \"slurm\"\n[machines.a.pilots]\n";
    refused(slurm, "b").code(2).says("there are a");
    refused(slurm, "a").code(2).says("no type of pilots");
    let gpu = "gpu = { device = \"cpu\", memory = \"1GiB\", time = \"1h\" }\n";
    let other = gpu.replace("gpu", "other").replace("\"cpu\"", "\"cuda\"");
    refused(&format!("{slurm}{gpu}{other}"), "a").code(2).says("several types of pilots");
    refused(&format!("{slurm}{}", gpu.replace("1h", "an hour")), "a").code(2).says("no length of time");
    let commands = "queue = \"commands\"\nsubmit = [\"sh\"]\nstatus = [\"no-such-stat\"]\ncancel = [\"kill\"]\n";
    let commands = format!("[machines.a]\n{commands}[machines.a.pilots]\n{gpu}");
    refused(&commands, "a").code(2).says("there is no program no-such-stat here").says("via = ");
    // By what earlier results took, which is some 60 MB each here.
    let of_types = |types: &[(&str, &str)]| {
        let typed = |(name, memory): &(&str, &str)| {
            format!("{name} = {{ device = \"cpu\", memory = \"{memory}\", time = \"1h\" }}\n")
        };
        let head = commands.split("gpu = ").next().unwrap().replace("no-such-stat", "sh");
        project.file("home/.config/ddpipe/config.toml", head + &types.iter().map(typed).collect::<String>());
        project.run(&["plan", "pipelines/two.toml", "--on", "a"])
    };
    let types = [("large", "3GiB"), ("small", "20MiB"), ("middle", "500MiB")];
    of_types(&types).ok().says("of a:large (");
    project.go("pipelines/two.toml", &["--select", "a"]).ok();
    of_types(&types).ok().says("of a:middle (");
    of_types(&types[1..2]).code(2).says("is expected to take").says("raise `memory` of [machines.a.pilots.small]");
    let by_way = commands.replace("submit", "via = [\"no-such-ssh\", \"login\"]\nsubmit");
    refused(&by_way, "a").code(2).says("there is no program no-such-ssh here");
    for program in ["sbatch", "squeue", "scancel"] {
        let said = "#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpux' >&2\nexit 1\n";
        project.file(&format!("bin/{program}"), said);
        fs::set_permissions(project.path("bin").join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = project.command(&["run", "pipelines/two.toml", "--on", "a", "--allow-commands"]);
    project.file("home/.config/ddpipe/config.toml", format!("{slurm}{gpu}"));
    let path = format!("{}:{}", project.path("bin").display(), std::env::var("PATH").unwrap());
    let done = command.env("PATH", path).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(said.contains("could not be submitted to a") && said.contains("invalid partition"), "{said}");
    assert_eq!(done.status.code(), Some(2));
}
