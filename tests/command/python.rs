//! What the page on Python promises: its script trains on a synthetic set that ddpipe made, and finds ddpipe's accuracy.

use crate::project::Project;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = "docs/python/train_on_synthetic.py";
const PIPELINE: &str = include_str!("../../pipelines/quickstart.toml");

#[test]
fn the_script_of_the_page_finds_the_accuracy_that_ddpipe_reports() {
    let has = Command::new("python3").args(["-c", "import torch"]).output();
    if !has.is_ok_and(|done| done.status.success()) {
        eprintln!("skipped: python3 has no torch; `python3 -m pip install torch` adds it");
        return;
    }
    let project = Project::new();
    project.file("pipelines/quickstart.toml", PIPELINE);
    let sets = [
        "--set=stages.digits.params.train=600",
        "--set=stages.real_images.matrix.arch=[\"mlp\"]",
        "--set=stages.real_images.params.students=10",
    ];
    // The set `start`: real images, normalised as a distilled set is, without the time of a distillation.
    let ran = project.go("pipelines/quickstart.toml", &[&sets[..], &["--select=real_images"]].concat());
    ran.ok();
    let reported = ran.outcome("real_images[arch=mlp]")["metrics"]["accuracy"].as_f64().unwrap();
    for (node, output, file) in [("start", "synthetic", "set.safetensors"), ("test_set", "dataset", "test.safetensors")]
    {
        let args =
            [&["show", "pipelines/quickstart.toml", node, "--output", output, "--out", file][..], &sets].concat();
        project.run(&args).ok();
    }
    let script = std::fs::canonicalize(Path::new(SCRIPT)).unwrap();
    let python = Command::new("python3")
        .arg(script)
        .args(["set.safetensors", "test.safetensors", "--epochs", "60", "--networks", "10"])
        .current_dir(project.path(""))
        // More threads than free cores wait for each other.
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    let (said, complaint) = (String::from_utf8_lossy(&python.stdout), String::from_utf8_lossy(&python.stderr));
    assert!(python.status.success(), "{complaint}");
    let found: serde_json::Value = serde_json::from_str(&said).unwrap();
    let found = found["accuracy"].as_f64().unwrap();
    assert!((found - reported).abs() < 0.01, "the script finds {found}, ddpipe reports {reported}");
}
