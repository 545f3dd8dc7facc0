//! The template that new kinds are copied from: it compiles, runs, continues, and its golden case holds.

use crate::bars::{real, start};
use crate::host::small::Small;
use crate::host::{Stage, json, tensors};
use ddpipe_stages::artifact::SyntheticSet;
use ddpipe_stages::distill::synthesis::ClassImages;
use ddpipe_stages::registry::TEMPLATE;
use ddpipe_stages::template::loss::loss_and_gradient;
use serde_json::Value;
use tch::{Kind, Tensor};

#[test]
fn the_golden_case_holds() {
    let case: Value = serde_json::from_str(include_str!("../../TEMPLATE/golden/template.json")).unwrap();
    let numbers = |name: &str| -> Vec<f64> { serde_json::from_value(case[name].clone()).unwrap() };
    let images =
        |name: &str| ClassImages::even(Tensor::from_slice(&numbers(name)).to_kind(Kind::Float).view([4, 1, 1, 1]), 2);
    let (loss, gradient) = loss_and_gradient(&images("real"), &images("synthetic")).unwrap();
    assert_eq!(f64::try_from(loss).unwrap(), case["loss"].as_f64().unwrap());
    assert_eq!(Vec::<f64>::try_from(gradient.flatten(0, -1).to_kind(Kind::Double)).unwrap(), numbers("gradient"));
}

#[test]
fn it_runs_and_keeps_what_every_kind_promises() {
    assert_eq!(TEMPLATE.declared().unwrap().name, "distill.template");
    let stage = || {
        let stage = Stage::of("distill.template").tensors("real", "real", &real()).tensors("start", "start", &start());
        stage.param("iterations", 8).param("batch_real", 4)
    };
    let outputs = stage().run().unwrap();
    let losses: Vec<(u64, f64)> = serde_json::from_value(json(&outputs, "curve")["curves"]["loss"].clone()).unwrap();
    assert_eq!(losses.len(), 8);
    assert!(SyntheticSet::from_file(tensors(&outputs, "synthetic")).is_ok());
    Small::of(stage()).continues(2, [2, 4, 6, 8]).keeps_its_promises().unwrap();
}
