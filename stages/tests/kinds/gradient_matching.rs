//! Gradient matching: the second-order gradient against finite differences; and the stages `distill.dc` and
//! `distill.dsa`, driven as the worker drives them: that the loss falls, and what each parameter changes.

use crate::bars::{CLASSES, IPC, images, real, start};
use crate::host::small::Small;
use crate::host::{Event, Stage, json, message, tensors};
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::{Chunk, Network, NetworkSpec, Norm, Overrides, Parameters};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{SyntheticSet, TensorFile};
use ddpipe_stages::distill::gradient_matching::{
    Distance, constant_gradient, match_gradient, match_gradient_in_chunks,
};
use tch::{Device, Kind, Tensor};

const KINDS: [&str; 2] = ["distill.dc", "distill.dsa"];

/// Three networks, each with three steps of the images; `batch_real` is more than the smallest class has.
fn stage(kind: &str) -> Stage {
    stage_from(kind, &start())
}

fn stage_from(kind: &str, start: &TensorFile) -> Stage {
    let stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", start);
    let stage = stage.param("arch", "convnet2").param("width", 8).param("batch_real", 8);
    let stage = stage.param("iterations", 3).param("outer_loop", 3).param("inner_loop", 4).param("batch_train", 4);
    let stage = stage.param("lr_img", 0.5).param("lr_net", 0.05);
    if kind == "distill.dsa" { stage.param("strategy", "color_crop_cutout_scale_rotate") } else { stage }
}

/// With each distance, with norms that are not those of an image, and in chunks that cut classes.
#[test]
fn classes_together_move_the_images_as_class_after_class_does() {
    let short = |kind: &str| stage(kind).param("iterations", 1).param("inner_loop", 1).param("lr_img", 0.1);
    let cases: Vec<(&str, Stage)> = KINDS
        .iter()
        .flat_map(|kind| {
            let of = |name: &str, value: &str| short(kind).param(name, value);
            let distances = ["ours", "mse", "cos"].map(|distance| ("distance", of("distance", distance)));
            let others = [
                ("batch norm", of("norm", "batch")),
                ("layer norm", of("norm", "layer")),
                ("cut classes", short(kind).param("chunk", 5)),
            ];
            distances.into_iter().chain(others)
        })
        .collect();
    for (what, stage) in cases {
        let run = |layout: Layout| images(&layout.on_cpu(|| stage.again().run().unwrap()));
        let (pieces, together) = (run(Layout::Pieces), run(Layout::Together));
        let off = f64::try_from((&pieces - &together).abs().max()).unwrap();
        assert!(off < 2e-3, "{what}: {off}");
    }
}

pub fn small() -> Vec<Small> {
    // A step asks after each class and at its end; after the first of a network also after each batch of training.
    let (step, batches) = (CLASSES as u64 + 1, 4 * (CLASSES as u64 * IPC as u64).div_ceil(4));
    let stops = [
        (1, 0),                          // before the first step has ended
        (step, 1),                       // between two steps of a network
        (step + 3, 1),                   // while the network learns
        (2 * step + batches - 1, 1),     // while the second step compares
        (2 * step + batches, 2),         // between two networks
        (3 * step + 2 * batches - 5, 3), // in the second network's training
    ];
    let of = |kind: &str, norm: &str| {
        let stage = stage(kind).param("iterations", 2).param("outer_loop", 2).param("norm", norm);
        Small::of(stage).named(format!("{norm} norm")).continues(step + batches, 1..=4)
    };
    vec![of("distill.dc", "instance").stopped_at(&stops), of("distill.dc", "batch"), of("distill.dsa", "instance")]
}

fn double(parameters: &Parameters) -> Parameters {
    let cast = |tensors: &[Tensor]| tensors.iter().map(|tensor| tensor.to_kind(Kind::Double)).collect();
    Parameters { trainable: cast(&parameters.trainable), buffers: cast(&parameters.buffers) }
}

