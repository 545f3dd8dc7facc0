//! Neural feature regression: the regression against ridge regression in its primal form, its gradient against finite
//! differences; and the stage `distill.frepo`, driven as the worker drives it: that images and labels move where the loss
//! falls, and what each parameter changes.

use crate::bars::{self, CLASSES, IPC, images, real, start};
use crate::host::small::Small;
use crate::host::{Event, Stage, json, message, tensors};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::loss::centred;
use ddpipe_nn::network::{Mode, Network, NetworkSpec, Norm, Overrides, Parameters};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{SyntheticSet, TensorFile};
use ddpipe_stages::context::{Artifact, Outputs};
use ddpipe_stages::distill::frepo::loss::{Real, Regressed, margin, predict, regress};
use tch::{Device, Kind, Tensor};

const REG: f64 = 1e-6;

fn stage() -> Stage {
    stage_from(&start())
}

fn stage_from(start: &TensorFile) -> Stage {
    let stage = Stage::of("distill.frepo").tensors("real", "real", &real()).tensors("start", "start", start);
    let stage = stage.param("arch", "convnet2").param("width", 8).param("batch_real", 24).param("iterations", 7);
    stage.param("networks", 3).param("net_steps", 2).param("lr_img", 0.02).param("lr_net", 0.01)
}

/// Networks are replaced after three steps of theirs at the latest: stopped after every step, before and after that.
pub fn small() -> Vec<Small> {
    let of = |norm: &str, optimizer: &str| {
        let stage = stage().param("norm", norm).param("optimizer", optimizer).param("batch_syn", 4);
        let small = Small::of(stage).named(format!("{norm} norm, {optimizer}"));
        small.continues(1, 1..=7)
    };
    vec![of("instance", "lamb"), of("batch", "adam")]
}

fn random(purpose: &str, shape: &[i64]) -> Tensor {
    stream(2, purpose, 0).normal_tensor(shape).to_kind(Kind::Double)
}

fn value(scalar: &Tensor) -> f64 {
    f64::try_from(scalar).unwrap()
}

fn labels(outputs: &Outputs) -> Tensor {
    tensors(outputs, "synthetic").get("labels").unwrap().shallow_clone()
}

/// A network in double precision, real images as it sees them, and a synthetic set of two images per class.
struct Case {
    network: Network,
    parameters: Parameters,
    real: Real,
    images: Tensor,
    labels: Tensor,
}

impl Case {
    fn of(arch: &str, overrides: Overrides) -> Self {
        let network = Network::new(&NetworkSpec::named(arch, &overrides, 1, [16, 16], 3).unwrap()).unwrap();
        let parameters = network.init(stream(1, "network", 0).generator(), Device::Cpu).unwrap();
        let cast = |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.to_kind(Kind::Double)).collect();
        let parameters = Parameters { trainable: cast(&parameters.trainable), buffers: cast(&parameters.buffers) };
        let shown = random("real", &[9, 1, 16, 16]);
        let features = network.embed(&parameters, &shown, Mode::Eval).unwrap();
        let classes = Tensor::from_slice(&[0i64, 1, 2, 0, 1, 2, 0, 1, 2]);
        let real = Real { features_BD: features, targets_BK: centred(&classes, 3).unwrap() };
        let (images, labels) = (random("images", &[6, 1, 16, 16]), random("labels", &[6, 3]));
        Case { network, parameters, real, images, labels }
    }

    fn at(&self, images: &Tensor, labels: &Tensor, flip: bool, reg: f64) -> Regressed {
        regress(&self.network, &self.parameters, &self.real, (images, labels), flip, reg).unwrap()
    }
}

