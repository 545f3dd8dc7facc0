//! A Slurm of two pretend nodes with two pretend GPUs each, on this machine and loopback only, in a folder of its own; it ends
//! with the value. Needs the programs of Slurm and nothing that runs.

#![allow(clippy::unwrap_used, dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The nodes.
pub const NODES: [&str; 2] = ["n1", "n2"];
/// How many this process has started.
static CLUSTERS: AtomicU32 = AtomicU32::new(0);
/// How long the cluster may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster.
pub struct Slurm {
    folder: tempfile::TempDir,
    controller: Option<Child>,
    nodes: Vec<Option<Child>>,
}

/// A program of Slurm; daemons lie where an ordinary user's `PATH` does not lead.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    path.split(':').map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

impl Slurm {
    /// Starts one; none, with the reason on standard error, where Slurm is not installed.
    pub fn start() -> Option<Self> {
        let needed = ["slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo"];
        if let Some(missing) = needed.into_iter().find(|name| program(name).is_none()) {
            eprintln!(
                "skipped: there is no {missing}; `apt-get install --no-install-recommends slurmctld slurmd slurm-client \
                 slurm-wlm-basic-plugins` adds it"
            );
            return None;
        }
        // Unix sockets have short names.
        let folder = tempfile::Builder::new().prefix("sl").tempdir_in("/tmp").unwrap();
        let mut cluster = Slurm { folder, controller: None, nodes: vec![None, None] };
        cluster.configure();
        cluster.start_controller();
        (0..NODES.len()).for_each(|node| cluster.start_node(node));
        let is_up = |cluster: &Self| cluster.call("sinfo", &["-h", "-t", "idle", "-o", "%D"]).trim() == "2";
        if !cluster.comes_to(is_up) {
            eprintln!("skipped: Slurm does not start on this machine\n{}", cluster.said());
            return None;
        }
        Some(cluster)
    }

