//! `ddpipe export`: what is written, and what TensorBoard, MLflow, the validator of RO-Crates and `datasets` say of it where
//! they are there.

use crate::project::Project;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A set, two networks on it, and their table: seconds of work.
const SMALL: &str = r#"[pipeline]
name = "small"
about = "A <b>small</b> one"
licence = "https://creativecommons.org/licenses/by/4.0/"

[stages.digits]
kind = "sample.digits"
params = { train = 100, test = 40 }

[stages.train_set]
kind = "decode.idx"
inputs = { images = "digits.train_images", labels = "digits.train_labels" }

[stages.test_set]
kind = "decode.idx"
inputs = { images = "digits.test_images", labels = "digits.test_labels", normalisation = "train_set" }

[stages.start]
kind = "init.synthetic"
inputs = { real = "train_set" }
params = { ipc = 2 }

[stages.teacher]
kind = "train.classifier"
inputs = { train = "train_set", test = "test_set" }
params = { arch = "mlp", epochs = 2 }

[stages.soft]
kind = "label.synthetic"
inputs = { synthetic = "start", model = "teacher.model" }

[stages.evaluate]
kind = "evaluate.classifier"
inputs = { synthetic = "start", test = "test_set" }
matrix = { arch = ["mlp"], epochs = [2, 3] }
params = { students = 2 }

[stages.table]
kind = "report.table"
inputs = { results = { gather = "evaluate" } }
params = { rows = ["epochs"], columns = ["arch"] }

[stages.picture]
kind = "report.grid"
inputs = { images = "start" }
"#;

/// Reads a file of JSON.
fn json(project: &Project, name: &str) -> Value {
    serde_json::from_str(&project.read(name)).unwrap()
}

