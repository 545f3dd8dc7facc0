//! Twenty texts that try to be something else, in manifests, names, labels and log lines: they arrive as text in HTML, CSV, Markdown,
//! LaTeX, JUnit and exports, as the parsers of these forms see them, and in names of files as plain letters.

use crate::page::Page;
use crate::project::Project;

/// Texts that try to be markup, scripts, styles, addresses, formulas, paths and controls.
const HOSTILE: [&str; 20] = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "\" onmouseover=\"alert(4)",
    "' autofocus onfocus='alert(5)",
    "</title><h1>taken over</h1>",
    "</style><style>*{display:none}</style>",
    "</svg><svg onload=alert(6)>",
    "<!-- ",
    "---> <b>bold</b>",
    "]]><x>",
    "&lt;b&gt; &amp;#60;",
    "javascript:alert(7)",
    "=HYPERLINK(\"http://example.org\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "../../../etc/passwd",
    "{{ head.name|safe }} {% include \"x\" %}",
    "</pre></details></main>",
    "<a href=http://example.org>here</a>",
    "\u{202e}gnihtemos\u{200b}",
];

/// The one among them that a manifest must not have at all.
const UNSEEN: usize = 19;

/// What is wherever a text can be, in a manifest of its own.
#[test]
fn twenty_hostile_manifests_are_shown_as_text() {
    for (number, text) in HOSTILE.iter().enumerate() {
        let project = Project::counting();
        let quoted = serde_json::to_string(text).unwrap();
        let about = format!("name = \"two\"\nabout = {quoted}\nlicence = {quoted}");
        project.edit("pipelines/two.toml", "name = \"two\"", &about);
        project.edit("pipelines/two.toml", "to = 3", &format!("to = 3, fault = {quoted}"));
        let source =
            format!("\n[sources.s]\npath = \"data\"\nobtain = {quoted}\nlicence = {quoted}\nfiles = {{ f = {{}} }}\n");
        let read = format!(
            "\n[stages.c]\nkind = \"own.count\"\ninputs = {{ file = \"source:s/f\" }}\nmatrix = {{ fault = [{quoted}] }}\n"
        );
        project.file("data/f", "x");
        project.file("pipelines/two.toml", project.read("pipelines/two.toml") + &source + &read);
        let args = ["pipelines/two.toml", "-o", "r.html"];
        if number == UNSEEN {
            project.run(&[&["report"], &args[..]].concat()).code(2).says("is not visible");
            continue;
        }
        project.run(&[&["report"], &args[..]].concat()).ok();
        let page = Page::of(project.read("r.html"));
        page.says("Nothing is on record yet").says(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(page.html.matches("<h1>").count(), 1, "manifest {number}");
        // The crate of a run of nothing has the manifest and its words.
        project.run(&["export", "pipelines/two.toml", "--crate", "crate"]).ok().says("0 actions");
        let crated: serde_json::Value = serde_json::from_str(&project.read("crate/ro-crate-metadata.json")).unwrap();
        let graph = crated["@graph"].as_array().unwrap();
        let root = graph.iter().find(|entity| entity["@id"] == "./").unwrap();
        assert_eq!(root["description"], *text);
        let licence = graph.iter().find(|entity| entity["@id"] == root["license"]["@id"]).unwrap();
        assert_eq!(licence["name"], *text);
    }
}

/// A kind that says its text wherever a program can say something.
const ECHO_STAGE: &str = r#"name = "own.echo"
help = "Says what it is told"
version = 1
command = ["python3", "echo.py"]
[outputs]
seen = { type = "metrics", help = "curves and classes" }
table = { type = "table", help = "the table" }
picture = { type = "image", help = "no picture at all" }
[params]
text = { type = "string", help = "what is said" }
fault = { type = "boolean", default = false, help = "whether it fails" }
[metrics]
accuracy = { help = "how well", unit = "share", better = "higher", headline = true }
"#;

const ECHO_PROGRAM: &str = r#"import json, sys
told = json.load(open("params.json"))
text = told["params"]["text"]
unseen = "\u202egnihtemos\u200b\x07"
print(text, unseen)
if told["params"]["fault"]:
    print(text, file=sys.stderr)
    sys.exit(1)
json.dump({"caption": text, "note": text + unseen, "rows": [text], "columns": [text + unseen], "cells": [[text]], "value": text}, open("outputs/table.json", "w"))
json.dump({"curves": {text + unseen: [[1, 2.0], [2, 3.0]]}, "class_names": [text, unseen], "per_class": [0.5, 1.0], "confusion": [[1, 2], [3, 4]]},
          open("outputs/seen.json", "w"))
open("outputs/picture.svg", "w").write("<svg xmlns='http://www.w3.org/2000/svg'><title>" + text + "</title><script>alert(1)</script></svg>")
json.dump({"metrics": {"accuracy": 0.5}}, open("outputs/metrics.json", "w"))
"#;

/// Reads what a run left, by the parsers of Python's library.
const READER: &str = include_str!("../export/as_text.py");

#[test]
fn what_names_labels_and_log_lines_hold_arrives_as_text() {
    let project = Project::counting();
    project.file("kinds/own/echo/stage.toml", ECHO_STAGE).file("kinds/own/echo/echo.py", ECHO_PROGRAM);
    let texts = serde_json::to_string(&HOSTILE[..UNSEEN]).unwrap();
    let manifest = format!(
        "[pipeline]\nname = \"hostile\"\nkinds = [\"../kinds\"]\n\
         [stages.say]\nkind = \"own.echo\"\nmatrix = {{ text = {texts}, fault = [false] }}\n\
         [stages.fail]\nkind = \"own.echo\"\nmatrix = {{ text = {texts} }}\nparams = {{ fault = true }}\n\
         [stages.table]\nkind = \"report.table\"\nmatrix = {{ caption = {texts} }}\n\
         inputs = {{ results = {{ gather = \"say\" }} }}\nparams = {{ rows = [\"text\"], columns = [\"fault\"] }}\n"
    );
    project.file("texts.json", &texts).file("pipelines/hostile.toml", manifest);
    let reports = ["--keep-going", "--junit", "junit.xml", "--summary", "summary.md", "--report", "r.html"];
    project.go("pipelines/hostile.toml", &reports).code(1);
    let page = Page::of(project.read("r.html"));
    page.says("The run failed: 19 nodes failed");
    page.says("<img src=x onerror=alert(3)>").says("' autofocus onfocus='alert(5)").says("\\u{202e}gnihtemos\\u{200b}");
    assert!(page.html.contains("data:text/csv;base64,"), "curves offer their numbers");
    let exports = ["--crate", "crate", "--mlflow", "mlruns", "--tensorboard", "tb"];
    project.run(&[&["export", "pipelines/hostile.toml"], &exports[..]].concat()).ok();
    let results = project.run(&["results", "--csv"]);
    project.file("results.csv", &results.ok().out);
    let read = project.program("python3", &["-c", READER]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}
