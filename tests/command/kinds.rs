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

/// The bytes of a `.npy` file of unsigned bytes.
fn npy(shape: &str, content: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    [b"\x93NUMPY\x01\x00" as &[u8], &(header.len() as u16).to_le_bytes(), header.as_bytes(), content].concat()
}

#[test]
fn the_example_that_reads_an_archive_gives_data_sets() {
    let project = Project::new();
    for file in ["pipeline.toml", "kinds/own/npz/stage.toml", "kinds/own/npz/npz.py"] {
        project.file(file, std::fs::read_to_string(Path::new("tests/examples/own_npz").join(file)).unwrap());
    }
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    // Two colours in each image of three channels: a channel that lands in another's place changes the means.
    let images = |count: usize| [0u8, 100, 200, 20, 120, 220, 0, 100, 200, 20, 120, 220].repeat(count);
    for (name, array) in [
        ("x_train", npy("4, 2, 2, 3", &images(4))),
        ("y_train", npy("4,", &[0, 1, 2, 1])),
        ("x_test", npy("3, 2, 2, 3", &images(3))),
        ("y_test", npy("3, 1", &[0, 1, 2])),
    ] {
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut archive, &array).unwrap();
    }
    project.file("data/set.npz", archive.finish().unwrap().into_inner());
    project.go("pipeline.toml", &[]).ok();
    project.run(&["show", "pipeline.toml", "sets", "--output", "test", "--out", "test.safetensors"]).ok();
    let file = std::fs::read(project.path("test.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&file).into_owned();
    assert!(header.contains(r#"[3,3,2,2]"#) && header.contains(r#"\"classes\":3"#), "{header}");
    let means = [10.0, 110.0, 210.0].map(|mean| (mean / 255.0).to_string());
    assert!(header.contains(&format!(r#"\"mean\":[{}]"#, means.join(","))), "{header}");
}