/// With more images than features and with fewer: (XᵀX + λI)⁻¹XᵀY is the other way to write the same regression.
#[test]
fn the_prediction_is_that_of_ridge_regression_in_its_primal_form() {
    for (count, size, reg) in [(6, 40, 1e-6), (6, 40, 0.3), (30, 8, 0.05)] {
        let (synthetic, labels, real) =
            (random("features", &[count, size]), random("labels", &[count, 4]), random("real", &[11, size]));
        let ridge = value(&synthetic.square().sum(Kind::Double)) * reg / count as f64;
        let across = synthetic.transpose(0, 1);
        let normal = across.matmul(&synthetic) + Tensor::eye(size, (Kind::Double, Device::Cpu)) * ridge;
        let expected = real.matmul(&normal.inverse().matmul(&across).matmul(&labels));
        let got = predict(&real, &synthetic, &labels, reg).unwrap();
        let off = value(&(&got - &expected).abs().max());
        assert!(off < 1e-8, "{count} images, {size} features, reg {reg}: {off}");
        let other = predict(&real, &synthetic, &labels, 2.0 * reg + 0.1).unwrap();
        assert!(!got.allclose(&other, 1e-3, 1e-3, false), "the ridge acts");
    }
    // Nearly no ridge: the regression knows by heart what it has learnt.
    let (synthetic, labels) = (random("features", &[6, 40]), random("labels", &[6, 4]));
    let learnt = predict(&synthetic, &synthetic, &labels, 1e-9).unwrap();
    assert!(learnt.allclose(&labels, 0.0, 1e-6, false));
}

#[test]
fn only_so_much_of_a_margin_counts() {
    let labels = Tensor::from_slice(&[0.9f64, 0.1, 0.0, -0.2, 0.3, 0.2, 0.5, 0.5, -1.0]).view([3, 3]);
    assert!((value(&margin(&labels).unwrap()) + (1.0 / 3.0 + 0.1 + 0.0) / 3.0).abs() < 1e-12);
}

/// In double precision, so that a small step of one pixel still shows.
#[test]
fn the_gradient_is_what_finite_differences_say() {
    let norm = |norm| Overrides { norm: Some(norm), width: Some(8), ..Overrides::default() };
    let networks = [
        ("convnet2", norm(Norm::Instance)),
        ("convnet2", norm(Norm::Batch)),
        ("convnet2", norm(Norm::None)),
        ("lenet", Overrides::default()),
    ];
    for ((arch, overrides), flip) in networks.into_iter().flat_map(|network| [(network, false), (network, true)]) {
        let case = Case::of(arch, overrides);
        let Regressed { images_MCHW, labels_MK, .. } = case.at(&case.images, &case.labels, flip, 1e-3);
        for direction in 0..3 {
            let along = |purpose, like: &Tensor| {
                stream(3, purpose, direction).normal_tensor(&like.size()).to_kind(Kind::Double)
            };
            let (pixels, entries) = (along("pixels", &case.images), along("entries", &case.labels));
            let step = 1e-6;
            let check = |what, got: f64, scale: f64, plus: Regressed, minus: Regressed| {
                let expected = (value(&plus.loss) - value(&minus.loss)) / (2.0 * step);
                let off = (got - expected).abs() / scale;
                assert!(off < 1e-5, "{arch}, flip {flip}, {what}: {got}, expected {expected}");
                assert!(scale > 1e-8, "{arch}, {what}: the gradient vanishes");
            };
            let moved = |sign: f64| case.at(&(&case.images + &pixels * (sign * step)), &case.labels, flip, 1e-3);
            let got = value(&(&images_MCHW * &pixels).sum(Kind::Double));
            check("images", got, value(&images_MCHW.norm()), moved(1.0), moved(-1.0));
            let moved = |sign: f64| case.at(&case.images, &(&case.labels + &entries * (sign * step)), flip, 1e-3);
            let got = value(&(&labels_MK * &entries).sum(Kind::Double));
            check("labels", got, value(&labels_MK.norm()), moved(1.0), moved(-1.0));
        }
    }
}

