//! Holds every kind to its version. Keys leave out parameters at their defaults, and records keep outputs and metrics as
//! they were: a kind whose default, output or metric changes without a raised version would be given old results for
//! new ones. `stages/kinds.lock` is what each version was; `DDPIPE_UPDATE=1` brings it up to date where that is safe.

use ddpipe_interface::{ArtifactType, Declaration, Value};
use ddpipe_stages::registry::KINDS;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the results of one version of a kind depend on, or are read by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Version {
    kind: String,
    version: u32,
    /// By parameter; null where one may be left out without a default. Those that have to be given are not here.
    defaults: IndexMap<String, Option<Value>>,
    outputs: Vec<(String, ArtifactType)>,
    metrics: BTreeSet<String>,
}

impl Version {
    fn of(declaration: &Declaration) -> Self {
        let given = declaration.params.iter().filter(|(_, param)| param.optional || param.default.is_some());
        Version {
            kind: declaration.name.clone(),
            version: declaration.version,
            defaults: given.map(|(name, param)| (name.clone(), param.default.clone())).collect(),
            outputs: declaration.outputs.iter().map(|(name, output)| (name.clone(), output.artifact)).collect(),
            metrics: declaration.metrics.keys().cloned().collect(),
        }
    }

    fn line(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    /// What asks for a higher version than `old` has; parameters that are new or gone do not.
    fn changes(&self, old: &Version) -> Vec<String> {
        let text = |value: &Option<Value>| value.as_ref().map_or("none".into(), Value::to_string);
        let defaults = self.defaults.iter().filter_map(|(name, new)| match old.defaults.get(name) {
            Some(old) if old != new => Some(format!("the default of {name} was {} and is {}", text(old), text(new))),
            _ => None,
        });
        let mut changes: Vec<String> = defaults.collect();
        if self.outputs != old.outputs {
            changes.push(format!("the outputs were {:?} and are {:?}", old.outputs, self.outputs));
        }
        let metrics = self.metrics.symmetric_difference(&old.metrics);
        changes.extend(metrics.map(|name| match self.metrics.contains(name) {
            true => format!("the metric {name} is new"),
            false => format!("the metric {name} is gone"),
        }));
        changes
    }
}

/// What is wrong between the list and the declarations: kinds that need a higher version, and lines that are old.
fn compare(listed: &[Version], declared: &[Version], place: impl Fn(&str) -> String) -> (Vec<String>, Vec<String>) {
    let (mut refused, mut stale) = (Vec::new(), Vec::new());
    for new in declared {
        let line = listed.iter().position(|old| old.kind == new.kind);
        match line.map(|line| &listed[line]) {
            None => stale.push(format!("{}: is not in the list", new.kind)),
            Some(old) if new.version < old.version => {
                refused.push(format!(
                    "{}: version was {} and is {}; versions only rise",
                    new.kind, old.version, new.version
                ));
            }
            Some(old) if new.version == old.version && !new.changes(old).is_empty() => {
                let raised = Version { version: new.version + 1, ..new.clone() };
                refused.push(format!(
                    "{}: {}, and its version is still {}. Change these two lines:\n  {}: version = {}\n  stages/kinds.lock:{}: {}",
                    new.kind,
                    new.changes(old).join("; "),
                    new.version,
                    place(&new.kind),
                    raised.version,
                    line.unwrap_or(0) + 1,
                    raised.line()
                ));
            }
            Some(old) if old != new => stale.push(format!("{}: has changed", new.kind)),
            Some(_) => {}
        }
    }
    let gone = listed.iter().filter(|old| declared.iter().all(|new| new.kind != old.kind));
    stale.extend(gone.map(|old| format!("{}: is no kind any more", old.kind)));
    (refused, stale)
}

/// `stages/distill/dm/stage.toml:3`, the line of a kind's version.
fn version_line(kind: &str) -> String {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => files(&path, found),
                false if path.ends_with("stage.toml") => found.push(path),
                false => {}
            }
        }
    }
    let mut found = Vec::new();
    files(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    let named =
        |text: &String| text.lines().any(|line| line.starts_with("name") && line.contains(&format!("{kind:?}")));
    let place = found.iter().find_map(|path| {
        let text = std::fs::read_to_string(path).ok().filter(named)?;
        let line = text.lines().position(|line| line.starts_with("version"))?;
        let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path);
        Some(format!("stages/{}:{}", path.display(), line + 1))
    });
    place.unwrap_or_else(|| format!("the stage.toml of {kind}"))
}

