//! The worker driven from outside, over its socket, as the engine does it.
use crate::fixture::{PROGRAM, Worker, wait_until_gone};
use ddpipe_cache::Digest;
use ddpipe_interface::protocol::*;
use ddpipe_interface::{ArtifactType, Declaration, Value};
use ddpipe_stages::artifact::{Dataset, Normalisation, TensorFile};
use ddpipe_stages::registry;
use ddpipe_stages::tch::{Device, Kind, Tensor};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::process::Command as Process;

fn model(value: f32) -> Vec<u8> {
    let file = TensorFile::new(ArtifactType::Model, json!({ "network": "mlp" }));
    file.with("weight", Tensor::from_slice(&[value, 2.0])).to_bytes().unwrap()
}

fn pid(worker: &Worker) -> Pid {
    Pid::from_raw(worker.process.id() as i32)
}

/// A script that notes its own and a grandchild's process, says so, and sleeps.
fn sleeper(worker: &mut Worker) -> Job {
    let folder = worker.folder.path().display().to_string();
    worker.shell(&format!("sleep 1000 & echo $! > {folder}/grandchild; echo $$ > {folder}/child; echo asleep; wait"))
}

fn assert_no_child_is_left(worker: &Worker) {
    for name in ["child", "grandchild"] {
        wait_until_gone(&worker.note(name));
    }
}

#[test]
fn it_says_hello_with_the_protocol_and_libtorch() {
    let mut worker = Worker::start();
    let FromWorker::Hello { protocol, pid, ref device, ref libtorch, .. } = worker.hello else { panic!() };
    assert_eq!((protocol, device.as_str()), (PROTOCOL_VERSION, "cpu"));
    assert_eq!(pid, worker.process.id());
    assert!(libtorch.starts_with("2."), "{libtorch}");
    worker.send(&ToWorker::Shutdown);
    assert!(worker.process.wait().unwrap().success());
}

#[test]
fn a_program_gets_its_inputs_and_its_outputs_are_stored() {
    let mut worker = Worker::start();
    let mut job = worker.shell(
        "cp inputs/start.safetensors outputs/model.safetensors; echo hello; echo 'progress 3/10 loss 0.5'\n\
         cp params.json inputs.json \"$DDPIPE_DIR/..\"; echo '{\"metrics\": {\"accuracy\": 0.5}}' > outputs/metrics.json",
    );
    let bytes = model(1.0);
    let mut input = worker.blob(ArtifactType::Model, &bytes);
    input.labels.insert("seed".into(), Value::Integer(3));
    job.inputs.insert("start".into(), vec![input]);
    job.params.insert("rate".into(), Value::Float(1.0));
    job.outputs.insert("model".into(), ArtifactType::Model);
    let ended = worker.run(&job);

    let described =
        OutputArtifact { digest: Digest::of(&bytes), bytes: bytes.len() as u64, artifact: ArtifactType::Model };
    assert_eq!(ended.outputs()["model"], described);
    assert_eq!(ended.logged(), ["hello"]);
    let progress = ended.said.iter().find_map(|message| match message {
        FromWorker::Progress { step, total, loss, .. } => Some((*step, *total, *loss)),
        _ => None,
    });
    assert_eq!(progress, Some((3, 10, Some(0.5))));
    let FromWorker::Done { metrics, peak_memory, .. } = &ended.last else { panic!() };
    assert_eq!(metrics["accuracy"], 0.5);
    // The worker's first program: the kernel's maximum over all of them is its own.
    assert_eq!(Some(metrics["peak_memory_bytes"]), peak_memory.map(|bytes| bytes as f64));
    let read = |name| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(job.scratch.join(name)).unwrap()).unwrap()
    };
    assert_eq!(read("params.json"), json!({ "params": { "rate": 1.0 }, "seed": 7, "device": "cpu" }));
    assert_eq!(read("inputs.json")["start"][0]["file"], "inputs/start.safetensors");
    assert_eq!(read("inputs.json")["start"][0]["labels"], json!({ "seed": 3 }));
    assert!(!job.scratch.join("command").exists(), "the program's folder was left behind");
}