#[test]
fn the_order_of_the_set_does_not_matter() {
    let case = Case::of("convnet2", Overrides { width: Some(8), ..Overrides::default() });
    let order = Tensor::from_slice(&[4i64, 0, 5, 2, 1, 3]);
    let picked = |tensor: &Tensor| tensor.index_select(0, &order);
    let close = |one: &Tensor, other: &Tensor| one.allclose(other, 1e-9, 1e-9, false);
    for flip in [false, true] {
        let straight = case.at(&case.images, &case.labels, flip, REG);
        let mixed = case.at(&picked(&case.images), &picked(&case.labels), flip, REG);
        assert!(close(&straight.loss, &mixed.loss) && close(&straight.accuracy, &mixed.accuracy));
        assert!(close(&picked(&straight.images_MCHW), &mixed.images_MCHW));
        assert!(close(&picked(&straight.labels_MK), &mixed.labels_MK));
        // Mirrored images are the same set when its copies are mirrored anyway.
        let mirrored = case.at(&case.images.flip([3]), &case.labels, flip, REG);
        assert_eq!(close(&straight.loss, &mirrored.loss), flip);
    }
}

#[test]
fn the_loss_falls_and_images_and_labels_move() {
    let stage = stage().param("iterations", 60);
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    let curves = &json(&outputs, "curve")["curves"];
    let mean = |name: &str, from: usize| {
        let points = curves[name].as_array().unwrap();
        assert_eq!(points.len(), 60, "one point per iteration");
        points[from..from + 10].iter().map(|point| point[1].as_f64().unwrap()).sum::<f64>() / 10.0
    };
    // Less the least that the margin can come to, which is there in every loss.
    let regression = |from| mean("loss", from) + 1.0 / CLASSES as f64;
    assert!(regression(50) < 0.8 * regression(0), "{} to {}", regression(0), regression(50));
    assert!(mean("accuracy", 50) > mean("accuracy", 0));
    let told = recorder.events().iter().filter(|event| matches!(event, Event::Metric(..))).count();
    assert_eq!(told, 120);
    assert!(recorder.events().iter().any(|event| matches!(event, Event::Preview(60, png) if png.len() > 100)));

    let set = SyntheticSet::from_file(tensors(&outputs, "synthetic")).unwrap();
    let start = SyntheticSet::from_file(&start()).unwrap();
    assert_eq!((set.ipc, set.origin, set.targets), (start.ipc, start.origin, true));
    assert_ne!(set.images, start.images);
    let first = centred(&start.labels, CLASSES).unwrap() / (CLASSES as f64 / 10.0).sqrt();
    assert_eq!(set.labels.size(), [CLASSES * IPC, CLASSES]);
    assert!(value(&(&set.labels - &first).abs().max()) > 0.01, "the labels have hardly moved");
    let fixed = self::stage().param("learn_labels", false).run().unwrap();
    assert_eq!(labels(&fixed), first.to_kind(Kind::Float), "labels that are not learnt stay");
}

/// The file says what its labels are, and a set without regression targets has the bytes that it always had.
#[test]
fn labels_say_what_they_are_and_a_run_may_start_from_learnt_ones() {
    assert!(start().about.get("targets").is_none());
    let made = stage().run().unwrap();
    let file = tensors(&made, "synthetic");
    assert_eq!(file.about["targets"], true);
    let again = TensorFile::from_bytes(&file.to_bytes().unwrap(), Device::Cpu).unwrap();
    assert!(SyntheticSet::from_file(&again).unwrap().targets);
    let further = stage_from(file).param("learn_labels", false).run().unwrap();
    assert_eq!(labels(&further), labels(&made), "taken as they are");
    let hard = Stage::of("label.synthetic").tensors("synthetic", "set", file).param("labels", "hard").run().unwrap();
    assert_eq!(labels(&hard), SyntheticSet::from_file(&start()).unwrap().labels);
    assert!(tensors(&hard, "synthetic").about.get("targets").is_none());
}

