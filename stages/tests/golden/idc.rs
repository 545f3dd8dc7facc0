//! Golden cases of family `idc`: decoding and its adjoint, mixed starts, the combined augmentation, matching through all
//! of them, and the tables, through the functions that the loop uses.

use crate::walker::{self, Case};
use ddpipe_nn::augment::{Operation, Patch, Settings, Sharing, Strategy, apply};
use ddpipe_nn::network::{Chunk, Network, ParameterKind, Parameters};
use ddpipe_nn::optim::Schedule;
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Decoder, Formation, Normalisation, mosaic};
use ddpipe_stages::distill::idc::loops::{image_rate, ipc_epoch};
use ddpipe_stages::distill::idc::loss::{Matching, Metric, Objective};
use ddpipe_stages::distill::idc::view::View;
use serde_json::Value;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Images of a class that a step uses at most, which is also the bound of a decoding that has none of its own.
const BATCH_SYN_MAX: i64 = 128;

#[test]
fn decoding() {
    walker::run_where(
        "idc",
        |case| case.get("decoded").is_some(),
        |case, report| {
            let decoder = decoder(case);
            let x = case.tensor("x").set_requires_grad(true);
            let decoded = decoder.images(&x).unwrap();
            report.compare(case, "decoded", &decoded);
            report.compare(case, "decoded_labels", &decoder.labels(&case.tensor("labels")).unwrap());
            report.equal(case, "count", decoder.count(x.size()[0]), decoded.size()[0]);
            let weight = (Tensor::arange(decoded.numel() as i64, (Kind::Double, Device::Cpu)) * 0.05).sin();
            let sum = (&decoded * weight.to_kind(Kind::Float).view_as(&decoded)).sum(Kind::Float);
            report.compare(case, "grad_x", &Tensor::run_backward(&[sum], &[x], false, false)[0]);
        },
    );
}

#[test]
fn start() {
    walker::run_where(
        "idc",
        |case| case.get("init").is_some(),
        |case, report| {
            let (images, ipc, factor) = (case.tensor("images"), case.integer("ipc"), case.integer("factor"));
            let size = [images.size()[3], images.size()[4]];
            let classes: Vec<_> =
                (0..images.size()[0]).map(|class| mosaic(&images.get(class), ipc, factor, size).unwrap()).collect();
            report.compare(case, "init", &Tensor::cat(&classes, 0));
        },
    );
}

#[test]
fn augmentation() {
    walker::run_where(
        "idc",
        |case| case.has("operations"),
        |case, report| {
            let settings: Settings = serde_json::from_value(case.value("parameters").clone()).unwrap();
            let operations = operations(case, case.list("operations"));
            let x = case.tensor("x").set_requires_grad(true);
            let y = apply(&x, &operations, &settings);
            report.compare(case, "y", &y);
            let grad = Tensor::run_backward(&[(&y * case.tensor("weight")).sum(y.kind())], &[&x], false, false);
            report.compare(case, "grad_x", &grad[0]);
            let per_image = case.value("batch") == &Value::Bool(false);
            let sharing = if per_image { Sharing::PerImage(x.size()[0]) } else { Sharing::Siamese };
            report.check(
                case,
                "the same kinds of operations are drawn",
                drawn(case.text("strategy"), &operations, sharing),
            );
        },
    );
}

