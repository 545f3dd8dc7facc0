//! Golden cases of family `selection`: which rows herding and greedy k-center take, and in which order.

use crate::walker::{self, Case, Report};
use ddpipe_stages::select::coreset::herding::herding;
use ddpipe_stages::select::coreset::k_center::k_center;
use tch::Tensor;

/// The tolerance that a sentence gives: "exact order; radius rel 1e-5".
fn stated(case: &Case) -> f64 {
    let text = case.value("tolerance").as_str().unwrap_or_default();
    let number = text.rsplit_once("radius rel ").and_then(|(_, number)| number.trim().parse().ok());
    number.unwrap_or_else(|| panic!("{}: no \"radius rel NUMBER\" in tolerance {text:?}", case.id))
}

fn whole(positions: impl IntoIterator<Item = usize>) -> Tensor {
    Tensor::from_slice(&positions.into_iter().map(|at| at as i64).collect::<Vec<_>>())
}

#[test]
fn herding_order() {
    walker::run_where(
        "selection",
        |case| case.has("/tensors/order"),
        |case: &Case, report: &mut Report| {
            let (features, labels) = (case.tensor("features"), case.tensor("labels"));
            let classes = case.tensor("order").size()[0];
            let rows: Vec<Tensor> = (0..classes)
                .map(|class| {
                    let members = labels.eq(class).nonzero().flatten(0, -1);
                    let of_class = features.index_select(0, &members);
                    let order = herding(&of_class, case.integer("ipc") as usize).unwrap();
                    members.index_select(0, &whole(order))
                })
                .collect();
            report.compare(case, "order", &Tensor::stack(&rows, 0));
        },
    );
}

#[test]
fn k_center_order() {
    walker::run_where(
        "selection",
        |case| case.expected().iter().any(|name| name.starts_with("order_from_")),
        |case, report| {
            for name in case.expected() {
                let Some(start) = name.strip_prefix("order_from_") else { continue };
                let amount = case.tensor(&name).size()[0] as usize;
                let centers = k_center(&case.tensor("features"), start.parse().unwrap(), amount).unwrap();
                let radius = format!("radius_from_{start}");
                report.compare_within(case, &name, &whole(centers.order), 0.0);
                report.compare_within(case, &radius, &Tensor::from(centers.radius), stated(case));
            }
        },
    );
}

#[test]
fn ties_go_to_the_first_and_nothing_is_taken_twice() {
    let same = Tensor::ones([4, 2], (tch::Kind::Float, tch::Device::Cpu));
    assert_eq!(herding(&same, 3).unwrap(), [0, 1, 2]);
    assert_eq!(k_center(&same, 2, 9).unwrap().order, [2, 0, 1, 3]);
    let line = Tensor::from_slice(&[0f32, 1.0, -1.0, 3.0]).reshape([4, 1]);
    assert_eq!(k_center(&line, 0, 3).unwrap().order, [0, 3, 1], "rows 1 and 2 are equally far");
    assert_eq!(k_center(&line, 0, 3).unwrap().radius, 1.0);
    assert_eq!(k_center(&line, 4, 3).unwrap_err().to_string(), "the first centre is row 4, there are 4 rows");
}