/// In double precision, so that a small step of one pixel still shows. Every kind of layer whose gradient has to be
/// differentiable once more is in one of the networks.
#[test]
fn the_gradient_of_gradients_is_what_finite_differences_say() {
    let norm = |norm| Overrides { norm: Some(norm), width: Some(8), ..Overrides::default() };
    let networks = [
        ("convnet2", norm(Norm::Instance)),
        ("convnet2", norm(Norm::Batch)),
        ("convnet2", norm(Norm::Layer)),
        ("lenet", Overrides::default()),
        ("vit", Overrides { depth: Some(1), width: Some(32), ..Overrides::default() }),
    ];
    for (arch, overrides) in networks {
        let spec = NetworkSpec::named(arch, &overrides, 1, [16, 16], 3).unwrap();
        let network = Network::new(&spec).unwrap();
        let parameters = double(&network.init(stream(1, "network", 0).generator(), Device::Cpu).unwrap());
        let random = |purpose, count| stream(2, purpose, 0).normal_tensor(&[count, 1, 16, 16]).to_kind(Kind::Double);
        let (real, pixels) = (random("real", 5), random("synthetic", 2));
        let label = |count: i64| Tensor::full([count], 1, (Kind::Int64, Device::Cpu));
        let target = constant_gradient(&network, &parameters, &real, &label(5), Chunk(2)).unwrap();
        for distance in [Distance::Ours, Distance::Mse, Distance::Cos] {
            let at = |pixels: &Tensor| {
                let compared = |gradient: &[Tensor]| distance.between(&target, gradient);
                match_gradient(&network, &parameters, pixels, &label(2), Tensor::shallow_clone, compared).unwrap()
            };
            let gradient = at(&pixels).gradient;
            // Along random directions: each sees all pixels at once.
            for direction in 0..3 {
                let along = stream(3, "direction", direction).normal_tensor(&[2, 1, 16, 16]).to_kind(Kind::Double);
                let step = 1e-6;
                let value = |sign: f64| f64::try_from(at(&(&pixels + &along * (sign * step))).distance).unwrap();
                let expected = (value(1.0) - value(-1.0)) / (2.0 * step);
                let got = f64::try_from((&gradient * &along).sum(Kind::Double)).unwrap();
                let scale = f64::try_from(gradient.norm()).unwrap();
                let off = (got - expected).abs() / scale;
                assert!(off < 1e-4, "{arch}, {distance:?}: {got}, expected {expected}");
                assert!(scale > 1e-8, "{arch}, {distance:?}: the gradient vanishes");
            }
        }
    }
}

/// Whatever makes the images of the pixels, and however many come of one.
#[test]
fn the_gradient_of_gradients_is_the_same_in_chunks() {
    for norm in [Norm::Instance, Norm::Batch] {
        let overrides = Overrides { norm: Some(norm), width: Some(8), ..Overrides::default() };
        let network = Network::new(&NetworkSpec::named("convnet2", &overrides, 1, [16, 16], 3).unwrap()).unwrap();
        let parameters = double(&network.init(stream(1, "network", 0).generator(), Device::Cpu).unwrap());
        let random = |purpose, count| stream(2, purpose, 0).normal_tensor(&[count, 1, 16, 16]).to_kind(Kind::Double);
        let (real, pixels) = (random("real", 4), random("synthetic", 3));
        let label = |count: i64| Tensor::arange(count, (Kind::Int64, Device::Cpu)).remainder(3);
        let target = constant_gradient(&network, &parameters, &real, &label(4), Chunk(4)).unwrap();
        // Two images of each pixel: as it is, and mirrored and darker.
        let view = |pixels: &Tensor| Tensor::cat(&[pixels, &(pixels.flip([3]) * 0.5)], 0);
        let soft = label(6).one_hot(3).to_kind(Kind::Double) * 0.7 + 0.1;
        for (distance, labels) in [(Distance::Ours, label(6)), (Distance::Mse, soft), (Distance::Cos, label(6))] {
            let compared = |gradient: &[Tensor]| distance.between(&target, gradient);
            let whole = match_gradient(&network, &parameters, &pixels, &labels, view, compared).unwrap();
            let scale = f64::try_from(whole.gradient.abs().max()).unwrap();
            for chunk in [1, 4, 5] {
                let (network, chunk) = (&network, Chunk(chunk));
                let parts =
                    match_gradient_in_chunks(network, &parameters, &pixels, &labels, view, compared, chunk).unwrap();
                let off = f64::try_from((&parts.gradient - &whole.gradient).abs().max()).unwrap();
                assert!(scale > 1e-6 && off < 1e-9 * scale, "{norm:?}, {distance:?}, {chunk:?}: {off} of {scale}");
                let far = f64::try_from((&parts.distance / &whole.distance - 1.0).abs()).unwrap();
                assert!(far < 1e-9, "{norm:?}, {distance:?}, {chunk:?}: {far}");
            }
        }
    }
}

