//! The main job at toy size on real MNIST, wherever a copy lies: `$DDPIPE_DATA/mnist`, else `data/mnist`.

use crate::project::Project;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;

const MANIFEST: &str = r#"
[pipeline]
name = "mnist"
[vars]
data = "data"
[sources.mnist]
path = "${data}/mnist"
[sources.mnist.files]
"train-images-idx3-ubyte.gz" = { md5 = "f68b3c2dcbeaaa9fbdd348bbdeb94873" }
"train-labels-idx1-ubyte.gz" = { md5 = "d53e105ee54ea40749a09fcbcd1e9432" }
"t10k-images-idx3-ubyte.gz" = { md5 = "9fb629c4189551a2d022fa330f9573f3" }
"t10k-labels-idx1-ubyte.gz" = { md5 = "ec29112dd5afa0611ce80d1b7f02629c" }
[stages.train_set]
kind = "decode.idx"
inputs = { images = "source:mnist/train-images-idx3-ubyte.gz", labels = "source:mnist/train-labels-idx1-ubyte.gz" }
[stages.test_set]
kind = "decode.idx"
inputs = { images = "source:mnist/t10k-images-idx3-ubyte.gz", labels = "source:mnist/t10k-labels-idx1-ubyte.gz", normalisation = "train_set" }
[stages.start]
kind = "init.synthetic"
inputs = { real = "train_set" }
params = { ipc = 10 }
[stages.distill]
kind = "distill.dm"
inputs = { real = "train_set", start = "start" }
params = { networks = 60, width = 16, batch_real = 32, lr_img = 10.0, augment = "none" }
[stages.untouched]
kind = "evaluate.classifier"
inputs = { synthetic = "start", test = "test_set" }
params = { arch = "mlp", students = 2, epochs = 150 }
[stages.condensed]
kind = "evaluate.classifier"
inputs = { synthetic = "distill", test = "test_set" }
params = { arch = "mlp", students = 2, epochs = 150 }
"#;

/// The folder with MNIST's four files, or nothing, with the reason said.
fn data() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("DDPIPE_DATA").map_or_else(|| root.join("data"), |data| root.join(data));
    if folder.join("mnist/train-images-idx3-ubyte.gz").is_file() {
        return Some(folder);
    }
    let folder = folder.join("mnist");
    // Written past the test runner, which keeps what passing tests print to itself.
    let reason = format!("skipped: no MNIST at {}; name a folder that holds mnist/ in DDPIPE_DATA\n", folder.display());
    let _ = std::io::stderr().write_all(reason.as_bytes());
    None
}

fn metric(outcome: &Value, name: &str) -> f64 {
    outcome["metrics"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {outcome}"))
}

#[test]
fn real_mnist_is_decoded_distilled_and_evaluated() {
    let Some(data) = data() else { return };
    let project = Project::new();
    project.file("pipelines/mnist.toml", MANIFEST);
    let data = format!("vars.data={}", data.display());
    let more = ["--set", data.as_str(), "--set", "sources.mnist.verify=false"];
    let done = project.go("pipelines/mnist.toml", &more);
    done.ok();

    let train = done.outcome("train_set");
    assert_eq!(metric(&train, "images"), 60_000.0);
    assert!((metric(&train, "mean") - 0.1307).abs() < 1e-4, "{train}");
    assert!((metric(&train, "std") - 0.3081).abs() < 1e-4, "{train}");
    assert_eq!(metric(&done.outcome("test_set"), "images"), 10_000.0);

    let distilled = done.outcome("distill");
    assert!(metric(&distilled, "loss_last") < metric(&distilled, "loss_first"), "{distilled}");
    let (before, after) = (done.outcome("untouched"), done.outcome("condensed"));
    assert!(metric(&after, "accuracy") > metric(&before, "accuracy") + 0.01, "{before}\n{after}");

    project.go("pipelines/mnist.toml", &more).ok().ran(&[]);
}
