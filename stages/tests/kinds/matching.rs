//! The stages that match synthetic to real images, `distill.dm` and `distill.datadam`, driven as the worker drives them:
//! that the loss falls, and what each parameter changes.

use crate::bars::{images, real, start};
use crate::host::small::Small;
use crate::host::{Event, Stage, json, message, tensors};
use ddpipe_nn::layout::Layout;
use ddpipe_stages::artifact::SyntheticSet;

const KINDS: [&str; 2] = ["distill.dm", "distill.datadam"];

/// A few steps with a small network; `batch_real` is more than the smallest class has.
fn stage(kind: &str) -> Stage {
    let stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", &start());
    let stage = stage.param("arch", "convnet2").param("width", 8).param("batch_real", 8);
    let stage = stage.param("networks", 6).param("steps_per_network", 2);
    stage.param("strategy", "color_crop_cutout_scale_rotate").param("lr_img", 0.2)
}

/// Stopped after every step: in the middle of a network's steps, and between two networks.
pub fn small() -> Vec<Small> {
    let of = |kind: &str, redraw: &str| {
        let small = Small::of(stage(kind).param("redraw", redraw)).named(format!("redraw {redraw}"));
        small.continues(1, 1..=12)
    };
    KINDS.iter().flat_map(|kind| [of(kind, "step"), of(kind, "network")]).collect()
}

#[test]
fn the_loss_falls_and_only_the_images_change() {
    for kind in KINDS {
        let stage = stage(kind).param("augment", "none").param("networks", 30).param("steps_per_network", 1);
        let recorder = stage.recorder();
        let outputs = stage.run().unwrap();
        let (first, last) = (outputs.metrics["loss_first"], outputs.metrics["loss_last"]);
        assert!(last < 0.5 * first, "{kind}: {first} to {last}");
        let curve = json(&outputs, "curve")["curves"]["loss"].as_array().unwrap();
        assert_eq!(curve.len(), 30);
        assert_eq!((curve[0][0].as_u64(), curve[29][0].as_u64()), (Some(1), Some(30)));
        assert_eq!(curve[29][1].as_f64(), Some(last));
        let told = recorder.events().iter().filter(|event| matches!(event, Event::Metric(..))).count();
        assert_eq!(told, 30);
        assert!(recorder.events().iter().any(|event| matches!(event, Event::Preview(30, png) if png.len() > 100)));

        let set = SyntheticSet::from_file(tensors(&outputs, "synthetic")).unwrap();
        let start = SyntheticSet::from_file(&start()).unwrap();
        assert_eq!(set.labels, start.labels);
        assert_eq!((set.ipc, set.origin), (start.ipc, start.origin));
        assert_ne!(set.images, start.images);
    }
}

#[test]
fn the_size_of_chunks_changes_rounding_only_and_other_seeds_change_the_images() {
    for kind in KINDS {
        for norm in ["instance", "batch"] {
            let run =
                |chunk: i64, seed| stage(kind).param("norm", norm).param("chunk", chunk).seed(seed).run().unwrap();
            let (one, all) = (images(&run(1, 0)), images(&run(1000, 0)));
            let off = f64::try_from((&one - &all).abs().max()).unwrap();
            assert!(off < 1e-3, "{kind}, {norm}: {off}");
            let moved = f64::try_from((&one - images(&run(1, 1))).abs().max()).unwrap();
            assert!(moved > 1e-2, "{kind}, {norm}: {moved}");
        }
    }
}

#[test]
fn classes_together_move_the_images_as_class_after_class_does() {
    for kind in KINDS {
        for norm in ["instance", "batch"] {
            let run = |layout: Layout| images(&layout.on_cpu(|| stage(kind).param("norm", norm).run().unwrap()));
            let (pieces, together) = (run(Layout::Pieces), run(Layout::Together));
            let off = f64::try_from((&pieces - &together).abs().max()).unwrap();
            assert!(off < 1e-3, "{kind}, {norm}: {off}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_way_out() {
    for kind in KINDS {
        let error = message(stage(kind).param("strategy", "color_crp").run());
        assert!(error.contains("\"crp\" is not known"), "{error}");
        let error = message(stage(kind).param("lr_img", 1e39).run());
        assert!(error.contains("a smaller lr_img"), "{error}");

        let mut other = SyntheticSet::from_file(&start()).unwrap();
        other.images = other.images.narrow(2, 0, 8);
        let stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", &other.to_file());
        let error = message(stage.run());
        assert!(error.contains("[1, 16, 16]") && error.contains("[1, 8, 16]"), "{error}");
    }
}

/// `norm` acts on every architecture that has one.
#[test]
fn other_networks_match_too_and_keep_to_the_norm_they_are_given() {
    for kind in KINDS {
        for arch in ["alexnet", "resnet18_ap"] {
            let run = |norm: &str| {
                let stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", &start());
                let stage = stage.param("arch", arch).param("norm", norm).param("batch_real", 3).param("networks", 1);
                let outputs = stage.param("augment", "none").param("steps_per_network", 1).run();
                images(&outputs.unwrap_or_else(|why| panic!("{kind}, {arch}, {norm}: {why:#}")))
            };
            let (instance, batch) = (run("instance"), run("batch"));
            assert!(bool::try_from(instance.isfinite().all()).unwrap(), "{kind}, {arch}");
            assert_ne!(instance, batch, "{kind}, {arch}: `norm` changes nothing");
        }
    }
}

/// Real images of all classes go together through a batch norm, whatever the network's blocks are.
#[test]
fn networks_of_inverted_residuals_match_and_take_no_norm() {
    for kind in KINDS {
        for arch in ["mobilenetv2_100", "efficientnet_b0"] {
            let stage = || {
                let stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", &start());
                let stage = stage.param("arch", arch).param("batch_real", 3).param("networks", 1);
                stage.param("augment", "none").param("steps_per_network", 1).param("lr_img", 0.1)
            };
            let outputs = stage().run().unwrap_or_else(|why| panic!("{kind}, {arch}: {why:#}"));
            let images = images(&outputs);
            assert!(bool::try_from(images.isfinite().all()).unwrap(), "{kind}, {arch}");
            assert_ne!(images, SyntheticSet::from_file(&start()).unwrap().images, "{kind}, {arch}");
            let text = message(stage().param("norm", "instance").run());
            assert!(text.contains(&format!("{arch} takes no `norm`; leave it out")), "{text}");
        }
    }
}

#[test]
fn a_network_without_maps_matches_by_its_embedding() {
    for kind in KINDS {
        let stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "start", &start());
        let stage = stage.param("arch", "vit").param("depth", 1).param("width", 32).param("batch_real", 4);
        let stage = stage.param("networks", 20).param("steps_per_network", 1).param("augment", "none");
        let outputs = stage.run().unwrap();
        assert!(outputs.metrics["loss_last"] < outputs.metrics["loss_first"], "{kind}: {:?}", outputs.metrics);
    }
}
