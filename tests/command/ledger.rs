//! Published figures in manifests, and what is on record beside them.

use crate::project::Project;
use serde_json::Value;

const STAGE: &str = r#"name = "own.score"
help = "Scores"
version = 1
seeded = true
command = ["python3", "score.py"]
[inputs]
before = { type = ["metrics"], help = "what it learns from", optional = true }
[outputs]
scores = { type = "metrics", help = "the scores" }
[params]
base = { type = "float", default = 0.9, help = "the mean" }
students = { type = "integer", default = 4, help = "how many networks" }
epochs = { type = "integer", default = 10, help = "how long" }
method = { type = "string", default = "dc", help = "an axis" }
[params.protocol]
type = "choice"
optional = true
choices = ["dc", "dm"]
help = "how"
[params.protocol.sets.dc]
epochs = { value = 10, source = "s" }
[params.protocol.sets.dm]
epochs = { value = 20, source = "s" }
[metrics.accuracy]
help = "a"
unit = "share"
better = "higher"
spread = { deviation = "accuracy_std", over = "students" }
[metrics.accuracy_std]
help = "s"
unit = "share"
better = "lower"
"#;

const PROGRAM: &str = r#"import json
told = json.load(open("params.json"))
score = round(told["params"]["base"] + 0.001 * told["seed"], 6)
json.dump({"score": score}, open("outputs/scores.json", "w"))
json.dump({"metrics": {"accuracy": score, "accuracy_std": 0.002}}, open("outputs/metrics.json", "w"))
"#;

const MANIFEST: &str = r#"include = ["../published/paper.toml"]

[pipeline]
name = "paper"
kinds = ["../kinds"]

[stages.distill]
kind = "own.score"
matrix = { method = ["dc", "dm", "new"], seed = [0, 1, 2] }
params = { epochs = 100 }

[stages.evaluate]
kind = "own.score"
inputs = { before = "distill" }

[stages.evaluate.params]
base = { method = { dm = 0.8, else = 0.9 } }

[[expect]]
metric          = "evaluate[method=dc].accuracy"
mean            = true
under_published = 0.01

[profiles.small.stages.distill]
params = { epochs = 5 }

[profiles.small.stages.distill.matrix]
method = ["dc", "dm"]
seed   = [0]
"#;

const FIGURES: &str = r#"[[published]]
metric = "evaluate[method=dc].accuracy"
value  = 0.905
std    = 0.002
source = "a paper, Table 1"
sure   = "read"

[[published]]
metric = "evaluate[method=dm].accuracy"
value  = 0.95
source = "another paper | Table 2"
sure   = "remembered"

[[published]]
metric = "evaluate[method=new].accuracy"
source = "nobody | <b>yet</b>"
sure   = "none"
"#;

const PAPER: &str = "pipelines/paper.toml";

fn project() -> Project {
    let project = Project::new();
    project.file("kinds/own/score/stage.toml", STAGE).file("kinds/own/score/score.py", PROGRAM);
    project.file(PAPER, MANIFEST).file("published/paper.toml", FIGURES);
    project
}

/// The rows of a ledger.
fn rows(project: &Project, more: &[&str]) -> Vec<Value> {
    let done = project.run(&[&["ledger", PAPER, "--format", "json"], more].concat());
    done.ok();
    let ledger: Value = serde_json::from_str(&done.out).unwrap();
    ledger["rows"].as_array().unwrap().clone()
}

fn verdicts(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect()
}

#[test]
fn figures_of_an_included_file_are_checked_against_the_manifest_as_written() {
    let project = project();
    project.run(&["check", PAPER, "--all-profiles"]).ok();
    // The profile leaves out `new`; a cell that there is not is found with the profile too, in the file that states it.
    project.edit("published/paper.toml", "method=new", "method=old");
    for more in [&[][..], &["--profile", "small"]] {
        let wrong = project.run(&[&["check", PAPER], more].concat());
        wrong.code(2).says("published/paper.toml:15:10: axis \"method\" has no value \"old\"");
    }
    project.edit("published/paper.toml", "method=old", "method=new");
    project.edit("published/paper.toml", "method=dm", "methd=dm");
    project.run(&["check", PAPER]).code(2).says("has no axis \"methd\"; did you mean \"method\"?");
    project.edit("published/paper.toml", "methd=dm", "method=dm");
    project.edit("published/paper.toml", "evaluate[method=dm]", "evaluate");
    project.run(&["check", PAPER]).code(2).says("names 3 cells, which differ in method").says("evaluate[method=…]");
    project.edit("published/paper.toml", "evaluate.", "evaluate[method=dm].");
    project.edit("published/paper.toml", "0.95", "95");
    project.run(&["check", PAPER]).code(2).says("95 is not").says("95 % is 0.95");
    project.edit("published/paper.toml", "value  = 95\n", "");
    project.run(&["check", PAPER]).code(2).says("the figure needs a value");
    project.run(&["check", PAPER, "--set", "published.x=1"]).code(2).says("cannot be overridden");
}

