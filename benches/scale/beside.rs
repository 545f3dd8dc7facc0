//! Other programs on the same graph: how they are told of it, and how they are asked whether there is anything to do. Each
//! stage is a rule of theirs with a placeholder for the seed, as their users write it; every command only touches its outputs.

use crate::measure::{self, Took};
use ddpipe::pipeline::{Endpoint, Node, Pipeline};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that can be put beside ddpipe.
pub struct Beside {
    /// Its name in the table, with its version.
    pub name: String,
    program: PathBuf,
    args: Vec<&'static str>,
    folder: PathBuf,
}

/// What is named on the command line: `snakemake=/path/to/snakemake`.
pub fn named(argument: &str) -> Option<(&str, &Path)> {
    let (name, path) = argument.split_once('=')?;
    ["ninja", "snakemake", "dvc"].contains(&name).then_some((name, Path::new(path)))
}

impl Beside {
    /// Tells the program of the pipeline, in a folder of its own, and lets it make everything; none where it is not
    /// installed.
    pub fn new(name: &str, program: &Path, pipeline: &Pipeline, parent: &Path) -> Option<Self> {
        let version = Command::new(program).arg("--version").output().ok().filter(|said| said.status.success())?;
        let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().trim().to_string();
        let folder = parent.join(name);
        std::fs::create_dir_all(folder.join("out")).expect("a folder");
        let write = |file: &str, text: String| std::fs::write(folder.join(file), text).expect("a file is written");
        let args = match name {
            "ninja" => {
                crate::graph::ninja(pipeline, &folder).expect("the build file is written");
                vec![]
            }
            "snakemake" => {
                write("Snakefile", snakefile(pipeline));
                vec!["--cores", "2", "--quiet", "all"]
            }
            _ => {
                write("dvc.yaml", dvc(pipeline));
                quietly(program, &["init", "--no-scm", "--quiet"], &folder);
                vec!["repro", "--quiet"]
            }
        };
        eprintln!("{name} {version} makes everything");
        quietly(program, &args, &folder);
        Some(Beside { name: format!("{name} {version}"), program: program.to_path_buf(), args, folder })
    }

    /// Asks once whether there is anything to do.
    pub fn run(&self) -> Took {
        measure::run(&self.program, &self.args, &self.folder)
    }

    /// System calls of that.
    pub fn system_calls(&self) -> Option<u64> {
        measure::system_calls(&self.program, &self.args, &self.folder)
    }
}

fn quietly(program: &Path, args: &[&str], folder: &Path) {
    let status =
        Command::new(program).args(args).current_dir(folder).stdout(Stdio::null()).stdin(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{} {args:?}", program.display());
}

/// A stage with one of its nodes.
fn stages(pipeline: &Pipeline) -> Vec<&Node> {
    let mut stages: Vec<&Node> = Vec::new();
    for node in &pipeline.nodes {
        if stages.iter().all(|stage| stage.stage != node.stage) {
            stages.push(node);
        }
    }
    stages
}

fn outputs<'a>(pipeline: &'a Pipeline, node: &'a Node) -> impl Iterator<Item = String> + 'a {
    let kind = pipeline.catalog.declaration(&node.kind);
    kind.into_iter().flat_map(|kind| kind.outputs.keys()).map(|output| format!("out/{}.SEED.{output}", node.stage))
}

/// What a node reads, and whether of all seeds.
fn inputs<'a>(pipeline: &'a Pipeline, node: &'a Node) -> impl Iterator<Item = (String, bool)> + 'a {
    node.inputs.values().filter_map(|edges| {
        let Endpoint::Node { node: read, output } = &edges.first()?.from else { return None };
        Some((format!("out/{}.SEED.{output}", pipeline.node(*read).stage), edges.len() > 1))
    })
}

fn seeds(pipeline: &Pipeline) -> usize {
    pipeline.nodes.iter().filter(|node| node.stage == "digits").count()
}

fn snakefile(pipeline: &Pipeline) -> String {
    let mut text = format!("SEEDS = range({})\n", seeds(pipeline));
    let all = |pattern: &str| format!("expand({:?}, n=SEEDS)", pattern.replace("SEED", "{n}"));
    let one = |pattern: &str| format!("{:?}", pattern.replace("SEED", "{n}"));
    let last = stages(pipeline).pop().expect("a stage");
    let ends: Vec<String> = match last.axes.is_empty() {
        true => outputs(pipeline, last).map(|output| format!("{:?}", output.replace("SEED", "all"))).collect(),
        false => outputs(pipeline, last).map(|output| all(&output)).collect(),
    };
    let _ = writeln!(text, "rule all:\n    input: {}", ends.join(", "));
    for node in stages(pipeline) {
        let gathers = node.axes.is_empty();
        let read: Vec<String> =
            inputs(pipeline, node).map(|(input, many)| if many { all(&input) } else { one(&input) }).collect();
        let made = outputs(pipeline, node).map(|output| if gathers { output.replace("SEED", "all") } else { output });
        let made: Vec<String> = made.map(|output| one(&output)).collect();
        let input = if read.is_empty() { String::new() } else { format!("    input: {}\n", read.join(", ")) };
        let _ = writeln!(
            text,
            "rule {}:\n{input}    output: {}\n    shell: \"touch {{output}}\"",
            node.stage,
            made.join(", ")
        );
    }
    text
}

fn dvc(pipeline: &Pipeline) -> String {
    let count = seeds(pipeline);
    let list = (0..count).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ");
    let mut text = String::from("stages:\n");
    for node in stages(pipeline) {
        let gathers = node.axes.is_empty();
        let placeholder = if gathers { "all" } else { "${item}" };
        let made: Vec<String> = outputs(pipeline, node).map(|output| output.replace("SEED", placeholder)).collect();
        let read = inputs(pipeline, node).flat_map(|(input, many)| match many {
            true => (0..count).map(|seed| input.replace("SEED", &seed.to_string())).collect(),
            false => vec![input.replace("SEED", placeholder)],
        });
        let listed = |names: Vec<String>| names.iter().map(|name| format!("\n      - {name}")).collect::<String>();
        let (deps, outs) = (listed(read.collect()), listed(made.clone()));
        let deps = if deps.is_empty() { deps } else { format!("\n      deps:{deps}") };
        let (head, tail) = (format!("      cmd: touch {}", made.join(" ")), format!("{deps}\n      outs:{outs}"));
        let _ = match gathers {
            true => writeln!(text, "  {}:\n{head}{tail}", node.stage),
            false => writeln!(text, "  {}:\n    foreach: [{list}]\n    do:\n{head}{tail}", node.stage),
        };
    }
    text
}
