//! The network of a case: from its description, with weights that are stored or made by the fill rule.

use super::{Case, filled};
use ddpipe_nn::network::{Activation, Architecture, Network, NetworkSpec, Norm, Overrides, Parameters, Pooling};
use serde_json::Value;
use std::collections::BTreeMap;
use tch::Tensor;

/// The network that `case.json["network"]` describes: a class of the published code, or a name of timm's.
pub fn network(case: &Case) -> Network {
    let about = case.value("network");
    let whole = |key: &str| about[key].as_i64().unwrap_or_else(|| panic!("{}: network has no {key}", case.id));
    if let Some(name) = about["timm"].as_str() {
        let shape = case.integers("/input_rule/shape");
        return Network::new(&named(name, shape[1], [shape[2], shape[3]], whole("num_classes"))).unwrap();
    }
    let class = about["class"].as_str().unwrap_or_else(|| panic!("{}: network has no class", case.id));
    let image = match about["im_size"].as_array() {
        Some(size) => [size[0].as_i64().unwrap(), size[1].as_i64().unwrap()],
        None => {
            let shape = case.integers("/input_rule/shape");
            [shape[2], shape[3]]
        }
    };
    let architecture = match class {
        "ConvNet" => Architecture::ConvNet {
            width: whole("net_width"),
            depth: whole("net_depth"),
            activation: setting(&about["net_act"]),
            norm: setting(&about["net_norm"]),
            pooling: setting(&about["net_pooling"]),
        },
        other => named(other, whole("channel"), image, whole("num_classes")).architecture,
    };
    let spec = NetworkSpec { architecture, channels: whole("channel"), image, classes: whole("num_classes") };
    Network::new(&spec).unwrap_or_else(|why| panic!("{}: {why}", case.id))
}

/// A class of the published code that has no settings but the norm in its name: `VGG11`, `ResNet18BN_AP`.
fn named(class: &str, channels: i64, image: [i64; 2], classes: i64) -> NetworkSpec {
    let (class_alone, pooling) = match class.strip_suffix("_AP") {
        Some(rest) => (rest, "_ap"),
        None => (class, ""),
    };
    let norm = NORMS.iter().find(|(code, _)| class_alone.ends_with(code));
    let arch = norm.map_or(class_alone, |(code, _)| &class_alone[..class_alone.len() - code.len()]);
    let overrides = Overrides { norm: norm.map(|(_, norm)| *norm), ..Overrides::default() };
    let arch = format!("{}{pooling}", arch.to_lowercase());
    NetworkSpec::named(&arch, &overrides, channels, image, classes).unwrap_or_else(|why| panic!("{class}: {why}"))
}

/// The weights that the case stores as `w.NAME`.
pub fn stored_weights(case: &Case, network: &Network) -> Parameters {
    network.load(&case.with_prefix("w.")).unwrap_or_else(|why| panic!("{}: {why}", case.id))
}

/// The weights that the fill rule gives for the case's list of parameters.
pub fn filled_weights(case: &Case, network: &Network) -> Parameters {
    let mut state: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, p, kind, shape) in listed(case) {
        state.insert(name, filled(p, &kind, &shape));
    }
    network.load(&state).unwrap_or_else(|why| panic!("{}: {why}", case.id))
}

/// Name, p, kind and shape of every listed parameter.
pub fn listed(case: &Case) -> Vec<(String, u64, String, Vec<i64>)> {
    let entry = |entry: &Value| {
        let shape = entry["shape"].as_array().unwrap().iter().map(|size| size.as_i64().unwrap()).collect();
        let text = |key: &str| entry[key].as_str().unwrap().to_string();
        (text("name"), entry["p"].as_u64().unwrap(), text("kind"), shape)
    };
    case.list("parameters").iter().map(entry).collect()
}

/// The network of a row of a table: a class of the published code with its settings and a data set, `ConvNetD3 W128 MNIST`
/// or `ConvNetLN D3 W128 CIFAR10`, or a name of timm's, `timm resnetv2_50 2 classes`.
pub fn named_in_table(name: &str, input: [i64; 3]) -> Network {
    let (channels, image) = (input[0], [input[1], input[2]]);
    if let Some(timm) = name.strip_prefix("timm ") {
        let (arch, classes) = timm.split_once(' ').unwrap_or_else(|| panic!("{name}: no number of classes"));
        let classes = classes.strip_suffix(" classes").and_then(|number| number.parse().ok());
        let classes = classes.unwrap_or_else(|| panic!("{name}: no number of classes"));
        return Network::new(&named(arch, channels, image, classes)).unwrap();
    }
    let classes = match name {
        _ if name.contains("MHIST") => 2,
        _ if name.contains("CIFAR100") => 100,
        _ if name.contains("TinyImageNet") => 200,
        _ => 10,
    };
    let mut words = name.split(' ');
    let class = words.next().unwrap_or_default();
    let spec = match class.strip_prefix("ConvNet") {
        None => named(class, channels, image, classes),
        Some(suffixes) => {
            let own = with_suffixes(Overrides::default(), suffixes);
            let own = own.unwrap_or_else(|| panic!("{name}: the published code has no ConvNet{suffixes}"));
            // A word that is no setting names the data set.
            let settings = words.fold(own, |settings, word| with_suffixes(settings, word).unwrap_or(settings));
            NetworkSpec::named("convnet", &settings, channels, image, classes)
                .unwrap_or_else(|why| panic!("{name}: {why}"))
        }
    };
    Network::new(&spec).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The settings with those that the published code appends to `ConvNet`: `D4`, `W64`, `BN`, `ASwishBN`; none where the text
/// says anything else.
fn with_suffixes(mut settings: Overrides, text: &str) -> Option<Overrides> {
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(number) = rest.strip_prefix(['D', 'W']) {
            let end = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
            let value = Some(number[..end].parse().ok()?);
            if rest.starts_with('D') {
                settings.depth = value
            } else {
                settings.width = value
            }
            rest = &number[end..];
        } else if let Some((code, activation)) = ACTIVATIONS.iter().find(|(code, _)| rest.starts_with(code)) {
            settings.activation = Some(*activation);
            rest = &rest[code.len()..];
        } else if let Some((code, norm)) = NORMS.iter().find(|(code, _)| rest.starts_with(code)) {
            settings.norm = Some(*norm);
            rest = &rest[code.len()..];
        } else {
            let (code, pooling) = POOLINGS.iter().find(|(code, _)| rest.starts_with(code))?;
            settings.pooling = Some(*pooling);
            rest = &rest[code.len()..];
        }
    }
    Some(settings)
}

/// The published code's short names; `ASwish` stands before `AS`, with which it begins.
const ACTIVATIONS: [(&str, Activation); 4] = [
    ("ASwish", Activation::Swish),
    ("AS", Activation::Sigmoid),
    ("AR", Activation::Relu),
    ("AL", Activation::LeakyRelu),
];
const NORMS: [(&str, Norm); 5] =
    [("NN", Norm::None), ("BN", Norm::Batch), ("LN", Norm::Layer), ("IN", Norm::Instance), ("GN", Norm::Group)];
const POOLINGS: [(&str, Pooling); 3] = [("NP", Pooling::None), ("MP", Pooling::Max), ("AP", Pooling::Average)];

fn setting<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|why| panic!("{why}"))
}