#[test]
fn the_loss_falls_and_only_the_images_change() {
    for kind in KINDS {
        let stage = stage(kind).param("iterations", 20).param("outer_loop", 2);
        let recorder = stage.recorder();
        let outputs = stage.run().unwrap();
        let curve = json(&outputs, "curve")["curves"]["loss"].as_array().unwrap();
        assert_eq!(curve.len(), 20, "one point per iteration");
        assert_eq!((curve[0][0].as_u64(), curve[19][0].as_u64()), (Some(1), Some(20)));
        let mean = |points: &[serde_json::Value]| points.iter().map(|point| point[1].as_f64().unwrap()).sum::<f64>();
        let (first, last) = (mean(&curve[..3]), mean(&curve[17..]));
        assert!(last < 0.8 * first, "{kind}: {first} to {last}");
        let told = recorder.events().iter().filter(|event| matches!(event, Event::Metric(..))).count();
        assert_eq!(told, 20);
        assert!(recorder.events().iter().any(|event| matches!(event, Event::Preview(20, png) if png.len() > 100)));

        let set = SyntheticSet::from_file(tensors(&outputs, "synthetic")).unwrap();
        let start = SyntheticSet::from_file(&start()).unwrap();
        assert_eq!(set.labels, start.labels);
        assert_eq!((set.ipc, set.origin), (start.ipc, start.origin));
        assert_ne!(set.images, start.images);
    }
}

/// What makes the two kinds what they are, and what each parameter has to act on.
#[test]
fn every_part_of_the_method_changes_the_images() {
    let of = |stage: Stage| images(&stage.run().unwrap());
    let plain = of(stage("distill.dc"));
    let changed = [
        ("augmentation", of(stage("distill.dsa"))),
        ("distance", of(stage("distill.dc").param("distance", "mse"))),
        ("distance", of(stage("distill.dc").param("distance", "cos"))),
        ("no training", of(stage("distill.dc").param("inner_loop", 0))),
        ("lr_net", of(stage("distill.dc").param("lr_net", 0.01))),
        ("batch_train", of(stage("distill.dc").param("batch_train", 6))),
        ("norm", of(stage("distill.dc").param("norm", "batch"))),
        ("seed", of(stage("distill.dc").seed(1))),
    ];
    for (what, images) in changed {
        let moved = f64::try_from((&plain - images).abs().max()).unwrap();
        assert!(moved > 1e-4, "{what}: {moved}");
    }
    let off = f64::try_from((&plain - of(stage("distill.dc").param("chunk", 1))).abs().max()).unwrap();
    assert!(off < 1e-3, "chunks change rounding only: {off}");
}

#[test]
fn soft_labels_are_compared_and_learnt_as_they_are() {
    let mut soft = SyntheticSet::from_file(&start()).unwrap();
    soft.labels = soft.labels.one_hot(CLASSES).to_kind(Kind::Float);
    let from =
        |set: &SyntheticSet| images(&stage_from("distill.dc", &set.to_file()).param("iterations", 1).run().unwrap());
    let hard = from(&SyntheticSet::from_file(&start()).unwrap());
    let certain = from(&soft);
    let off = f64::try_from((hard - &certain).abs().max()).unwrap();
    assert!(off < 1e-4, "certain labels are hard labels: {off}");
    soft.labels = &soft.labels * 0.7 + 0.1;
    assert!(f64::try_from((certain - from(&soft)).abs().max()).unwrap() > 1e-3);
}

#[test]
fn what_does_not_fit_is_refused_with_a_way_out() {
    for kind in KINDS {
        let bare = || Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", &start());
        let error = message(bare().run());
        assert!(
            error.contains("`outer_loop` for 2 images per class") && error.contains("give `outer_loop`"),
            "{error}"
        );
        let error = message(bare().param("outer_loop", 2).run());
        assert!(error.contains("`inner_loop` for 2 images per class"), "{error}");
        let error = message(stage(kind).param("lr_img", 1e39).param("outer_loop", 1).run());
        assert!(error.contains("a smaller lr_img"), "{error}");
        let error = message(stage(kind).param("lr_net", 1e30).run());
        assert!(error.contains("`lr_net`") && error.contains("no longer finite"), "{error}");
    }
    let error = message(Stage::of("distill.dc").param("strategy", "crop").run());
    assert!(error.contains("no parameter \"strategy\""), "{error}");
}
