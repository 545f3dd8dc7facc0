//! `ddpipe where`: from a file back to the run, the node, and the command that makes it again.

use crate::project::Project;

const STAGE: &str = r#"name = "own.write"
help = "Writes words"
version = 1
command = ["python3", "write.py"]
[inputs]
raw = { type = ["files"], help = "what is read", optional = true }
[outputs]
words = { type = "files", extension = "txt", help = "the words" }
[params]
text = { type = "string", default = "one", help = "the words" }
"#;

const PROGRAM: &str = r#"import json, os
text = json.load(open("params.json"))["params"]["text"]
for name in sorted(os.listdir("inputs")):
    text += open("inputs/" + name).read()
open("outputs/words.bin", "w").write(text)
"#;

const MANIFEST: &str = r#"[pipeline]
name = "words"
kinds = ["../kinds"]

[sources.raw]
path = "data"
[sources.raw.files."raw.txt"]

[stages.first]
kind = "own.write"
inputs = { raw = "source:raw/raw.txt" }
params = { text = "two" }

[stages.second]
kind = "own.write"
inputs = { raw = "first" }
params = { text = "three" }
"#;

fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/write/stage.toml", STAGE).file("kinds/own/write/write.py", PROGRAM);
    project.file("pipelines/words.toml", MANIFEST).file("data/raw.txt", "raw");
    project
}

#[test]
fn a_result_leads_back_to_its_run_and_its_parameters() {
    let project = project();
    project.run(&["run", "pipelines/words.toml", "--allow-commands"]).ok();
    let file = "results/words/second.txt";
    let found = project.run(&["where", file]);
    found.ok().says("unchanged").says("second, output words").says("words").says("second.text = three");
    found
        .says("first.text = two")
        .says("raw/raw.txt: blake3")
        .says("not in a git repository")
        .says("run pipelines/words.toml");
    let again = found.out.lines().last().unwrap().trim().to_string();
    assert!(again.starts_with("ddpipe run --from-run "), "{again}");
    let words: Vec<&str> = again.split(' ').skip(1).chain(["--allow-commands"]).collect();
    project.run(&words).ok().says("all 2 nodes are on record");
    project.run(&["where", file, "--json"]).ok().says("\"edited\": false").says("\"first.text\": \"two\"");

    project.file(file, "rounded by hand");
    project.run(&["where", file]).ok().says("EDITED").says("since the run").says("second.text = three");
    project.run(&["where", "results/words/none.txt"]).code(2).says("there is no file");
    project.run(&["where", "data/raw.txt"]).code(2).says("is not known").says("--cache");
}

#[test]
fn a_copy_of_an_artifact_is_found_by_its_bytes() {
    let project = project();
    project.run(&["run", "pipelines/words.toml", "--allow-commands"]).ok();
    std::fs::create_dir(project.path("paper")).unwrap();
    std::fs::copy(project.path("results/words/second.txt"), project.path("paper/figure-3")).unwrap();
    project.run(&["where", "paper/figure-3"]).ok().says("found by").says("second, output words").says("--from-run");
    // An intermediate result, by its blob.
    let cache = ddpipe_cache::Cache::open(&project.path(".ddpipe")).unwrap();
    let digest = project.digests("words", &["first"])["first.words"].parse().unwrap();
    let blob = cache.blobs().path(digest).display().to_string();
    project.run(&["where", &blob]).ok().says("first, output words");
}

#[test]
fn a_result_whose_run_is_gone_still_says_how_it_was_called() {
    let project = project();
    project.run(&["run", "pipelines/words.toml", "--allow-commands", "--set", "stages.second.params.text=a b"]).ok();
    project.run(&["runs", "rm", "last"]).ok();
    let found = project.run(&["where", "results/words/second.txt"]);
    found
        .ok()
        .says("its folder is no longer in")
        .says("ddpipe run pipelines/words.toml --set 'stages.second.params.text=");
    std::fs::remove_dir_all(project.path(".ddpipe")).unwrap();
    project.run(&["where", "results/words/second.txt"]).code(3).says("no cache");
}