#[test]
fn outputs_reach_the_cache_and_the_next_job_need_not_wait_for_that() {
    let mut worker = Worker::start();
    let mut first = worker.shell("echo '{\"rows\": []}' > outputs/table.json");
    first.outputs.insert("table".into(), ArtifactType::Table);
    worker.send(&ToWorker::Run(Box::new(first.clone())));
    let ended = worker.until_ended(first.id);
    let digest = ended.outputs()["table"].digest;

    let mut second = worker.shell("cp inputs/table.0.json outputs/copy.bin; cat inputs/table.1.json");
    let input = worker.input(ArtifactType::Table, digest);
    second.inputs.insert("table".into(), vec![input.clone(), input]);
    second.outputs.insert("copy".into(), ArtifactType::Files);
    let ended = worker.run(&second);
    assert_eq!(ended.outputs()["copy"].digest, digest);
    assert_eq!(ended.logged(), [r#"{"rows":[]}"#]);
    worker.send(&ToWorker::Shutdown);
    assert!(worker.process.wait().unwrap().success());
    assert_eq!(worker.cache.blobs().read_verified(digest).unwrap(), br#"{"rows":[]}"#);
}

#[test]
fn stored_follows_done() {
    let mut worker = Worker::start();
    let mut job = worker.shell("printf abc > outputs/text.bin");
    job.outputs.insert("text".into(), ArtifactType::Files);
    assert_eq!(worker.run(&job).outputs()["text"].digest, Digest::of(b"abc"));
    assert!(matches!(worker.receive(), FromWorker::Stored { id } if id == job.id));
    assert_eq!(worker.cache.blobs().read_verified(Digest::of(b"abc")).unwrap(), b"abc");
}

#[test]
fn outputs_that_cannot_be_written_fail_after_done() {
    let mut worker = Worker::start();
    let blobs = worker.path("cache/blobs-v1");
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::write(&blobs, "in the way").unwrap();
    let mut job = worker.shell("printf abc > outputs/text.bin");
    job.outputs.insert("text".into(), ArtifactType::Files);
    worker.run(&job).outputs();
    let FromWorker::Failed { id, cause: Cause::Store, message, .. } = worker.receive() else { panic!() };
    assert_eq!(id, job.id);
    assert!(message.contains("blobs-v1"), "{message}");
}

/// What Python's `safetensors.torch.save_file` writes has no header of ddpipe's.
#[test]
fn tensors_from_python_get_a_header() {
    const SCRIPT: &str = r#"
import json, os, struct
def save(path, metadata):
    header = json.dumps({"__metadata__": metadata, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1.5, -2.0))
save("outputs/plain.safetensors", {"network": json.dumps({"name": "mlp"}), "note": "by hand"})
save("outputs/described.safetensors", {})
json.dump({"network": "lenet"}, open("outputs/described.json", "w"))
"#;
    let mut worker = Worker::start();
    let mut job = worker.script("make.py", SCRIPT, &["python3", "make.py"]);
    job.outputs.insert("plain".into(), ArtifactType::Model);
    job.outputs.insert("described".into(), ArtifactType::Model);
    let ended = worker.run(&job);
    let digests: Vec<Digest> = ended.outputs().values().map(|output| output.digest).collect();
    worker.send(&ToWorker::Shutdown);
    worker.process.wait().unwrap();
    let read =
        |digest| TensorFile::from_bytes(&worker.cache.blobs().read_verified(digest).unwrap(), Device::Cpu).unwrap();
    let (plain, described) = (read(digests[0]), read(digests[1]));
    assert_eq!(plain.about, json!({ "network": { "name": "mlp" }, "note": "by hand" }));
    assert_eq!(described.about, json!({ "network": "lenet" }));
    assert_eq!(Vec::<f32>::try_from(plain.get("w").unwrap()).unwrap(), [1.5, -2.0]);
}

#[test]
fn a_failing_program_is_told_with_its_status_and_last_words() {
    let mut worker = Worker::start();
    let job = worker.shell("echo first >&2; echo 'rate must be above 0' >&2; exit 3");
    let ended = worker.run(&job);
    let (cause, message) = ended.failure();
    assert_eq!(cause, Cause::Error);
    assert!(message.starts_with("own.kind: "), "{message}");
    assert!(message.ends_with("run.sh exited with status 3: rate must be above 0"), "{message}");
    assert_eq!(ended.logged(), ["first", "rate must be above 0"]);

    let job = worker.shell("kill -SEGV $$");
    assert!(worker.run(&job).failure().1.contains("was killed by SIGSEGV"));
    let job = worker.script("x", "", &["no-such-program"]);
    assert!(worker.run(&job).failure().1.contains("no-such-program: not found in PATH"));
}

#[test]
fn wrong_missing_and_extra_outputs_are_clear_failures() {
    let mut worker = Worker::start();
    let copy = "cp inputs/start.safetensors outputs/made.safetensors";
    let cases = [
        (copy, ArtifactType::Dataset, "outputs/made.safetensors: is a model, but its kind declares a dataset"),
        ("true", ArtifactType::Model, "did not write outputs/made.safetensors (model); it wrote nothing"),
        ("touch outputs/a.png", ArtifactType::Image, "did not write outputs/made.png or .svg (image); it wrote a.png"),
        ("cp inputs/* outputs; touch outputs/made.bin", ArtifactType::Files, "outputs/start.safetensors belongs to no"),
        ("echo hello > outputs/made.safetensors", ArtifactType::Scores, "not a safetensors file"),
        ("echo '{' > outputs/made.json", ArtifactType::Metrics, "outputs/made.json: EOF"),
    ];
    for (script, artifact, expected) in cases {
        let mut job = worker.shell(script);
        job.inputs.insert("start".into(), vec![worker.blob(ArtifactType::Model, &model(1.0))]);
        job.outputs.insert("made".into(), artifact);
        let ended = worker.run(&job);
        let (cause, message) = ended.failure();
        assert_eq!(cause, Cause::Error);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn an_unknown_kind_is_a_clear_failure_and_the_worker_goes_on() {
    let mut worker = Worker::start();
    let job = worker.job("distill.nothing");
    let ended = worker.run(&job);
    let (cause, message) = ended.failure();
    assert_eq!(cause, Cause::Error);
    assert!(message.contains("\"distill.nothing\" is not built into this ddpipe-worker"), "{message}");
    let job = worker.shell("true");
    assert!(worker.run(&job).outputs().is_empty());
}

#[test]
fn damaged_lost_and_changed_inputs_are_recognised() {
    let mut worker = Worker::start();
    let damaged = worker.blob(ArtifactType::Model, &model(1.0));
    let lost = worker.blob(ArtifactType::Model, &model(2.0));
    let mut changed = worker.blob(ArtifactType::Files, b"before");
    (changed.source, changed.path) = (true, worker.path("a.gz"));
    for path in [&damaged.path, &lost.path] {
        std::fs::remove_file(path).unwrap();
    }
    std::fs::write(&damaged.path, model(3.0)).unwrap();
    std::fs::write(&changed.path, "after").unwrap();
    for (input, expected) in [(damaged, "was damaged"), (lost, "not in the cache"), (changed, "a.gz: it has changed")] {
        let mut job = worker.shell("true");
        job.inputs.insert("start".into(), vec![input]);
        let ended = worker.run(&job);
        let (cause, message) = ended.failure();
        assert_eq!(cause, Cause::DamagedInput, "{message}");
        assert!(message.contains("input earlier.out") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_cancelled_program_ends_with_all_that_it_started() {
    let mut worker = Worker::start();
    let job = sleeper(&mut worker);
    worker.start_until(&job, "asleep");
    worker.send(&ToWorker::Cancel { id: job.id });
    let ended = worker.until_ended(job.id);
    assert_eq!(ended.failure().0, Cause::Interrupted);
    assert!(ended.failure().1.contains("left no checkpoint"), "{:?}", ended.last);
    assert_no_child_is_left(&worker);
    let job = worker.shell("true");
    assert!(worker.run(&job).outputs().is_empty(), "another job runs as ever");
}

#[test]
fn what_a_program_leaves_running_ends_with_it() {
    let mut worker = Worker::start();
    let folder = worker.folder.path().display().to_string();
    let job = worker.shell(&format!("sleep 1000 & echo $! > {folder}/grandchild"));
    worker.run(&job).outputs();
    wait_until_gone(&worker.note("grandchild"));
}

#[test]
fn the_end_of_the_engine_ends_program_and_worker() {
    let mut worker = Worker::start();
    let job = sleeper(&mut worker);
    worker.start_until(&job, "asleep");
    worker.stream.shutdown(std::net::Shutdown::Both).unwrap();
    assert!(worker.process.wait().unwrap().success());
    assert_no_child_is_left(&worker);
}

#[test]
fn a_program_does_not_outlive_a_killed_worker() {
    let mut worker = Worker::start();
    let folder = worker.folder.path().display().to_string();
    let job = worker.shell(&format!("echo $$ > {folder}/child; echo asleep; exec sleep 1000"));
    worker.start_until(&job, "asleep");
    worker.process.kill().unwrap();
    worker.process.wait().unwrap();
    wait_until_gone(&worker.note("child"));
}

#[test]
fn the_terminals_ctrl_c_is_for_the_engine_and_sigterm_for_the_worker() {
    let mut worker = Worker::start();
    let job = sleeper(&mut worker);
    worker.start_until(&job, "asleep");
    kill(pid(&worker), Signal::SIGINT).unwrap();
    worker.send(&ToWorker::Cancel { id: JobId(999) });
    kill(pid(&worker), Signal::SIGTERM).unwrap();
    assert_eq!(worker.until_ended(job.id).failure().0, Cause::Interrupted);
    assert!(worker.process.wait().unwrap().success());
    assert_no_child_is_left(&worker);
}

/// A job of `train.classifier` with its declared defaults, but a small network and these epochs.
fn training(worker: &mut Worker, epochs: i64, data: &InputArtifact) -> Job {
    let mut job = worker.job("train.classifier");
    let declaration = Declaration::parse(registry::find(&job.kind).unwrap().declaration).unwrap();
    let defaults = declaration.params.into_iter().filter_map(|(name, param)| Some((name, param.default?)));
    job.params = defaults.collect();
    job.params.insert("arch".into(), Value::String("mlp".into()));
    job.params.insert("epochs".into(), Value::Integer(epochs));
    job.inputs.insert("train".into(), vec![data.clone()]);
    job.outputs = declaration.outputs.into_iter().map(|(name, output)| (name, output.artifact)).collect();
    job
}

#[test]
fn a_built_in_stage_runs_and_a_cancelled_one_continues_to_the_same_bytes() {
    let mut worker = Worker::start();
    let normalisation = Normalisation::new(vec![0.5], vec![0.5]);
    let images = Tensor::arange(64 * 28 * 28, (Kind::Int64, Device::Cpu)).remainder(251).to_kind(Kind::Uint8);
    let images = images.view([64, 1, 28, 28]);
    let labels = Tensor::arange(64, (Kind::Int64, Device::Cpu)).remainder(10);
    let origin = "sample data".to_string();
    let data = Dataset {
        images,
        labels,
        agreement: None,
        classes: 10,
        normalisation,
        scale: 255.0,
        origin,
        class_names: Vec::new(),
    };
    let data = worker.blob(ArtifactType::Dataset, &data.to_file().to_bytes().unwrap());

    let whole = training(&mut worker, 400, &data);
    let ended = worker.run(&whole);
    let FromWorker::Done { metrics, peak_memory, .. } = &ended.last else { panic!() };
    assert_eq!(metrics.get("peak_memory_bytes").copied(), peak_memory.map(|bytes| bytes as f64));
    assert_eq!(peak_memory.is_some(), std::fs::write("/proc/self/clear_refs", "5").is_ok());
    assert!(!metrics.contains_key("peak_device_memory_bytes"), "{metrics:?}");
    let expected = ended.outputs().clone();
    assert_eq!(expected.keys().collect::<Vec<_>>(), ["model", "metrics"]);

    let mut cut = training(&mut worker, 400, &data);
    worker.send(&ToWorker::Run(Box::new(cut.clone())));
    while !matches!(worker.receive(), FromWorker::Progress { .. }) {}
    worker.send(&ToWorker::Cancel { id: cut.id });
    let ended = worker.until_ended(cut.id);
    assert_eq!(
        ended.failure(),
        (Cause::Interrupted, "interrupted; its checkpoint is saved, and the next run continues from it")
    );

    cut.id = JobId(1000);
    let ended = worker.run(&cut);
    assert!(ended.logged().iter().any(|line| line.starts_with("continues after step")), "{:?}", ended.logged());
    assert_eq!(ended.outputs(), &expected);
}

#[test]
fn an_idle_worker_ends_on_sigterm() {
    let mut worker = Worker::start();
    kill(pid(&worker), Signal::SIGTERM).unwrap();
    assert!(worker.process.wait().unwrap().success());
}

#[test]
fn the_probe_answers_on_any_machine_and_a_missing_gpu_is_told_plainly() {
    let probe = Process::new(PROGRAM).arg("--probe").output().unwrap();
    assert!(probe.status.success(), "{}", String::from_utf8_lossy(&probe.stderr));
    let line: serde_json::Value = serde_json::from_slice(&probe.stdout).unwrap();
    assert!(line["libtorch"].as_str().unwrap().starts_with("2."), "{line}");
    assert!(line["libtorch_path"].as_str().unwrap().starts_with('/'), "{line}");
    assert_ne!(line["cpu_capability"], "unknown");

    let folder = tempfile::tempdir().unwrap();
    let mut worker = Process::new(PROGRAM);
    worker.arg("--socket").arg(folder.path().join("none")).arg("--cache").arg(folder.path());
    let output = worker.args(["--device", "cuda:99"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    let expected = match line["cuda"]["driver_error"].as_str() {
        Some(error) if error.contains("sees no device") => "cuda:99: there is no such device: no CUDA device found",
        Some(error) => error,
        None => "cuda:99: there is no such device: ",
    };
    assert!(text.contains(expected), "{text}");
}