#[test]
fn what_results_depend_on_changes_only_with_the_version() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("kinds.lock");
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let listed: Vec<Version> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let declared: Vec<Version> = KINDS.iter().map(|kind| Version::of(&kind.declared().unwrap())).collect();
    let (refused, stale) = compare(&listed, &declared, version_line);
    assert!(refused.is_empty(), "{}", refused.join("\n\n"));
    let lines: String = declared.iter().map(|version| version.line() + "\n").collect();
    if std::env::var_os("DDPIPE_UPDATE").is_some() {
        std::fs::write(&file, lines).unwrap();
        return;
    }
    let way_out = "run `DDPIPE_UPDATE=1 cargo test --workspace --test stages what_results_depend_on` and commit stages/kinds.lock";
    assert!(stale.is_empty(), "stages/kinds.lock is not up to date: {}\n{way_out}", stale.join("; "));
    assert!(text == lines, "stages/kinds.lock is not written as the update writes it\n{way_out}");
}

fn version(number: u32, default: i64, outputs: &[&str], metrics: &[&str]) -> Version {
    Version {
        kind: "a.b".into(),
        version: number,
        defaults: IndexMap::from([("x".to_string(), Some(Value::Integer(default))), ("y".to_string(), None)]),
        outputs: outputs.iter().map(|name| (name.to_string(), ArtifactType::Metrics)).collect(),
        metrics: metrics.iter().map(|name| name.to_string()).collect(),
    }
}

#[test]
fn a_changed_default_output_or_metric_asks_for_a_higher_version_and_says_which_lines_to_change() {
    let old = version(3, 1, &["out"], &["loss"]);
    let found = |new: Version| compare(std::slice::from_ref(&old), &[new], |_| "stage.toml:2".into());
    for new in [
        version(3, 2, &["out"], &["loss"]),
        version(3, 1, &["out", "more"], &["loss"]),
        version(3, 1, &["out"], &["loss", "accuracy"]),
        version(3, 1, &["out"], &[]),
        version(2, 1, &["out"], &["loss"]),
    ] {
        assert_eq!(found(new.clone()).0.len(), 1, "{new:?}");
        assert_eq!(found(Version { version: 4, ..new }).0, Vec::<String>::new());
    }
    let raised = version(4, 2, &["out"], &["loss"]);
    assert_eq!(
        found(version(3, 2, &["out"], &["loss"])).0,
        [format!(
            "a.b: the default of x was 1 and is 2, and its version is still 3. Change these two lines:\n  \
             stage.toml:2: version = 4\n  stages/kinds.lock:1: {}",
            raised.line()
        )]
    );
    let mut filled = version(3, 1, &["out"], &["loss"]);
    filled.defaults["y"] = Some(Value::Integer(0));
    assert_eq!(found(filled).0.len(), 1);
}

#[test]
fn new_kinds_and_parameters_and_raised_versions_only_ask_for_a_new_line() {
    let old = version(3, 1, &["out"], &["loss"]);
    let mut more = old.clone();
    more.defaults.insert("z".into(), Some(Value::Integer(0)));
    let raised = version(4, 2, &[], &[]);
    let other = Version { kind: "c.d".into(), ..old.clone() };
    for (new, stale) in [(more, 1), (raised, 1), (other, 2), (old.clone(), 0)] {
        let (refused, lines) = compare(std::slice::from_ref(&old), std::slice::from_ref(&new), |_| String::new());
        assert_eq!((refused.len(), lines.len()), (0, stale), "{new:?}");
    }
}
