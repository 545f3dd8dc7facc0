//! What loading a manifest gives beyond the list of its nodes, and that no text makes it panic.

#![allow(clippy::unwrap_used)]

mod manifest_support;

use ddpipe::diagnostic::Report;
use ddpipe::pipeline::Pipeline;
use ddpipe::selector::Selector;
use ddpipe::{Overrides, load};
use ddpipe_interface::Value;
use manifest_support::{catalog, manifests, overrides};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

fn good(name: &str) -> Pipeline {
    let path = Path::new("tests/manifests/good").join(name);
    load(&path, &overrides(&fs::read_to_string(&path).unwrap()), catalog()).unwrap()
}

/// Copies a folder of plain files and folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in manifest_support::sorted(from) {
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

/// Loads a text that lies where the relative names of the other manifests lead somewhere.
fn load_text(text: &[u8], overrides: &Overrides) -> Result<Pipeline, Report> {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        copy(Path::new("tests/manifests/parts"), &folder.path().join("parts"));
        folder
    });
    let folder = tempfile::tempdir_in(FOLDER.path()).unwrap();
    let file = folder.path().join("text.toml");
    fs::write(&file, text).unwrap();
    load(&file, overrides, catalog())
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let report = load(Path::new("pipelines/nowhere.toml"), &Overrides::default(), catalog()).unwrap_err();
    assert_eq!(report.render(false), "could not read pipelines/nowhere.toml: there is no such file\n");
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let report = load_text(b"[pipeline]\nname = \"\xff\"\n", &Overrides::default()).unwrap_err();
    assert!(report.render(false).ends_with("it is not UTF-8 text\n"), "{report}");
}

#[test]
fn relative_names_refer_to_the_folder_of_the_manifest() {
    let pipeline = good("include.toml");
    let folder = fs::canonicalize("tests/manifests/good").unwrap();
    assert_eq!(pipeline.root, folder);
    assert_eq!(pipeline.file, folder.join("include.toml"));
    let source = &pipeline.sources["mnist"];
    assert_eq!(source.path, folder.join("elsewhere/mnist"));
    let file = &source.files["train-images.gz"];
    assert_eq!(file.path, folder.join("elsewhere/mnist/train-images.gz"));
    assert_eq!(file.md5.as_deref(), Some("f68b3c2dcbeaaa9fbdd348bbdeb94873"));
    assert_eq!(file.url, ["https://example.org/train-images.gz"]);
    assert_eq!(source.obtain.as_deref(), Some("downloaded on first use"));
}

#[test]
fn a_project_holds_its_pipelines_folder() {
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new("tests/manifests/parts"), &folder.path().join("pipelines/parts"));
    copy(Path::new("tests/manifests/good"), &folder.path().join("pipelines/good"));
    let path = folder.path().join("pipelines/good/own_kinds.toml");
    let pipeline = load(&path, &overrides(&fs::read_to_string(&path).unwrap()), catalog()).unwrap();
    assert_eq!(pipeline.root, folder.path());
    assert_eq!(pipeline.sources["mnist"].path, folder.path().join("data/mnist"));
}

#[test]
fn parameters_are_complete_and_in_the_order_declared() {
    let pipeline = good("matrix.toml");
    let node = pipeline.nodes.iter().find(|node| node.address() == "distill[method=dm,seed=2]").unwrap();
    let names: Vec<_> = node.params.keys().map(String::as_str).collect();
    assert_eq!(names, ["iterations", "lr", "arch", "strategy", "method", "batch_norm"]);
    assert_eq!(node.params["lr"], Value::Float(1.0));
    assert_eq!(node.inputs.keys().collect::<Vec<_>>(), ["real", "start"]);
    assert_eq!(node.axes["seed"], Value::Integer(2));
}

#[test]
fn expectations_keep_their_bounds_and_places() {
    let pipeline = good("matrix.toml");
    let [accuracy, loss] = pipeline.expectations.as_slice() else { panic!("two expectations") };
    assert_eq!((accuracy.at_least, accuracy.at_most, accuracy.mean), (Some(0.96), None, true));
    assert_eq!(
        (accuracy.name.as_str(), accuracy.node.to_string().as_str()),
        ("accuracy", "evaluate[method=dm,arch=convnet3]")
    );
    assert_eq!((loss.at_most, loss.mean, loss.place.line()), (Some(1.0), false, 42));
    let pipeline = good("two_includes.toml");
    assert_eq!((pipeline.expectations[2].equals, pipeline.expectations[2].within), (Some(0.5), 0.1));
    assert!(pipeline.expectations[0].place.source.name.ends_with("parts/left.toml"));
}