#[test]
fn matching() {
    walker::run_where(
        "idc",
        |case| case.has("match"),
        |case, report| {
            let network = walker::network::network(case);
            let parameters = weights(case, &network);
            let metric: Metric = serde_json::from_value(case.value("metric").clone()).unwrap();
            let matching = match case.text("match") {
                "grad" => Matching::Gradients {
                    bias: case.value("match_bias").as_bool().unwrap(),
                    fc: case.value("match_fc").as_bool().unwrap(),
                },
                "feat" => Matching::Features { blocks: blocks(case) },
                other => panic!("match {other:?}"),
            };
            let objective = Objective::new(&network, matching, metric).unwrap();
            let numbers = |key| case.list(key).iter().map(|value| value.as_f64().unwrap()).collect();
            let normalisation = Normalisation::new(numbers("mean"), numbers("std"));
            let view = View {
                decoder: decoder(case),
                normalisation: &normalisation,
                chosen: None,
                operations: operations(case, case.list("/augmentation/operations")),
                settings: Settings::default(),
            };
            let (data, real, ipc) = (case.tensor("data"), case.tensor("real"), case.integer("ipc"));
            let class = case.integer("class");
            let label = |count: i64| Tensor::full([count], class, (Kind::Int64, Device::Cpu));
            let pixels = data.narrow(0, class * ipc, ipc);
            let shown = view.images(&pixels).unwrap();
            let seen = case.tensor("decoded_augmented").size()[0];
            report.compare(case, "decoded_augmented", &shown.narrow(0, 0, seen));
            let real = view.augmented(&normalisation.apply(&real));
            let count = real.size()[0];
            for chunk in [1, count - 1, i64::MAX].map(Chunk) {
                let target = objective.target(&network, &parameters, &real, &label(count), chunk).unwrap();
                let matched = view.matched(&objective, (&network, &parameters), &target, &pixels, &label(ipc)).unwrap();
                report.compare(case, "loss", &matched.distance);
                let whole = data.zeros_like();
                whole.narrow(0, class * ipc, ipc).copy_(&matched.gradient);
                report.compare(case, "grad_data", &whole);
            }
        },
    );
}

#[test]
fn tables() {
    walker::run_where(
        "idc",
        |case| case.has("cutmix_box"),
        |case, report| {
            let close = |got: f64, row: &Value, key: &str| {
                let expected = row[key].as_f64().unwrap();
                (got - expected).abs() <= case.number("/tolerance/rel") * expected.abs()
            };
            let whole = |row: &Value, key: &str| row[key].as_i64().unwrap_or_else(|| panic!("{row}: {key}"));
            for row in case.list("/lr_img/rows") {
                let base = match row["dataset"].as_str().unwrap() {
                    "mnist" => 28.0,
                    "imagenet" => 224.0,
                    "speech" => 64.0,
                    _ => 32.0,
                };
                let (size, given) = (whole(row, "size"), row["lr_img_argument"].as_f64().unwrap());
                let rate = image_rate(given, whole(row, "ipc"), [size, size], base);
                report.check(case, &format!("{row}: {rate}"), close(rate, row, "lr_img_used"));
            }
            for row in case.list("ipc_epoch") {
                let bound = row["bound"].as_i64().filter(|&bound| bound > 0);
                let epochs = ipc_epoch(whole(row, "ipc"), whole(row, "factor"), whole(row, "nclass"), bound);
                report.equal(case, &format!("{row}"), Some(epochs), row["epochs"].as_u64());
            }
            for row in case.list("/evaluation_lr/rows") {
                let (epochs, lr) = (row["epochs"].as_u64().unwrap(), row["lr"].as_f64().unwrap());
                report.equal(case, "epochs run", Schedule::Multistep.epochs(epochs), epochs);
                let rates: Vec<_> = (0..epochs).map(|epoch| Schedule::Multistep.rate(lr, epochs, epoch)).collect();
                let changes = (0..rates.len()).filter(|&epoch| epoch == 0 || rates[epoch] != rates[epoch - 1]);
                let changes: Vec<_> = changes.map(|epoch| (epoch as u64 + 1, rates[epoch])).collect();
                let listed = row["changes_at_1_based_epoch"].as_array().unwrap();
                report.equal(case, &format!("{row}: number of rates"), changes.len(), listed.len());
                for ((epoch, rate), listed) in changes.iter().zip(listed) {
                    report.equal(case, &format!("{row}: epoch"), Some(*epoch), listed[0].as_u64());
                    let expected = listed[1].as_f64().unwrap();
                    report.check(case, &format!("{row}: {rate}"), (rate - expected).abs() <= 1e-6 * expected);
                }
            }
            for row in case.list("/cutmix_box/rows") {
                let size = [whole(row, "H"), whole(row, "W")];
                let pair = |key: &str| [0, 1].map(|axis| row[key][axis].as_i64().unwrap());
                let patch = Patch::new(size, row["lambda"].as_f64().unwrap(), pair("center"));
                report.equal(
                    case,
                    &format!("{row}: rows"),
                    [patch.rows.start, patch.rows.end],
                    pair("box_axis2_from_to"),
                );
                let columns = [patch.columns.start, patch.columns.end];
                report.equal(case, &format!("{row}: columns"), columns, pair("box_axis3_from_to"));
                report.check(case, &format!("{row}: kept"), close(patch.kept(size), row, "ratio"));
            }
        },
    );
}

