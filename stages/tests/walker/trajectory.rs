//! What cases of trajectory matching record: a network whose parameters are one vector, and the inner steps with their
//! batches and augmentation.

use super::Case;
use ddpipe_nn::augment::{Draws, Operation, Settings};
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_stages::distill::trajectory_matching::{InnerStep, Labels, Learnt, batches};
use serde_json::Value;
use tch::{Kind, Tensor};

/// Images, labels and learning rate of the students, in this precision. Labels with two axes are logits.
pub fn learnt(case: &Case, kind: Kind) -> Learnt {
    let labels = case.tensor("labels");
    let labels = match labels.dim() {
        2 => Labels::Logits(labels.to_kind(kind)),
        _ => Labels::Fixed(labels),
    };
    Learnt { images_MCHW: case.tensor("syn").to_kind(kind), labels, lr: case.tensor("syn_lr").to_kind(kind) }
}

/// The network of a case, which lists its parameters in the order of flat vectors.
pub fn network(case: &Case) -> Network {
    let network = super::network::network(case);
    let listed: Vec<_> = case.list("parameter_order").iter().map(|entry| entry["name"].clone()).collect();
    let ours: Vec<_> = network.trainable().map(|spec| Value::from(spec.name.clone())).collect();
    assert_eq!(ours, listed, "{}: the order of the parameters", case.id);
    network
}

/// This line's augmentation samples with align_corners.
pub fn settings(case: &Case) -> Settings {
    let mut settings = match case.has("dsa_parameters") {
        true => serde_json::from_value(case.value("dsa_parameters").clone()).unwrap(),
        false => Settings::default(),
    };
    settings.align_corners = true;
    settings
}

/// The recorded batches, as the loop cuts them from permutations, with the recorded augmentation.
pub fn steps(case: &Case) -> Vec<InnerStep> {
    let recorded: Vec<Vec<i64>> =
        case.list("batches").iter().map(|batch| serde_json::from_value(batch.clone()).unwrap()).collect();
    let images = case.tensor("syn").size()[0];
    let batch = case.integer("batch_syn");
    let per_order = (images + batch - 1) / batch;
    let mut orders = recorded.chunks(per_order as usize).map(|used| {
        let mut order: Vec<i64> = used.iter().rev().flatten().copied().collect();
        // The last permutation may be used in part: what is left of it comes first.
        let missing: Vec<i64> = (0..images).filter(|position| !order.contains(position)).collect();
        order.splice(0..0, missing);
        order
    });
    let cut = batches(|| orders.next().unwrap(), case.integer("inner_steps") as u64, batch);
    assert_eq!(cut, recorded, "{}: batches are cut from the end", case.id);
    let drawn: &[Value] = if case.has("dsa") { case.list("dsa") } else { &[] };
    cut.iter()
        .enumerate()
        .map(|(number, positions)| InnerStep {
            positions: Tensor::from_slice(positions),
            operations: drawn.get(number).map(|drawn| operations(case, number, drawn)).unwrap_or_default(),
        })
        .collect()
}

fn operations(case: &Case, number: usize, drawn: &Value) -> Vec<Operation> {
    assert_eq!(drawn["step"].as_u64(), Some(number as u64));
    let draw = |index: usize| case.tensor(drawn["draws"][index]["name"].as_str().unwrap());
    let uniform = |index| Draws::Each(Vec::<f64>::try_from(draw(index).to_kind(Kind::Double)).unwrap());
    let whole = |index| Draws::Each(Vec::<i64>::try_from(draw(index)).unwrap());
    vec![match drawn["family"].as_str().unwrap() {
        "flip" => Operation::Flip { u: uniform(0) },
        "rotate" => Operation::Rotate { u: uniform(0) },
        "scale" => Operation::Scale { ux: uniform(0), uy: uniform(1) },
        "crop" => Operation::Crop { tx: whole(0), ty: whole(1) },
        "cutout" => Operation::Cutout { ox: whole(0), oy: whole(1) },
        "color" => {
            return vec![
                Operation::Brightness { u: uniform(0) },
                Operation::Saturation { u: uniform(1) },
                Operation::Contrast { u: uniform(2) },
            ];
        }
        other => panic!("{}: no family {other:?}", case.id),
    }]
}

/// `theta_0`, `theta_1`, … as parameters.
pub fn experts(case: &Case) -> Vec<impl Fn(&Network) -> Parameters> {
    (0..)
        .map_while(|number| case.get(&format!("theta_{number}")))
        .map(|theta| {
            move |network: &Network| Parameters { trainable: network.unflatten(&theta).unwrap(), buffers: Vec::new() }
        })
        .collect()
}
