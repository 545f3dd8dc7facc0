//! The network of a case: from its description, with weights that are stored or made by the fill rule.

use super::{Case, filled};
use ddpipe_nn::network::{Architecture, Network, NetworkSpec, Norm, Overrides, Parameters};
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
    let norm = class.contains("BN").then_some(Norm::Batch);
    let arch = class.replace("BN", "").to_lowercase();
    let overrides = Overrides { norm, ..Overrides::default() };
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

/// The network of a row of a table, `ConvNetD3 W128 MNIST` or `timm resnetv2_50 2 classes`.
pub fn named_in_table(name: &str, input: [i64; 3]) -> Network {
    if let Some(timm) = name.strip_prefix("timm ") {
        let (arch, classes) = timm.split_once(' ').unwrap();
        let classes = classes.strip_suffix(" classes").unwrap().parse().unwrap();
        return Network::new(&named(arch, input[0], [input[1], input[2]], classes)).unwrap();
    }
    let classes = match name {
        _ if name.contains("MHIST") => 2,
        _ if name.contains("TinyImageNet") => 200,
        _ => 10,
    };
    let mut words = name.split(' ');
    let class = words.next().unwrap();
    let width = words.find_map(|word| word.strip_prefix('W')?.parse().ok());
    let spec = match class.strip_prefix("ConvNet") {
        None => named(class, input[0], [input[1], input[2]], classes),
        Some(depth) => {
            let arch = format!("convnet{}", depth.strip_prefix('D').unwrap_or(depth));
            let overrides = Overrides { width, ..Overrides::default() };
            NetworkSpec::named(&arch, &overrides, input[0], [input[1], input[2]], classes).unwrap()
        }
    };
    Network::new(&spec).unwrap()
}

fn setting<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|why| panic!("{why}"))
}