fn decoder(case: &Case) -> Decoder {
    let formation = match case.text("decode_type") {
        "single" => Formation::Single,
        "multi" => Formation::Multi,
        "bound" => Formation::Bound(if case.has("bound") { case.integer("bound") } else { BATCH_SYN_MAX }),
        other => panic!("decode_type {other:?}"),
    };
    Decoder { factor: case.integer("factor"), formation }
}

/// The blocks that a case compares: one, a range from the first to the last, or the network's last.
fn blocks(case: &Case) -> Vec<usize> {
    let whole = |value: &Value| value.as_u64().unwrap() as usize;
    match &case.json["f_idx"] {
        Value::Null => vec![case.integer("/network/net_depth") as usize - 1],
        Value::Array(ends) => (whole(&ends[0])..=whole(&ends[ends.len() - 1])).collect(),
        one => vec![whole(one)],
    }
}

/// Recorded operations, with the tensors that hold the draws of each image in the place of their names.
fn operations(case: &Case, recorded: &[Value]) -> Vec<Operation> {
    let read = |operation: &Value| {
        let mut operation = operation.clone();
        for (_, draw) in operation.as_object_mut().unwrap() {
            let Some(tensor) = draw.as_str().and_then(|name| case.get(name)) else { continue };
            *draw = match tensor.kind() {
                Kind::Int64 => serde_json::json!(Vec::<i64>::try_from(tensor.flatten(0, -1)).unwrap()),
                _ => serde_json::json!(Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()),
            };
        }
        serde_json::from_value(operation).unwrap_or_else(|why| panic!("{}: {why}", case.id))
    };
    recorded.iter().map(read).collect()
}

/// Whether the strategy can draw these operations, in this order and shared in this way.
fn drawn(strategy: &str, recorded: &[Operation], sharing: Sharing) -> bool {
    let kinds = |operations: &[Operation]| {
        // Up to the numbers: `Crop { tx: Each(`.
        let kind = |operation: &Operation| format!("{operation:?}").split_inclusive('(').next().unwrap().to_string();
        operations.iter().map(kind).collect::<Vec<_>>()
    };
    let strategy: Strategy = strategy.parse().unwrap();
    (0..200).any(|step| {
        let mut stream = stream(0, "augment", step);
        let draw = strategy.draw_combined(sharing, (28, 28), &Settings::default(), stream.generator());
        kinds(&draw) == kinds(recorded)
    })
}

/// The stored weights: IDC's ConvNet keeps its convolutions and its norms in two lists, ours are numbered as they act.
fn weights(case: &Case, network: &Network) -> Parameters {
    let stored = case.with_prefix("w.");
    let (mut convolutions, mut norms) = (0, 0);
    let mut state: BTreeMap<String, Tensor> = BTreeMap::new();
    let mut place = String::new();
    for spec in network.parameters() {
        match spec.kind {
            ParameterKind::Weight { .. } if spec.shape.len() == 4 => {
                place = format!("layers.conv.{convolutions}");
                convolutions += 1;
            }
            ParameterKind::Weight { .. } => place = "classifier".into(),
            ParameterKind::NormWeight => {
                place = format!("layers.norm.{norms}");
                norms += 1;
            }
            _ => {}
        }
        let (_, last) = spec.name.rsplit_once('.').unwrap();
        let name = format!("{place}.{last}");
        let tensor = stored.get(&name).unwrap_or_else(|| panic!("{}: no weight {name:?}", case.id));
        state.insert(spec.name.clone(), tensor.shallow_clone());
    }
    network.load(&state).unwrap_or_else(|why| panic!("{}: {why}", case.id))
}