    fn configure(&self) {
        let root = self.folder.path();
        let (folder, host) = (root.display(), hostname());
        for name in ["etc", "run", "log", "state", "spool/n1", "spool/n2", "dev/n1", "dev/n2"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let mut devices = String::new();
        for node in NODES {
            for gpu in 0..2 {
                // A GPU needs a device file.
                let link = root.join(format!("dev/{node}/nvidia{gpu}"));
                std::os::unix::fs::symlink("/dev/null", link).unwrap();
            }
            devices.push_str(&format!("NodeName={node} Name=gpu File={folder}/dev/{node}/nvidia[0-1]\n"));
        }
        fs::write(root.join("etc/gres.conf"), devices).unwrap();
        let user = user();
        // Several at once, in this process and in others.
        let number = CLUSTERS.fetch_add(1, Ordering::SeqCst);
        let port = 20_000 + std::process::id() % 1_000 * 40 + number % 13 * 3;
        let text = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={port}\nSlurmUser={user}\nSlurmdUser={user}\n\
             AuthType=auth/none\nCredType=cred/none\nCommunicationParameters=NoCtldInAddrAny,NoInAddrAny\n\
             StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool/%n\n\
             SlurmctldPidFile={folder}/run/slurmctld.pid\nSlurmdPidFile={folder}/run/slurmd.%n.pid\n\
             SlurmctldLogFile={folder}/log/slurmctld.log\nSlurmdLogFile={folder}/log/slurmd.%n.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSwitchType=switch/none\nMpiDefault=none\n\
             ReturnToService=2\nSlurmdTimeout=10\nKillWait=10\nMinJobAge=3600\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU_Memory\nDefMemPerCPU=100\n\
             SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0\n\
             JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
             GresTypes=gpu\nSlurmdParameters=config_overrides\n\
             NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{}-{}] CPUs=4 RealMemory=4000 Gres=gpu:2 \
             State=UNKNOWN\nPreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
             PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP PriorityTier=1\n\
             PartitionName=urgent Nodes=n[1-2] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF\n",
            port + 1,
            port + 2,
        );
        fs::write(root.join("etc/slurm.conf"), text).unwrap();
    }

    /// What `SLURM_CONF` has to be.
    pub fn conf(&self) -> String {
        self.folder.path().join("etc/slurm.conf").display().to_string()
    }

    fn daemon(&self, name: &str, arguments: &[&str]) -> Child {
        let mut command = Command::new(program(name).unwrap());
        command.args(arguments).env("SLURM_CONF", self.conf()).stdin(Stdio::null());
        let log =
            |stream: &str| fs::File::create(self.folder.path().join("log").join(format!("{name}.{stream}"))).unwrap();
        command.stdout(log("out")).stderr(log("err")).spawn().unwrap()
    }

    /// Starts the controller, for the first time or again.
    pub fn start_controller(&mut self) {
        self.controller = Some(self.daemon("slurmctld", &["-D"]));
    }

    /// Ends the controller; jobs run on.
    pub fn end_controller(&mut self) {
        self.controller.take().into_iter().for_each(end);
    }

    /// Starts a node's daemon, for the first time or again.
    pub fn start_node(&mut self, node: usize) {
        self.nodes[node] = Some(self.daemon("slurmd", &["-D", "-N", NODES[node]]));
    }

    /// Kills a node's daemon, as if the node had gone; its jobs run on.
    pub fn kill_node(&mut self, node: usize) {
        self.nodes[node].take().into_iter().for_each(end);
    }

    /// Takes a node away with everything that runs on it, as when it loses its power.
    pub fn lose_node(&mut self, node: usize) {
        self.kill_node(node);
        // What a job starts knows its node and this cluster; its parent is the daemon's helper for the job.
        let (of_node, of_cluster) = (format!("SLURMD_NODENAME={}", NODES[node]), format!("SLURM_CONF={}", self.conf()));
        let mut lost: Vec<i32> = Vec::new();
        for (pid, parent) in processes() {
            let set = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let has = |variable: &String| set.split(|byte| *byte == 0).any(|it| it == variable.as_bytes());
            if has(&of_node) && has(&of_cluster) {
                lost.push(pid);
                let name = fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
                if name.starts_with("slurmstepd") {
                    lost.push(parent);
                }
            }
        }
        let mut at = 0;
        while at < lost.len() {
            let parent = lost[at];
            lost.extend(processes().into_iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
            at += 1;
        }
        assert!(!lost.is_empty(), "no process of {}", NODES[node]);
        let kill = |pid: &i32| nix::sys::signal::kill(nix::unistd::Pid::from_raw(*pid), nix::sys::signal::SIGKILL);
        lost.iter().for_each(|pid| _ = kill(pid));
    }

    /// What a program of Slurm says; nothing where it fails.
    pub fn call(&self, name: &str, arguments: &[&str]) -> String {
        let output =
            Command::new(program(name).unwrap()).args(arguments).env("SLURM_CONF", self.conf()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The ids of jobs in this state.
    pub fn jobs(&self, state: &str) -> Vec<String> {
        let listed = self.call("squeue", &["-h", "-t", state, "-o", "%i"]);
        listed.split_whitespace().map(str::to_string).collect()
    }

    /// Waits until something is so; false where it does not come to it in time.
    fn comes_to(&self, is_so: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }

    /// Waits until something is so.
    pub fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        assert!(self.comes_to(is_so), "no {what}:\n{}", self.call("scontrol", &["show", "node"]) + &self.said());
    }

    /// The last words of its daemons.
    fn said(&self) -> String {
        let logs = fs::read_dir(self.folder.path().join("log")).unwrap().flatten();
        let last = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(5).collect();
            format!("{}\n{}\n", path.display(), lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        };
        logs.map(|log| last(log.path())).collect()
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let user = user();
        self.call("scancel", &["--full", "-u", &user]);
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.jobs("RUNNING,COMPLETING").is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        for daemon in self.nodes.iter_mut().chain([&mut self.controller]) {
            daemon.take().into_iter().for_each(end);
        }
    }
}

/// All processes, each with its parent.
fn processes() -> Vec<(i32, i32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        found.extend(parent.map(|parent| (pid, parent)));
    }
    found
}

fn end(mut daemon: Child) {
    let _ = daemon.kill();
    let _ = daemon.wait();
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().split('.').next().unwrap().to_string()
}