/// The entities of a crate, each of which has what its references name.
fn entities(project: &Project, folder: &str) -> Vec<Value> {
    let crated = json(project, &format!("{folder}/ro-crate-metadata.json"));
    let graph = crated["@graph"].as_array().unwrap().clone();
    let ids: BTreeSet<&str> = graph.iter().map(|entity| entity["@id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), graph.len(), "two entities have one name");
    for entity in &graph {
        for value in entity
            .as_object()
            .unwrap()
            .values()
            .flat_map(|value| value.as_array().map_or(vec![value], |all| all.iter().collect()))
        {
            let Some(id) = value["@id"].as_str() else { continue };
            assert!(ids.contains(id) || id.starts_with("http"), "{id} is not described in {entity}");
        }
        let is_file = entity["@type"] == "File" || entity["@type"][0] == "File";
        let path = project.path(folder).join(entity["@id"].as_str().unwrap());
        assert!(!is_file || path.is_file(), "{} is not there", path.display());
    }
    graph
}

#[test]
fn a_run_is_written_for_other_programs() {
    let project = Project::counting();
    project.edit("pipelines/two.toml", "to = 4", "to = 4, fault = \"fail\"");
    project.go("pipelines/two.toml", &[]).code(1);
    let forms = ["--tensorboard", "tb", "--mlflow", "mlruns", "--crate", "crate"];
    let done = project.run(&[&["export", "pipelines/two.toml"][..], &forms].concat());
    done.ok().says("tb: 1 event file\n").says("mlruns: 2 runs\n").says("crate: 2 actions\n");
    let graph = entities(&project, "crate");
    let find = |id: &str| graph.iter().find(|entity| entity["@id"] == id).unwrap_or_else(|| panic!("no {id}"));
    assert_eq!(find("#result-a.sum")["value"], 3.0);
    assert_eq!(find("#param-b.to")["value"], "4");
    assert!(find("#node-b")["error"].as_str().unwrap().contains("7"), "{}", find("#node-b"));
    assert_eq!(find("outputs/a/counted.json")["encodingFormat"], "application/json");
    assert_eq!(project.read("crate/outputs/a/counted.json"), "{\"sum\":3}");
    assert!(project.read("crate/manifest/pipelines/two.toml").contains("fault = \"fail\""));
    assert!(find("./")["license"]["@id"] == "#no-licence");
    // The same once more is the same, and adds nothing.
    let files = || {
        let found =
            Command::new("find").args(["tb", "mlruns", "crate", "-type", "f"]).current_dir(project.path("")).output();
        String::from_utf8(found.unwrap().stdout).unwrap()
    };
    let before = files();
    project.run(&[&["export", "--run", "last"][..], &forms].concat()).ok();
    assert_eq!(files(), before);
    project.run(&["export", "pipelines/two.toml"]).code(2).says("--tensorboard");
    project.run(&["export", "pipelines/two.toml", "--huggingface", "set"]).code(2).says("no node has a synthetic set");
    project.file("in_the_way", "");
    project.run(&["export", "pipelines/two.toml", "--crate", "in_the_way/c"]).code(3);
}

/// The Python that has the programs; it says why there is none.
fn python() -> Result<PathBuf, String> {
    let named = std::env::var_os("DDPIPE_EXPORT_PYTHON").map(PathBuf::from);
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export");
    let python = named.unwrap_or_else(|| tests.join("venv/bin/python"));
    if python.is_file() { Ok(python) } else { Err(format!("there is no {}", python.display())) }
}

/// What a program says of a folder; none where it cannot be loaded.
fn seen(project: &Project, programs: &[(&str, &str)]) -> Vec<Option<Value>> {
    let python = match python() {
        Ok(python) => python,
        Err(why) => {
            eprintln!("skipped: nothing is read back by other programs: {why}; see tests/export/requirements.txt");
            return programs.iter().map(|_| None).collect();
        }
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export/read_back.py");
    let start = |(program, folder): &(&str, &str)| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(program).arg(project.path(folder));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<_> = programs.iter().map(start).collect();
    let ended = started.into_iter().map(|child| child.wait_with_output().unwrap());
    let read = ended.zip(programs).map(|(done, (program, _))| {
        let complaint = String::from_utf8_lossy(&done.stderr);
        if complaint.contains("ModuleNotFoundError") {
            eprintln!("skipped: {program} is not installed: {}", complaint.lines().last().unwrap_or_default());
            return None;
        }
        assert!(done.status.success(), "{program}: {complaint}");
        let said = String::from_utf8_lossy(&done.stdout);
        let seen: Value = serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap();
        eprintln!("read back by {program} ({})", seen["version"]);
        Some(seen)
    });
    read.collect()
}

/// TensorBoard, MLflow, the validator and `datasets` find what ddpipe reports; where they are not there, this says so.
#[test]
fn other_programs_read_it_back() {
    let project = Project::new();
    project.file("pipelines/small.toml", SMALL);
    let ran = project.go("pipelines/small.toml", &[]);
    ran.ok();
    let accuracy = ran.outcome("evaluate[arch=mlp,epochs=3]")["metrics"]["accuracy"].as_f64().unwrap();
    let forms =
        ["--tensorboard=tb", "--mlflow=mlruns", "--crate=crate", "--huggingface=set", "--npz=arrays", "--pictures=png"];
    let chosen = ["--select=start", "--select=soft", "--select=test_set"];
    let done = project.run(&[&["export", "pipelines/small.toml"][..], &forms, &chosen].concat());
    done.ok().says("tb: 10 event files").says("mlruns: 11 runs").says("crate: 10 actions").says("set: 3 sets");
    entities(&project, "crate");
    let table = project.read("png/start/metadata.csv");
    assert!(table.starts_with("file_name,label,class\n000000.png,0,0\n000001.png,0,0\n000002.png,1,1\n"), "{table}");
    assert!(project.read("png/soft/metadata.csv").starts_with("file_name,soft_0,soft_1,"));
    let programs =
        [("tensorboard", "tb"), ("mlflow", "mlruns"), ("crate", "crate"), ("huggingface", "set"), ("files", ".")];
    let mut seen = seen(&project, &programs).into_iter();
    if let Some(board) = seen.next().unwrap() {
        let node = "evaluate-arch=mlp,epochs=3";
        let found = board["scalars"][node]["results/accuracy"][0][1].as_f64().unwrap();
        assert!((found - accuracy).abs() < 1e-6, "{found} {accuracy}");
        assert_eq!(board["scalars"]["teacher"]["loss"].as_array().unwrap().len(), 2, "{}", board["scalars"]["teacher"]);
        assert_eq!(board["images"]["picture"], serde_json::json!(["picture"]));
        assert_eq!(board["settings"]["evaluate[arch=mlp,epochs=3]"]["epochs"], 3.0, "{}", board["settings"]);
    }
    if let Some(store) = seen.next().unwrap() {
        assert_eq!(store["experiments"], serde_json::json!(["ddpipe/small"]));
        let run = &store["runs"]["evaluate[arch=mlp,epochs=3]"];
        assert_eq!(run["metrics"]["results/accuracy"], serde_json::json!([[0, accuracy]]));
        assert_eq!((&run["params"]["epochs"], &run["status"]), (&"3".into(), &"FINISHED".into()));
        assert_eq!(store["runs"].as_object().unwrap().len(), 11);
        assert!(
            store["runs"]["table"]["files"].as_array().unwrap().contains(&"table.json".into()),
            "{}",
            store["runs"]["table"]
        );
    }
    if let Some(validator) = seen.next().unwrap() {
        assert_eq!(validator["issues"], serde_json::json!([]));
    }
    if let Some(sets) = seen.next().unwrap() {
        let (start, soft) = (&sets["sets"]["start"], &sets["sets"]["soft"]);
        assert_eq!((&start["images"], &start["size"]), (&20.into(), &serde_json::json!([28, 28])));
        let labels: Vec<u64> = (0..20).map(|at| at / 2).collect();
        assert_eq!(start["labels"], serde_json::json!(labels));
        assert_eq!(start["first"]["pixels"][0].as_array().unwrap().len(), 28);
        assert_eq!(soft["first"]["soft_label"].as_array().unwrap().len(), 10);
        assert_eq!(sets["sets"]["test_set"]["images"], 40);
        if let Some(files) = seen.next().unwrap() {
            let arrays = &files["arrays"];
            assert_eq!(arrays["start"]["images"], serde_json::json!(["float32", [20, 1, 28, 28]]));
            assert_eq!(arrays["start"]["labels"], serde_json::json!(["int64", [20]]));
            assert_eq!(arrays["soft"]["labels"], serde_json::json!(["float32", [20, 10]]));
            assert_eq!(arrays["test_set"]["images"], serde_json::json!(["uint8", [40, 1, 28, 28]]));
            assert_eq!(arrays["start"]["first"], start["first"]["pixels"], "one set, two forms");
            assert_eq!(files["pictures"], serde_json::json!([[28, 28], "L"]));
            assert!(files["exact"].as_bool().unwrap(), "pictures of a raw set are its bytes");
        }
        assert_eq!(sets["sets"]["test_set"]["features"], serde_json::json!({"image": "Image", "label": "ClassLabel"}));
    }
}
