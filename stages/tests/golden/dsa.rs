//! Golden cases of family `dsa`: every operation alone and combined, with recorded draws, values and gradients; and the
//! older augmentation of DC.

use crate::walker::{self, Case};
use ddpipe_nn::augment::dc::{self, DcAugmentation};
use ddpipe_nn::augment::{Draws, Family, Operation, Settings, Strategy, apply};
use tch::{Kind, Tensor};

#[test]
fn cases() {
    walker::run_where(
        "dsa",
        |case| case.has("draws"),
        |case, report| {
            let settings = settings(case);
            let x = case.tensor("x").set_requires_grad(true);
            let mut recorded = Recorded::new(case);
            let operations = recorded.operations();
            if let Some(left) = recorded.names.next() {
                report.fail(case, format!("draw {left:?} was never used"));
            }
            let y = apply(&x, &operations, &settings);
            report.check(case, "the result is contiguous", y.is_contiguous());
            let grad = Tensor::run_backward(&[(&y * case.tensor("weight")).sum(y.kind())], &[&x], false, false);
            report.compare(case, "y", &y);
            report.compare(case, "grad_x", &grad[0]);
        },
    );
}

#[test]
fn of_dc() {
    walker::run_where(
        "dsa",
        |case| case.has("draws_per_image"),
        |case, report| {
            let augmentation: DcAugmentation = serde_json::from_value(case.value("parameters").clone()).unwrap();
            let operation = |draw: &serde_json::Value| {
                let mut draw = draw.clone();
                let image = draw.as_object_mut().unwrap().remove("image").unwrap();
                if let Some(noise) = case.get(&format!("noise_{image}")) {
                    let normal = Vec::<f32>::try_from(noise.flatten(0, -1)).unwrap();
                    return dc::Operation::Noise { normal };
                }
                serde_json::from_value(draw).unwrap()
            };
            let operations: Vec<_> = case.list("draws_per_image").iter().map(operation).collect();
            report.compare(case, "y", &augmentation.apply(&case.tensor("x"), &operations).unwrap());
        },
    );
}

fn settings(case: &Case) -> Settings {
    let mut settings: Settings = serde_json::from_value(case.value("parameters").clone()).unwrap();
    if case.has("grid_convention") {
        settings.align_corners = case.text("grid_convention").contains("align_corners = True");
    }
    settings
}

/// The recorded draws of a case, taken in their order.
struct Recorded<'a> {
    case: &'a Case,
    names: std::vec::IntoIter<String>,
}

impl<'a> Recorded<'a> {
    fn new(case: &'a Case) -> Self {
        let name = |draw: &serde_json::Value| draw["name"].as_str().unwrap().to_string();
        let names: Vec<_> = case.list("draws").iter().map(name).collect();
        Recorded { case, names: names.into_iter() }
    }

    /// All operations that the case runs, in order: a whole strategy, or the one that `what` names.
    fn operations(&mut self) -> Vec<Operation> {
        if !self.case.has("strategy") {
            let name = self.case.text("what").rsplit(": ").next().unwrap();
            return match name.parse::<Strategy>() {
                Ok(strategy) => self.families(strategy.families()),
                Err(_) => vec![self.operation(name)],
            };
        }
        let strategy: Strategy = self.case.text("strategy").parse().unwrap();
        match self.case.text("aug_mode") {
            "M" => self.families(strategy.families()),
            "S" => {
                let chosen = i64::try_from(self.next().flatten(0, -1).get(0)).unwrap() as usize;
                self.families(&[strategy.families()[chosen]])
            }
            other => panic!("aug_mode {other:?}"),
        }
    }

    fn families(&mut self, families: &[Family]) -> Vec<Operation> {
        let mut operations = Vec::new();
        for family in families {
            match family {
                Family::Color => {
                    operations.extend(["brightness", "saturation", "contrast"].map(|name| self.operation(name)));
                }
                family => operations.push(self.operation(&family.to_string())),
            }
        }
        operations
    }

    fn operation(&mut self, name: &str) -> Operation {
        match name {
            "brightness" => Operation::Brightness { u: self.uniform() },
            "saturation" => Operation::Saturation { u: self.uniform() },
            "contrast" => Operation::Contrast { u: self.uniform() },
            "crop" => Operation::Crop { tx: self.integers(), ty: self.integers() },
            "cutout" => Operation::Cutout { ox: self.integers(), oy: self.integers() },
            "flip" => Operation::Flip { u: self.uniform() },
            "scale" => Operation::Scale { ux: self.uniform(), uy: self.uniform() },
            "rotate" => Operation::Rotate { u: self.uniform() },
            other => panic!("there is no operation {other:?}"),
        }
    }

    fn next(&mut self) -> Tensor {
        let name = self.names.next().unwrap_or_else(|| panic!("the case records too few draws"));
        self.case.tensor(&name)
    }

    fn uniform(&mut self) -> Draws<f64> {
        let values = Vec::<f64>::try_from(self.next().to_kind(Kind::Double)).unwrap();
        self.share(values)
    }

    fn integers(&mut self) -> Draws<i64> {
        let values = Vec::<i64>::try_from(self.next()).unwrap();
        self.share(values)
    }

    fn share<T: Copy>(&self, values: Vec<T>) -> Draws<T> {
        let siamese = self.case.value("siamese").as_bool().unwrap();
        if siamese { Draws::Shared(values[0]) } else { Draws::Each(values) }
    }
}
