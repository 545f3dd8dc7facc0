//! A stage of each kind that computes much, with the published loop and a narrow network: how many operations there are does
//! not depend on how wide it is.

use crate::host::{Stage, byte_set, tensors};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Normalisation, TensorFile};
use ddpipe_stages::context::Artifact;
use tch::{Device, Kind, Tensor};

/// Digits are not mirrored.
const STRATEGY: &str = "color_crop_cutout_scale_rotate";

/// What the stages are given.
pub struct Material {
    /// The network, and its width.
    pub network: (&'static str, i64),
    /// Real images that are compared, or of a class, in a step.
    pub batch_real: i64,
    /// Images per class of the synthetic sets.
    pub ipc: i64,
    /// Steps of a method.
    pub steps: u64,
    real: TensorFile,
    start: TensorFile,
    experts: Artifact,
}

impl Material {
    /// Generated digits of 28x28, ten classes: for the bench.
    #[allow(dead_code)]
    pub fn digits() -> Self {
        let drawn = Stage::of("sample.digits").param("train", 3000).param("test", 100).run().unwrap();
        let decoded = Stage::of("decode.idx").input("images", "images", &drawn.artifacts["train_images"]).input(
            "labels",
            "labels",
            &drawn.artifacts["train_labels"],
        );
        let decoded = decoded.run().unwrap();
        Self::of(tensors(&decoded, "dataset").to_device(Device::Cpu), ("convnet3", 8), 256, 10, 30)
    }

    /// Noise of 16x16 in so many classes.
    pub fn noise(classes: i64) -> Self {
        let labels: Vec<i64> = (0..classes * 12).map(|image| image % classes).collect();
        let images = stream(5, "real", 0).uniform_tensor(&[classes * 12, 1, 16, 16], 0.0, 255.0).to_kind(Kind::Uint8);
        let normalisation = Normalisation::new(vec![0.5], vec![0.25]);
        let real = byte_set(images, Tensor::from_slice(&labels), classes, normalisation, "sample data: noise");
        Self::of(real.to_file(), ("convnet2", 4), 8, 2, 8)
    }

    fn of(real: TensorFile, network: (&'static str, i64), batch_real: i64, ipc: i64, steps: u64) -> Self {
        let start = Stage::of("init.synthetic").tensors("real", "real", &real).param("ipc", ipc).run().unwrap();
        let start = tensors(&start, "synthetic").to_device(Device::Cpu);
        let experts = Stage::of("train.experts").tensors("train", "real", &real).param("experts", 1).param("epochs", 2);
        let experts = experts.param("arch", network.0).param("width", network.1).param("batch_size", 512);
        let experts = experts.run().unwrap().artifacts.swap_remove("trajectories").unwrap();
        Material { network, batch_real, ipc, steps, real, start, experts }
    }

    /// The stages by what they are called in tables.
    pub fn methods(&self) -> Vec<(&'static str, Stage)> {
        let matching = |kind: &str| {
            let stage = self.narrow(Stage::of(kind)).tensors("real", "real", &self.real);
            stage.tensors("start", "start", &self.start).param("batch_real", self.batch_real)
        };
        let features = |kind: &str| matching(kind).param("networks", self.steps).param("strategy", STRATEGY);
        let gradients = |kind: &str| matching(kind).param("iterations", 2).param("outer_loop", self.steps / 2);
        let idc = self.narrow(Stage::of("distill.idc")).tensors("real", "real", &self.real).param("ipc", self.ipc);
        let idc = idc.param("batch_real", self.batch_real).param("iterations", 1).param("inner_loop", 3);
        let idc = idc.param("early_epochs", 0).param("train_images", 512).param("batch_train", 64);
        let frepo = matching("distill.frepo").param("iterations", self.steps).param("batch_real", 4 * self.batch_real);
        let psg = self.narrow(Stage::of("distill.psg")).tensors("real", "real", &self.real).param("ipc", self.ipc);
        let psg = psg.param("batch_real", 2 * self.batch_real).param("noise_multiplier", 1.0).param("iterations", 1);
        let psg = psg.param("outer_loop", 2).param("batch_loop", self.steps / 2).param("inner_loop", 2);
        let trajectories = |kind: &str| {
            let stage = Stage::of(kind).tensors("start", "start", &self.start);
            let stage = stage.input("experts", "experts", &self.experts).param("iterations", self.steps / 4 + 3);
            let stage = stage.param("syn_steps", 10).param("expert_epochs", 1).param("max_start_epoch", 1);
            stage.param("lr_img", 0.01).param("lr_lr", 1e-7).param("strategy", STRATEGY)
        };
        let datm = trajectories("distill.datm").tensors("real", "real", &self.real);
        let datm = datm.param("current_max_start_epoch", 1).param("expansion_end", 1).param("images", "start");
        // On noise the loss is above the usual threshold, and a step that changes nothing would count for nothing.
        let datm = datm.param("threshold", 1e9);
        let mut methods = vec![
            ("dm", features("distill.dm")),
            ("datadam", features("distill.datadam").param("norm", "instance")),
            ("dc", gradients("distill.dc").param("inner_loop", 5)),
            ("dsa", gradients("distill.dsa").param("inner_loop", 5).param("strategy", STRATEGY)),
            ("idc", idc),
            ("frepo", frepo),
            ("psg", psg),
            ("mtt", trajectories("distill.mtt")),
            ("datm", datm),
        ];
        for (name, augment) in [("student", "none"), ("student, dsa", "dsa"), ("student, dc", "dc")] {
            methods.push((name, self.student().param("augment", augment)));
        }
        methods.push(("three students, dsa", self.student().param("augment", "dsa").param("students", 3)));
        methods
    }

    /// A student of an evaluation: one step an epoch.
    fn student(&self) -> Stage {
        let stage = self.narrow(Stage::of("evaluate.classifier")).tensors("synthetic", "set", &self.start);
        let stage = stage.tensors("test", "test", &self.real).param("students", 1);
        stage.param("epochs", 2 * self.steps).param("strategy", STRATEGY)
    }

    fn narrow(&self, stage: Stage) -> Stage {
        stage.param("arch", self.network.0).param("width", self.network.1)
    }
}