#[test]
fn an_expectation_takes_its_bound_from_the_figure() {
    let project = project();
    let done = project.go(PAPER, &["--check", "--select", "evaluate[method=dc]"]);
    done.ok();
    let events = done.events();
    let expected = events.iter().find(|event| event["event"] == "expectation").unwrap();
    assert_eq!((&expected["at_least"], &expected["verdict"]), (&0.895.into(), &"met".into()), "{expected}");
    project.edit("published/paper.toml", "0.905", "0.985");
    project.go(PAPER, &["--check", "--select", "evaluate[method=dc]"]).code(4);
    project.edit(PAPER, "evaluate[method=dc].accuracy", "evaluate[method=new].accuracy");
    project.run(&["check", PAPER]).code(2).says("no figure with a value is published for exactly these nodes");
}

#[test]
fn the_ledger_sets_what_was_measured_beside_the_figures() {
    let project = project();
    let none = rows(&project, &[]);
    assert_eq!(verdicts(&none), ["not_run"; 3]);
    project.go(PAPER, &[]).ok();
    let rows_now = rows(&project, &[]);
    assert_eq!(verdicts(&rows_now), ["reproduced", "not_reproduced", "nothing_published"]);
    let dc = &rows_now[0];
    let measured = &dc["measured"];
    assert_eq!((&measured["n"], &measured["over"]), (&3.into(), &"seed".into()));
    assert!((measured["mean"].as_f64().unwrap() - 0.901).abs() < 1e-9);
    let keys: Vec<&str> =
        measured["records"].as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert!(keys.len() == 3 && keys.iter().all(|key| key.len() == 64), "{keys:?}");
    // Three values with a deviation of 0.001: t(0.975, 2) is 4.302653, so that half the interval is 0.002484.
    let ends: Vec<f64> =
        dc["difference"]["interval"].as_array().unwrap().iter().map(|end| end.as_f64().unwrap()).collect();
    assert!((ends[0] + 0.006_484).abs() < 1e-6 && (ends[1] + 0.001_516).abs() < 1e-6, "{ends:?}");
    let text = project.run(&["ledger", PAPER]);
    text.ok().says("90.5 ± 0.2").says("90.10 ± 0.10").says("3 seeds").says("-0.40 [-0.65, -0.15]");
    text.says("95.0 (remembered)").says("none").says("1 reproduced, 1 not reproduced, 1 nothing published");
    text.says("measured by ddpipe run pipelines/paper.toml");
    // A margin of one's own, a figure's own, and a part.
    assert_eq!(
        verdicts(&rows(&project, &["--margin", "0.001", "--select", "evaluate[method=dc]"])),
        ["not_reproduced"]
    );
    project.edit("published/paper.toml", "sure   = \"read\"\n", "sure   = \"read\"\nwithin = 0.003\n");
    assert_eq!(verdicts(&rows(&project, &["--margin", "0.1"]))[..2], ["cannot_say", "not_reproduced"]);
    // A part of the nodes, and a single value.
    project.edit(PAPER, "seed = [0, 1, 2]", "seed = [0, 1, 2, 3]");
    let part = rows(&project, &["--select", "evaluate[method=dc]"]);
    assert_eq!(part[0]["notes"][0], "3 of 4 nodes are on record");
    let sets = ["--set", "stages.evaluate.params.students=1", "--set", "stages.distill.matrix.seed=[5]"];
    project.go(PAPER, &sets).ok();
    let single = rows(&project, &sets);
    assert_eq!((&single[0]["verdict"], &single[0]["measured"]["n"]), (&"cannot_say".into(), &1.into()));
    assert_eq!(single[0]["why"], "a single value has no interval");
    project.run(&["ledger", PAPER, "--margin=-1"]).code(2).says("a margin is a number from 0");
}

