//! The example of a kind in Python, run as a reader of the documentation would run it.

use crate::project::Project;
use std::path::Path;

#[test]
fn the_python_example_reads_and_writes_tensors() {
    let project = Project::new();
    for file in ["pipeline.toml", "kinds/own/brightness/stage.toml", "kinds/own/brightness/brightness.py"] {
        let text = std::fs::read_to_string(Path::new("tests/examples/python_kind").join(file)).unwrap();
        project.file(&format!("pipelines/{file}"), text);
    }
    let ran = project.go("pipelines/pipeline.toml", &[]);
    ran.ok();
    let (plain, bright) = (ran.outcome("plain"), ran.outcome("bright"));
    let mean = |outcome: &serde_json::Value| outcome["metrics"]["mean"].as_f64().unwrap();
    assert!((mean(&bright) - mean(&plain) - 0.5).abs() < 1e-5, "{plain} {bright}");
    project.go("pipelines/pipeline.toml", &[]).ok().ran(&[]);
}