#[test]
fn selectors_find_nodes() {
    let pipeline = good("matrix.toml");
    let count = |text: &str| pipeline.select(&text.parse::<Selector>().unwrap()).count();
    assert_eq!(count("distill"), 6);
    assert_eq!(count("distill[seed=0]"), 2);
    assert_eq!(count("*[method=dm,seed=0]"), 3);
    assert_eq!(count("*_set"), 2);
    for node in &pipeline.nodes {
        assert_eq!(count(&node.address()), 1, "{}", node.address());
    }
}

#[test]
fn the_example_of_the_reference_page_loads() {
    let page = fs::read_to_string("docs/manifest.md").unwrap();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let pipeline = load_text(example.as_bytes(), &Overrides::default()).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(pipeline.nodes.len(), 12);
    assert!(pipeline.warnings.is_empty());
}

#[test]
fn the_builtin_kinds_can_be_read() {
    let catalog = ddpipe::catalog::Catalog::built_in().unwrap_or_else(|report| panic!("{report}"));
    for (name, kind) in catalog.iter() {
        assert_eq!(name, kind.declaration.name);
        assert!(kind.folder.is_none());
    }
}

#[test]
fn own_kinds_know_their_folder() {
    let pipeline = good("own_kinds.toml");
    let kind = pipeline.catalog.get("own.blur").unwrap();
    assert!(kind.folder.as_ref().unwrap().join("stage.toml").is_file());
    assert_eq!(kind.declaration.command.as_deref(), Some(["python".to_string(), "blur.py".to_string()].as_slice()));
}

#[test]
fn a_set_value_is_toml_or_else_a_text() {
    let text = "[pipeline]\nname = \"n\"\n[vars]\nv = 0\n[stages.a]\nkind = \"report.table\"\n\
                inputs = { results = \"b\" }\nparams = { rows = \"x\", columns = \"y\", value = \"${v}\" }\n\
                [stages.b]\nkind = \"evaluate.classifier\"\ninputs = { synthetic = \"c\", test = \"c\" }\n\
                [stages.c]\nkind = \"decode.idx\"\ninputs = { images = \"source:s/i\", labels = \"source:s/i\" }\n\
                [sources.s]\npath = \".\"\nfiles.i = {}\n";
    let value = |raw: &str| {
        let sets = vec![("vars.v".to_string(), raw.to_string())];
        let overrides = Overrides { sets, ..Overrides::default() };
        load_text(text.as_bytes(), &overrides).map(|pipeline| {
            let node = pipeline.nodes.iter().find(|node| node.stage == "a").unwrap();
            node.params["value"].clone()
        })
    };
    assert_eq!(value("accuracy").unwrap(), Value::String("accuracy".into()));
    assert_eq!(value("\"7\"").unwrap(), Value::String("7".into()));
    assert_eq!(value("two words # no comment").unwrap(), Value::String("two words # no comment".into()));
    assert_eq!(value("").unwrap(), Value::String(String::new()));
    assert!(value("7").unwrap_err().render(false).contains("found the integer 7"));
}

/// Deletes, repeats or replaces a piece of a manifest.
fn damaged() -> impl Strategy<Value = String> {
    let texts: Vec<String> = ["good", "bad"]
        .iter()
        .flat_map(|folder| manifests(folder))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let pieces = [
        "", "\"", "[", "]", "{", "}", "=", "${", "}", ".", "é", "\n", "source:", "gather", "0", "-1", "\"\"",
        "[[x]]\n", "seed",
    ];
    (
        proptest::sample::select(texts),
        any::<prop::sample::Index>(),
        0usize..12,
        proptest::sample::select(pieces.to_vec()),
    )
        .prop_map(|(text, at, length, piece)| {
            let letters: Vec<char> = text.chars().collect();
            let start = at.index(letters.len());
            let end = (start + length).min(letters.len());
            letters[..start].iter().collect::<String>() + piece + &letters[end..].iter().collect::<String>()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in damaged()) {
        let overrides = Overrides { profile: vec!["ci".into()], ..Overrides::default() };
        match load_text(text.as_bytes(), &overrides) {
            Ok(pipeline) => prop_assert!(!pipeline.nodes.is_empty()),
            Err(report) => {
                prop_assert!(!report.is_empty());
                for diagnostic in &report.diagnostics {
                    prop_assert!(!diagnostic.message.contains('\n'), "{}", diagnostic.message);
                    let coloured = diagnostic.render(true);
                    prop_assert!(coloured.starts_with('\u{1b}'), "{coloured}");
                }
            }
        }
    }
}
