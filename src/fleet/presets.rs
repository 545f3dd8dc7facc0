//! That the settings in docs/machines.md can be copied: each is read, and its commands are filled in.

#![allow(clippy::unwrap_used)]

use super::commands::Commands;
use super::fill::{Filled, fill};
use super::{Batch as _, PilotOrder};
use crate::machine::{Machine, QueueKind};
use indexmap::IndexMap;
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    machines: IndexMap<String, Machine>,
}

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/machines.md")).unwrap()
}

fn machines() -> IndexMap<String, Machine> {
    let page = page();
    let blocks = page
        .split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.split_once("[machines.")?.1.split("\nEND").next());
    let settings = blocks.map(|block| toml::from_str::<Settings>(&format!("[machines.{block}")));
    settings.flat_map(|settings| settings.unwrap_or_else(|error| panic!("{error}")).machines).collect()
}

/// What is submitted, asked and cancelled.
const FILLED: [(&str, [&str; 3]); 8] = [
    (
        "pods",
        [
            "kubectl create -f TEMPLATE",
            "kubectl get pods -l job-name=17 --no-headers",
            "kubectl delete job 17 --wait=false",
        ],
    ),
    (
        "sge",
        [
            "qsub -terse -N NAME -S /bin/sh -cwd -V -j y -o LOG -pe smp 8 -l h_rt=28800,mem_free=32768M -l gpu=1 SCRIPT",
            "qstat -u *",
            "qdel 17",
        ],
    ),
    (
        "pbs",
        [
            "qsub -N NAME -l select=1:ncpus=8:ngpus=1:mem=32768mb -l walltime=08:00:00 -j oe -o LOG -q gpu SCRIPT",
            "qstat -x 17",
            "qdel 17",
        ],
    ),
    (
        "lsf",
        [
            "bsub -J NAME -n 8 -gpu num=1 -M 32768MB -R span[hosts=1] -W 480 -o LOG -q gpu sh SCRIPT",
            "bjobs -noheader -a -o jobid stat 17",
            "bkill 17",
        ],
    ),
    (
        "condor",
        [
            "condor_submit -terse universe=vanilla executable=/bin/sh arguments=SCRIPT output=LOG error=LOG request_cpus=8 \
             request_gpus=1 request_memory=32768 should_transfer_files=NO -queue 1",
            "condor_q 17 -af ClusterId JobStatus == 1 ? \"IDLE\" : \"RUNNING\"",
            "condor_rm 17",
        ],
    ),
    (
        "kubernetes",
        [
            "kubectl create -f TEMPLATE",
            "kubectl get pods -l job-name=17 --no-headers",
            "kubectl delete job 17 --wait=false",
        ],
    ),
    (
        "ray",
        [
            "ray job submit --no-wait --submission-id NAME --entrypoint-num-cpus 8 --entrypoint-num-gpus 1 \
             --entrypoint-memory 34359738368 -- sh SCRIPT",
            "ray job status 17",
            "ray job stop 17",
        ],
    ),
    (
        "hyperqueue",
        [
            "hq submit --name NAME --cpus 8 --resource gpus/nvidia=1 --time-request 28800s --stdout LOG --stderr LOG sh SCRIPT",
            "hq job list --all",
            "hq job cancel 17",
        ],
    ),
];

#[test]
fn every_machine_of_the_page_is_read_and_its_commands_are_filled_in() {
    let machines = machines();
    let order = PilotOrder::sample();
    let by_commands: Vec<&str> = machines
        .iter()
        .filter(|(_, machine)| machine.queue == QueueKind::Commands)
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(by_commands, FILLED.map(|(name, _)| name));
    assert_eq!(machines["slurm"].queue, QueueKind::Slurm);
    for machine in machines.values() {
        assert_eq!(machine.fault(), None);
    }
    for (name, expected) in FILLED {
        let machine = &machines[name];
        let commands = Commands::new(machine, machine.pilots.values().next().unwrap(), Vec::new(), &order.run);
        let of = [(&machine.submit, None), (&machine.status, Some("17")), (&machine.cancel, Some("17"))];
        let filled = of.map(|(command, id)| commands.words(command.as_ref().unwrap(), &order, id).unwrap().join(" "));
        let short = |text: &String| {
            text.replace(&order.script_file().display().to_string(), "SCRIPT")
                .replace(&order.template_file().display().to_string(), "TEMPLATE")
                .replace(&order.log.display().to_string(), "LOG")
                .replace(&order.name(), "NAME")
        };
        assert_eq!(filled.each_ref().map(short), expected, "{name}");
        let script = commands.script(&order).unwrap();
        assert!(script.contains("left=28680") && script.contains("run --pilot 2"), "{script}");
    }
}

#[test]
fn the_job_of_kubernetes_is_filled_in() {
    let page = page();
    let (machines, order) = (machines(), PilotOrder::sample());
    let filled = |name: &str, at: usize| {
        let template = page.split("```yaml\n").nth(at).unwrap().split("```").next().unwrap();
        let machine = &machines[name];
        let pilot = machine.pilots.values().next().unwrap();
        fill(template, &Filled { machine, pilot, order: &order, variables: &[], id: None }).unwrap()
    };
    let pod = filled("pods", 1);
    assert!(pod.contains(r#"command: ["/opt/ddpipe/bin/ddpipe","run","--pilot","2"]"#), "{pod}");
    let job = filled("kubernetes", 2);
    for line in [
        "metadata: {name: ddpipe-20261129t1200-x-2}",
        "  activeDeadlineSeconds: 28800",
        "          resources: {limits: {cpu: 8, memory: 32768Mi, nvidia.com/gpu: 1}}",
        "          volumeMounts: [{name: work, mountPath: /work}]",
    ] {
        assert!(job.lines().any(|found| found == line), "{line} in\n{job}");
    }
    assert!(job.contains("exec sh /lab/p/.ddpipe/runs/20261129T1200-x/pilots/2.sh > /lab"), "{job}");
}