#[test]
fn every_part_of_the_method_changes_the_images() {
    let of = |stage: Stage| images(&stage.run().unwrap());
    let plain = of(stage());
    let changed = [
        ("optimizer", of(stage().param("optimizer", "adam"))),
        ("lr_img", of(stage().param("lr_img", 0.01))),
        ("learn_labels", of(stage().param("learn_labels", false))),
        ("reg", of(stage().param("reg", 0.1))),
        ("flip", of(stage().param("flip", true))),
        ("batch_real", of(stage().param("batch_real", 12))),
        ("networks", of(stage().param("networks", 2))),
        ("net_steps", of(stage().param("net_steps", 0))),
        ("lr_net", of(stage().param("lr_net", 0.001))),
        ("batch_syn", of(stage().param("batch_syn", 4))),
        ("doubling", of(stage().param("doubling", false))),
        ("norm", of(stage().param("norm", "batch"))),
        ("seed", of(stage().seed(1))),
    ];
    for (index, (name, other)) in changed.iter().enumerate() {
        assert!(!other.equal(&plain), "{name} changes nothing");
        for (twin, earlier) in &changed[..index] {
            assert!(!other.equal(earlier), "{name} does what {twin} does");
        }
    }
    // Chunks change rounding only; many steps would make more of it.
    let one = |chunk: i64| of(stage().param("chunk", chunk).param("iterations", 2));
    assert!(one(3).allclose(&one(64), 1e-3, 1e-3, false));
}

#[test]
fn what_does_not_fit_is_said() {
    let (real, start) = (real(), start());
    let mlp = Stage::of("distill.frepo").tensors("real", "real", &real).tensors("start", "start", &start);
    let text = message(mlp.param("arch", "mlp").run());
    assert!(text.contains("doubling = true is for convnets; mlp has its own widths"), "{text}");
    let mut other = bars::start();
    other.tensors["images"] = stream(6, "start", 0).normal_tensor(&[CLASSES * IPC, 1, 8, 8]);
    let text = message(stage_from(&other).run());
    assert!(text.contains("16x16") && text.contains("1x8x8"), "{text}");
    let mut nothing = bars::start();
    nothing.tensors["images"] = Tensor::full([CLASSES * IPC, 1, 16, 16], f64::NAN, (Kind::Float, Device::Cpu));
    let text = message(stage_from(&nothing).run());
    assert!(text.contains("a larger reg or a smaller lr_img may help"), "{text}");
}

/// Stages that read labels as classes or probabilities do not take regression targets for either.
#[test]
fn targets_are_refused_where_labels_mean_something_else() {
    let made = stage().param("iterations", 1).run().unwrap();
    let file = tensors(&made, "synthetic");
    for kind in ["distill.dc", "distill.dsa", "distill.psg"] {
        let mut stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", file);
        if kind == "distill.psg" {
            stage = stage.param("start_is_public", true).param("delta", 1e-3).param("target_epsilon", 10.0);
            stage = stage.param("batch_real", 12);
        }
        let text = message(stage.run());
        assert!(text.contains("input \"start\": the labels are regression targets"), "{kind}: {text}");
    }
    let experts = Artifact::Bytes(ArtifactType::Trajectories, Vec::new());
    let stage = Stage::of("distill.mtt").tensors("start", "start", file).input("experts", "experts", &experts);
    let text = message(stage.run());
    assert!(text.contains("input \"start\": the labels are regression targets"), "distill.mtt: {text}");
    let continual = Stage::of("learn.continual").tensors("memory", "memory", file).tensors("test", "test", &real());
    let text = message(continual.run());
    assert!(text.contains("input \"memory\": the labels are regression targets"), "{text}");
}

/// A search trains on targets by squared error too: the same numbers, read as shares, give another loss.
#[test]
fn a_search_learns_from_targets() {
    let made = stage().param("iterations", 1).run().unwrap();
    let searched = |file: &TensorFile| {
        let stage = Stage::of("search.candidates").tensors("train", "set", file).tensors("test", "test", &real());
        let stage = stage.param("widths", [8]).param("depths", [2]).param("norms", ["instance"]);
        let stage = stage.param("activations", ["relu"]).param("poolings", ["average"]).param("epochs", 1);
        json(&stage.param("augment", "none").run().unwrap(), "metrics")["candidates"][0]["loss"].as_f64().unwrap()
    };
    let targets = tensors(&made, "synthetic");
    let set = SyntheticSet::from_file(targets).unwrap();
    let shares = SyntheticSet { targets: false, ..set }.to_file();
    let (regressed, classified) = (searched(targets), searched(&shares));
    assert!(regressed > 0.0 && (regressed - classified).abs() > 1e-3, "{regressed} {classified}");
}
