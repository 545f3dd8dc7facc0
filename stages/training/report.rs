//! The outputs of a stage for a trained network: model, document of metrics, and metrics.

use super::{EpochResult, Phase, State, TrainingSet};
use crate::artifact::{Model, Prepared};
use crate::context::Outputs;
use anyhow::{Context as _, Result};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::metrics::{AgreementReport, Calibration, Confusion, TestScores};
use ddpipe_nn::network::{Network, ParameterSpec};
use serde_json::{Value, json};

/// A network after its training.
pub struct Trained<'a> {
    /// The network.
    pub network: &'a Network,
    /// The final state of its training.
    pub state: &'a State,
    /// The set on which it was trained.
    pub set: &'a TrainingSet,
    /// Its scores on the test images, if there are any.
    pub scores: Option<&'a TestScores>,
}

impl Trained<'_> {
    fn last(&self) -> Result<&EpochResult> {
        self.state.history.last().context("no epoch was run")
    }

    fn agreement(&self) -> Option<AgreementReport> {
        let scores = self.scores?;
        AgreementReport::of([scores.agreement.as_ref()].into_iter())
    }

    /// The JSON document of metrics, without times, which differ from run to run.
    pub fn document(&self) -> Result<Value> {
        let (last, network, scores) = (self.last()?, self.network, self.scores);
        let confusion = scores.map(|scores| &scores.confusion);
        let mut document = json!({
            "origin": self.set.origin(),
            "network": network.spec(),
            "parameters": network.parameter_count(),
            "flops": network.flops(),
            "images": self.set.examples().count(),
            "accuracy": last.accuracy,
            "train_accuracy": last.train_accuracy,
            "loss": last.loss,
            "balanced_accuracy": confusion.map(Confusion::balanced_accuracy),
            "macro_f1": confusion.map(Confusion::macro_f1),
            "auc": scores.and_then(|scores| scores.auc),
            "ece": scores.and_then(TestScores::ece),
            "calibration": scores.and_then(|scores| scores.calibration.as_ref()).map(Calibration::document),
            "per_class": confusion.map(Confusion::per_class),
            "confusion": confusion.map(|confusion| &confusion.rows),
            "epochs": self.state.history,
        });
        if !self.set.class_names().is_empty() {
            document["class_names"] = json!(self.set.class_names());
        }
        for (name, groups) in self.agreement().iter().flat_map(|report| &report.documents) {
            document[*name] = groups.clone();
        }
        Ok(document)
    }

    /// The outputs `model` and `metrics` (with this document), and the metrics.
    pub fn outputs(&self, document: Value) -> Result<Outputs> {
        let (last, network, scores) = (self.last()?, self.network, self.scores);
        let tensors = network.state_dict(&self.state.parameters).into_iter().collect();
        let prepared = Some(Prepared::of(self.set.normalisation())?);
        let model = Model { network: serde_json::to_value(network.spec())?, prepared, tensors };
        let confusion = scores.map(|scores| &scores.confusion);
        let measured = [
            ("accuracy", last.accuracy),
            ("balanced_accuracy", confusion.map(Confusion::balanced_accuracy)),
            ("macro_f1", confusion.map(Confusion::macro_f1)),
            ("auc", scores.and_then(|scores| scores.auc)),
            ("ece", scores.and_then(TestScores::ece)),
            ("images_per_second", scores.map(TestScores::images_per_second)),
        ];
        let outputs = measured.into_iter().fold(Outputs::default(), |outputs, (name, value)| match value {
            Some(value) => outputs.metric(name, value),
            None => outputs,
        });
        let by_majority = self.agreement().into_iter().flat_map(|report| report.scalars);
        let outputs = by_majority.fold(outputs, |outputs, (name, accuracy)| outputs.metric(&name, accuracy));
        Ok(outputs
            .tensors("model", model.to_file())
            .json("metrics", ArtifactType::Metrics, document)
            .metric("train_accuracy", last.train_accuracy)
            .metric("loss", last.loss)
            .metric("parameters", network.parameter_count() as f64)
            .metric("flops", network.flops() as f64))
    }
}

impl Phase {
    /// Epochs, learning rate and number of trained parameters of the phase, for a document of metrics.
    pub fn document(&self) -> Value {
        let Phase { network, settings } = self;
        let trained = network.trainable().enumerate().filter(|(place, _)| !network.is_frozen(*place));
        let trained: i64 = trained.map(|(_, spec)| ParameterSpec::numel(spec)).sum();
        json!({ "epochs": settings.epochs, "lr": settings.rate, "trained_parameters": trained })
    }
}
