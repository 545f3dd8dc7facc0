//! Golden cases of family `nas`: search spaces, their order, and the parameters of each network.

use crate::walker;
use ddpipe_nn::network::{Architecture, Network, NetworkSpec};
use ddpipe_stages::search::candidates::space::{Form, Lists, Space};
use serde_json::{Value, json};

#[test]
fn spaces() {
    walker::run("nas", |case, report| {
        let axis = |name: &str| case.value(&format!("/axes_in_order/{name}")).clone();
        fn list<T: serde::de::DeserializeOwned>(values: Value) -> Option<Vec<T>> {
            Some(serde_json::from_value(values).unwrap())
        }
        let lists = Lists {
            widths: list(axis("width")),
            depths: list(axis("depth")),
            norms: list(axis("norm")),
            activations: list(axis("activation")),
            poolings: list(axis("pooling")),
            kernels: None,
        };
        let size = case.integers("im_size");
        let (channels, classes) = (case.integer("channel"), case.integer("num_classes"));
        let given = Space::new(Form::Grid, lists).unwrap().candidates(None, 0).unwrap();
        if case.integer("count") == 720 {
            let published = Space::new(Form::Grid, Lists::default()).unwrap().candidates(None, 0).unwrap();
            report.check(case, "the default space is the published one", published == given);
        }
        report.equal(case, "networks", given.len() as i64, case.integer("count"));
        report.equal(case, "rows", given.len(), case.list("rows").len());
        for (candidate, row) in given.into_iter().zip(case.list("rows")) {
            let architecture = candidate.architecture;
            let Architecture::ConvNet { width, depth, norm, activation, pooling } = architecture.clone() else {
                report.fail(case, format!("{architecture:?} is no ConvNet"));
                continue;
            };
            let spec = NetworkSpec { architecture, channels, image: [size[0], size[1]], classes };
            let count = Network::new(&spec).unwrap().parameter_count();
            // The case writes `maxpooling` and `avgpooling`; what they mean is read as manifests are.
            let got = json!([width, depth, norm, activation, pooling, count]);
            let expected = json!([
                row[0],
                row[1],
                setting::<ddpipe_nn::network::Norm>(&row[2]),
                setting::<ddpipe_nn::network::Activation>(&row[3]),
                setting::<ddpipe_nn::network::Pooling>(&row[4]),
                row[5],
            ]);
            report.equal(case, &format!("network {}", candidate.index), got, expected);
        }
    });
}

fn setting<T: serde::de::DeserializeOwned + serde::Serialize>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}
