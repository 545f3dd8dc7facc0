//! Holds declarations, folders and code of the stage kinds together: what `stage.toml` declares is what `Params` takes,
//! nothing more and nothing less, and every folder with a declaration is a registered kind.

use ddpipe_interface::{Blocks, Declaration, Param, ParamType, Value};
use ddpipe_nn::network::{Activation, Network, NetworkError, NetworkSpec, Norm, Overrides, Pooling};
use ddpipe_stages::registry::{self, KINDS, Kind};
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// All folders, at any depth, that hold a `stage.toml`.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        open.extend(entries.filter(|path| path.is_dir()));
        if folder.join("stage.toml").exists() && !folder.ends_with("TEMPLATE") {
            folders.push(folder);
        }
    }
    folders.sort();
    folders
}

/// With the parameters that stages see: those that do nothing but set others are the engine's.
fn declarations() -> impl Iterator<Item = (&'static Kind, Declaration)> {
    KINDS.iter().map(|kind| {
        let mut declaration = kind.declared().unwrap_or_else(|why| panic!("{why:#}"));
        declaration.params.retain(|_, param| param.sets.is_empty());
        (kind, declaration)
    })
}

#[test]
fn every_folder_with_a_declaration_is_a_registered_kind_and_every_kind_has_its_folder() {
    let mut seen = BTreeSet::new();
    for folder in folders() {
        let below = folder.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
        let parts: Vec<&str> = below.iter().map(|part| part.to_str().unwrap()).collect();
        // Folders in between hold a family of kinds together.
        let name = format!("{}.{}", parts[0], parts[parts.len() - 1]);
        let text = std::fs::read_to_string(folder.join("stage.toml")).unwrap();
        let declaration = Declaration::parse(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(declaration.name, name, "{}: the name is not that of the folder", folder.display());
        let kind = registry::find(&name)
            .unwrap_or_else(|| panic!("{name} is not in the registry; is its line in mod.rs missing?"));
        assert_eq!(kind.declaration, text, "{name}: the registry includes another declaration");
        let readme = std::fs::read_to_string(folder.join("README.md"));
        let readme = readme.unwrap_or_else(|why| panic!("{name}: README.md: {why}"));
        assert!(readme.contains(&name), "{name}: its README.md does not name it");
        seen.insert(name);
    }
    let registered: BTreeSet<String> = KINDS.iter().map(|kind| kind.name.to_string()).collect();
    assert_eq!(seen, registered, "folders with a stage.toml on the left, kinds of the registry on the right");
    assert_eq!(registered.len(), KINDS.len(), "a kind is registered twice");
    let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert!(names.is_sorted(), "the registry is not in alphabetical order: {names:?}");
}

#[test]
fn params_take_exactly_what_is_declared() {
    for (kind, declaration) in declarations() {
        let full = with_values(&declaration, |param| param.default.clone().unwrap_or_else(|| plausible(param)));
        kind.check(&full).unwrap_or_else(|why| panic!("{}: with all parameters: {why:#}", kind.name));

        let mut least = full.clone();
        least.retain(|name, _| !declaration.params[name].optional);
        kind.check(&least).unwrap_or_else(|why| panic!("{}: without the optional ones: {why:#}", kind.name));

        // Nothing that is declared is passed over: a value of another type is refused.
        for (name, param) in &declaration.params {
            let mut other = full.clone();
            other.insert(name.clone(), of_another_type(param));
            assert!(kind.check(&other).is_err(), "{}: {name:?} is declared, and Params has no such field", kind.name);
        }

        // Nothing beyond: the parameters of other kinds, of which parts of Params may come from common/, are refused.
        let names = declarations().flat_map(|(_, other)| other.params.into_keys().collect::<Vec<_>>());
        for name in names.filter(|name| !declaration.params.contains_key(name)).chain(["no such parameter".into()]) {
            let mut more = full.clone();
            more.insert(name.clone(), Value::Boolean(true));
            let message = match kind.check(&more) {
                Ok(()) => panic!("{}: takes {name:?}, which is not declared; add deny_unknown_fields", kind.name),
                Err(why) => format!("{why:#}"),
            };
            assert!(message.contains("unknown field"), "{}: {name:?}: {message}", kind.name);
            // Params without parts names its fields.
            if let Some(fields) = expected_fields(&message) {
                let declared: BTreeSet<&str> = declaration.params.keys().map(String::as_str).collect();
                assert_eq!(fields, declared, "{}: Params on the left, stage.toml on the right", kind.name);
            }
        }
    }
}

/// A parameter that the declaration calls required or gives a default always arrives: `Params` has to insist on it, or
/// a second default hides in the code.
#[test]
fn defaults_stand_in_the_declaration_only() {
    for (kind, declaration) in declarations() {
        let full = with_values(&declaration, |param| param.default.clone().unwrap_or_else(|| plausible(param)));
        for (name, _) in declaration.params.iter().filter(|(_, param)| !param.optional) {
            let mut less = full.clone();
            less.shift_remove(name);
            assert!(kind.check(&less).is_err(), "{}: does without {name:?}, which is not optional", kind.name);
        }
    }
}

#[test]
fn params_take_every_choice_and_both_ends_of_every_range() {
    for (kind, declaration) in declarations() {
        let full = with_values(&declaration, |param| param.default.clone().unwrap_or_else(|| plausible(param)));
        for (name, param) in &declaration.params {
            for value in extremes(param) {
                let value = param.accept(value).unwrap_or_else(|why| panic!("{}: {name}: {why}", kind.name));
                let mut params = full.clone();
                params.insert(name.clone(), value.clone());
                kind.check(&params).unwrap_or_else(|why| panic!("{}: {name} = {value}: {why:#}", kind.name));
            }
        }
    }
}

#[test]
fn declarations_explain_themselves() {
    for (kind, declaration) in declarations() {
        let params = declaration.params.iter().map(|(name, param)| (name, &param.help));
        let inputs = declaration.inputs.iter().map(|(name, input)| (name, &input.help));
        let outputs = declaration.outputs.iter().map(|(name, output)| (name, &output.help));
        let metrics = declaration.metrics.iter().map(|(name, metric)| (name, &metric.help));
        let own = std::iter::once((&declaration.name, &declaration.help));
        for (name, help) in own.chain(params).chain(inputs).chain(outputs).chain(metrics) {
            assert!(!help.trim().is_empty() && !help.contains('\n'), "{}: {name}: help is one line", kind.name);
        }
        assert!(declaration.version > 0, "{}: versions start from 1", kind.name);
    }
}

/// A block that a single kind uses is no shared block.
#[test]
fn every_block_is_used_by_several_kinds_or_by_another_block() {
    let texts = folders().into_iter().map(|folder| std::fs::read_to_string(folder.join("stage.toml")).unwrap());
    let blocks = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/params")).unwrap();
    let blocks = blocks.map(|entry| entry.unwrap().path());
    let blocks = blocks.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let blocks = blocks.map(|path| std::fs::read_to_string(path).unwrap());
    let used = |text: String| text.parse::<toml::Table>().unwrap().remove("use").map(|names| names.try_into().unwrap());
    let by_kinds: Vec<Vec<String>> = texts.filter_map(used).collect();
    let by_blocks: Vec<Vec<String>> = blocks.filter_map(used).collect();
    for name in Blocks::built_in().names() {
        let count = |lists: &[Vec<String>]| lists.iter().flatten().filter(|used| *used == name).count();
        assert!(
            count(&by_kinds) + 2 * count(&by_blocks) > 1,
            "stages/params/{name}.toml: used once; move it to its kind"
        );
    }
}

/// The list in `stages/params/architecture.toml` is that of the code, and no kind has another one.
#[test]
fn every_kind_offers_every_architecture() {
    let with_depths = |name: &&str| match *name {
        "convnet" => {
            (0..=8).map(|depth| if depth == 0 { name.to_string() } else { format!("{name}{depth}") }).collect()
        }
        _ => vec![name.to_string()],
    };
    let known: Vec<String> = NetworkSpec::NAMES.iter().flat_map(with_depths).collect();
    let mut kinds = 0;
    for (kind, declaration) in declarations() {
        let Some(arch) = declaration.params.get("arch") else { continue };
        assert_eq!((arch.kind, &arch.choices), (ParamType::Choice, &known), "{}", kind.name);
        kinds += 1;
    }
    assert!(kinds >= 15, "only {kinds} kinds have an architecture");
}

/// What `only_with` and `smallest_image` say of networks is what the networks say: the engine refuses nothing that a stage
/// would take, and lets no setting pass that every network of a name refuses.
#[test]
fn settings_and_sizes_are_those_of_the_networks() {
    let given = |setting: &str| {
        let none = Overrides::default();
        match setting {
            "width" => Some(Overrides { width: Some(128), ..none }),
            "depth" => Some(Overrides { depth: Some(3), ..none }),
            "activation" => Some(Overrides { activation: Some(Activation::Relu), ..none }),
            "norm" => Some(Overrides { norm: Some(Norm::Instance), ..none }),
            "pooling" => Some(Overrides { pooling: Some(Pooling::Average), ..none }),
            _ => None,
        }
    };
    for (kind, declaration) in declarations() {
        let Some(arch) = declaration.params.get("arch") else { continue };
        let settings = declaration.params.iter().filter_map(|(name, param)| Some((name, param, given(name)?)));
        for (name, param, overrides) in settings {
            for network in &arch.choices {
                let named = NetworkSpec::named(network, &overrides, 3, [32, 32], 10);
                let takes = !matches!(named, Err(NetworkError::NotASetting { .. }));
                assert_eq!(param.goes_with("arch", network), takes, "{}: {name} of {network}", kind.name);
            }
        }
        for network in &arch.choices {
            for channels in [1, 3] {
                let smallest = arch.smallest_image.as_ref();
                let Some(pixels) = smallest.and_then(|smallest| smallest.of(network, Some(channels as u32))) else {
                    continue;
                };
                let size = i64::from(pixels) - 1;
                let spec = NetworkSpec::named(network, &Overrides::default(), channels, [size, size], 10).unwrap();
                assert!(Network::new(&spec).is_err(), "{network} takes {channels}x{size}x{size}");
            }
        }
    }
}

fn with_values(declaration: &Declaration, value: impl Fn(&Param) -> Value) -> IndexMap<String, Value> {
    declaration.params.iter().map(|(name, param)| (name.clone(), value(param))).collect()
}

/// Some value that the declaration allows.
fn plausible(param: &Param) -> Value {
    let lowest = param.min.map_or(1.0, |min| if param.above_min { min + 1.0 } else { min });
    let number = lowest.min(param.max.unwrap_or(f64::INFINITY));
    let entry = match param.kind {
        ParamType::Integer | ParamType::Integers => Value::Integer(number as i64),
        ParamType::Float | ParamType::Floats => Value::Float(number),
        ParamType::Boolean => Value::Boolean(true),
        ParamType::String | ParamType::Strings | ParamType::Choice => {
            let word = param.choices.iter().chain(&param.words).next();
            Value::String(word.cloned().unwrap_or_else(|| "text".into()))
        }
    };
    let value = match param.kind {
        ParamType::Integers | ParamType::Floats | ParamType::Strings => Value::List(vec![entry]),
        _ => entry,
    };
    param.accept(value).unwrap()
}

/// All choices, and the ends of the range.
fn extremes(param: &Param) -> Vec<Value> {
    let wrap = |value: Value| match param.kind {
        ParamType::Integers | ParamType::Floats | ParamType::Strings => Value::List(vec![value]),
        _ => value,
    };
    let number = |number: f64| match param.kind {
        ParamType::Integer | ParamType::Integers => Value::Integer(number as i64),
        _ => Value::Float(number),
    };
    let ends = param.min.filter(|_| !param.above_min).into_iter().chain(param.max).map(number);
    ends.chain(param.choices.iter().cloned().map(Value::String)).map(wrap).collect()
}

/// The fields, if serde lists them: "unknown field `x`, expected one of `a`, `b`".
fn expected_fields(message: &str) -> Option<BTreeSet<&str>> {
    match message.split_once(", expected ") {
        Some((_, list)) => Some(list.split('`').skip(1).step_by(2).collect()),
        None => message.contains("there are no fields").then(BTreeSet::new),
    }
}

fn of_another_type(param: &Param) -> Value {
    match param.kind {
        ParamType::Boolean => Value::String("text".into()),
        _ => Value::Boolean(true),
    }
}

/// What a method starts from may hold several images in each: `Inputs::start` refuses it, while `Inputs::synthetic` would
/// silently start from all of them.
#[test]
fn methods_take_their_start_as_a_start() {
    for folder in folders() {
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            assert!(!text.contains("synthetic(\"start\")"), "{}: read it with inputs.start()", file.display());
        }
    }
}