#[test]
fn what_was_made_in_another_way_is_never_reproduced() {
    let project = project();
    project.go(PAPER, &["--profile", "small"]).ok();
    let small = rows(&project, &["--profile", "small"]);
    assert_eq!(verdicts(&small), ["other_protocol"; 2]);
    assert_eq!(small[0]["why"], "distill.epochs is 5 instead of 100");
    assert_eq!((&small[0]["measured"]["n"], &small[0]["measured"]["over"]), (&4.into(), &"students".into()));
    assert!(small[0]["difference"]["interval"].is_array());
    // Fewer students and other seeds measure the same, with another certainty.
    let sets = ["--set", "stages.evaluate.params.students=2", "--set", "stages.distill.matrix.seed=[7, 8]"];
    project.go(PAPER, &sets).ok();
    assert!(verdicts(&rows(&project, &sets)).iter().all(|verdict| *verdict != "other_protocol"));
    project.edit("published/paper.toml", "sure   = \"read\"\n", "sure   = \"read\"\nprotocol = \"dk\"\n");
    project.run(&["check", PAPER]).code(2).says("own.score has no protocol \"dk\"; did you mean").says("dc, dm");
    project.edit("published/paper.toml", "protocol = \"dk\"\n", "");
    // Names of protocols, and deviations that the manifest itself has.
    project.edit("published/paper.toml", "sure   = \"read\"\n", "sure   = \"read\"\nprotocol = \"dc\"\n");
    project.edit(
        "published/paper.toml",
        "sure   = \"remembered\"\n",
        "sure   = \"remembered\"\ndiffers = \"by the norm\"\n",
    );
    project.edit(PAPER, "[stages.evaluate.params]\n", "[stages.evaluate.params]\nprotocol = \"dm\"\n");
    project.go(PAPER, &[]).ok();
    let named = rows(&project, &[]);
    assert_eq!(verdicts(&named), ["other_protocol", "other_protocol", "nothing_published"]);
    assert!(named[0]["why"].as_str().unwrap().contains("\"dm\"") && named[1]["why"] == "by the norm", "{named:?}");
}

#[test]
fn a_ledger_is_kept_shown_again_and_put_into_a_page() {
    let project = project();
    project.go(PAPER, &[]).ok();
    project.run(&["ledger", PAPER, "--out", "kept.json"]).ok().says("kept.json");
    std::fs::remove_dir_all(project.path(".ddpipe")).unwrap();
    let markdown = project.run(&["ledger", "--from", "kept.json", "--format", "markdown"]);
    markdown.ok().says("| dc | 90.5 ± 0.2 \\[1\\] | 90.10 ± 0.10 | 3 seeds |").says("2. another paper \\| Table 2");
    markdown.says("nobody \\| &lt;b&gt;yet&lt;/b&gt;").is_silent_about("<b>");
    let csv = project.run(&["ledger", "--from", "kept.json", "--format", "csv"]);
    csv.ok()
        .says("cell,stage,method,metric,unit,published,")
        .says("evaluate[method=dc],evaluate,dc,accuracy,share,0.905,0.002,,read,");
    let page = "# Results\n\n<!-- ddpipe ledger --from kept.json -->\nold\n<!-- end of ledger -->\n\nmore\n";
    project.file("page.md", page);
    project.run(&["ledger", "--update", "page.md", "--check"]).code(1).says("ddpipe ledger --update page.md");
    project.run(&["ledger", "--update", "page.md"]).ok().says("written");
    let made = project.read("page.md");
    assert!(
        made.contains("--from kept.json -->\n| method |") && made.ends_with("<!-- end of ledger -->\n\nmore\n"),
        "{made}"
    );
    project.run(&["ledger", "--update", "page.md", "--check"]).ok().says("as it is");
    project.edit("page.md", "--from kept.json", "--from gone.json");
    project.run(&["ledger", "--update", "page.md"]).code(2).says("page.md: line 3: could not read gone.json");
    project.edit("page.md", "--from gone.json", "--update page.md");
    project.run(&["ledger", "--update", "page.md"]).code(2).says("states a ledger");
    project.file("kept.json", "{}");
    project.run(&["ledger", "--from", "kept.json"]).code(2).says("kept.json is no ledger");
    project.run(&["ledger"]).code(2).says("<MANIFEST>");
    project.edit(PAPER, "include = [\"../published/paper.toml\"]\n", "");
    project.edit(PAPER, "under_published = 0.01", "at_least = 0.5");
    project.run(&["ledger", PAPER]).code(2).says("[[published]]");
}

#[test]
fn a_table_has_the_figures_of_what_it_shows_below_it() {
    let project = project();
    let table = "[stages.table]\nkind = \"report.table\"\ninputs = { results = { gather = \"evaluate\", over = [\"seed\"] } }\n\
        params = { rows = [\"method\"] }\n\n[[expect]]";
    project.edit(PAPER, "[[expect]]", table);
    let run = project.run(&["run", PAPER, "--allow-commands", "--summary", "summary.md"]);
    run.ok().says("published for the same cells").says("95.0 (remembered)");
    assert!(project.read("summary.md").contains("| dc | 90.5 ± 0.2 |"));
    // What the stage wrote stays what it wrote.
    assert!(!project.read("results/paper/table.md").contains("published"));
    let printed = project.run(&["table", PAPER, "--format", "markdown"]);
    printed.ok().says("| dm | 95.0 (remembered) |").is_silent_about("none");
    project.run(&["table", PAPER, "--value", "accuracy_std"]).ok().is_silent_about("published");
    project.run(&["table", PAPER, "--format", "csv"]).ok().is_silent_about("published");
}
