//! `distill.idc` and `decode.synthetic`, driven as the worker drives them: that the loss falls; that a set with a decoder
//! is decoded wherever it is learnt from; and that other methods refuse it.

use crate::bars::{CLASSES, IPC, images, real, start};
use crate::host::small::Small;
use crate::host::{Event, Stage, json, message, tensors};
use ddpipe_nn::augment::{Augment, Combined, Strategy};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Decoder, Formation, SyntheticSet, TensorFile};
use ddpipe_stages::context::Outputs;
use tch::{Kind, Tensor};

/// Two networks, each with two turns of three steps; a lesson has two batches.
fn stage() -> Stage {
    let stage = Stage::of("distill.idc").tensors("real", "real", &real()).param("arch", "convnet2").param("width", 8);
    let stage = stage.param("batch_real", 8).param("batch_train", 8).param("train_images", 12).param("iterations", 2);
    stage.param("inner_loop", 2).param("lr_img", 0.05).param("lr_base_size", 16.0)
}

/// One stored image per class, which holds four.
fn grids() -> Stage {
    stage().param("ipc", 1)
}

fn stored(outputs: &Outputs) -> SyntheticSet {
    SyntheticSet::from_file(tensors(outputs, "synthetic")).unwrap()
}

fn with_decoder(factor: i64) -> TensorFile {
    let decoder = Some(Decoder { factor, formation: Formation::Single });
    SyntheticSet { decoder, lr: Some(0.25), ..SyntheticSet::from_file(&start()).unwrap() }.to_file()
}

fn decoded(set: &TensorFile) -> Outputs {
    Stage::of("decode.synthetic").tensors("synthetic", "set", set).run().unwrap()
}

pub fn small() -> Vec<Small> {
    // A turn asks after each class; a network's lesson of two batches comes before each turn but its first.
    let (turn, lesson) = (CLASSES as u64, 2);
    let kept = grids().param("iterations_per_network", 2);
    let early = grids().param("early_epochs", 1).param("cutmix", 0.0);
    vec![
        Small::of(grids()).continues(3, [3, 4, 7, 9, 10]).stopped_at(&[
            (turn + 1, turn),                  // in the first lesson
            (turn + lesson + 1, turn + 1),     // in the second turn
            (2 * turn + lesson, 2 * turn),     // between two networks
            (3 * turn + 2 * lesson, 3 * turn), // at the end of the second network's lesson
        ]),
        Small::of(kept)
            .named("a network kept for two iterations")
            .continues(4, [3, 5, 7, 9, 11])
            .stopped_at(&[(2 * turn + 2 * lesson - 1, 2 * turn), (3 * turn + 2 * lesson + 1, 3 * turn)]),
        Small::of(early)
            .named("networks trained before, cutmix")
            .continues(6, [1, 5, 6, 7, 11])
            .stopped_at(&[(2, 0), (5 + turn + lesson + 1, turn + 1)]),
        Small::of(Stage::of("decode.synthetic").tensors("synthetic", "set", &with_decoder(2))),
    ]
}

#[test]
fn the_loss_falls_and_the_set_stays_small() {
    let stage = grids().param("init", "noise").param("augment", "none").param("iterations", 20);
    let stage = stage.param("lr_img", 0.1);
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    let curve = json(&outputs, "curve")["curves"]["loss"].as_array().unwrap();
    assert_eq!(curve.len(), 20, "one point per iteration");
    let mean = |points: &[serde_json::Value]| points.iter().map(|point| point[1].as_f64().unwrap()).sum::<f64>();
    let (first, last) = (mean(&curve[..5]), mean(&curve[15..]));
    assert!(last < 0.75 * first, "{first} to {last}");
    assert!(recorder.events().iter().any(|event| matches!(event, Event::Preview(20, png) if png.len() > 100)));

    let set = stored(&outputs);
    assert_eq!(set.images.size(), [CLASSES, 1, 16, 16]);
    assert_eq!(Vec::<i64>::try_from(&set.labels).unwrap(), [0, 1, 2]);
    assert_eq!(set.decoder, Some(Decoder { factor: 2, formation: Formation::Single }));
    assert_eq!(set.normalisation, Dataset::from_file(&real()).unwrap().normalisation);
    for (name, value) in [("stored_ipc", 1.0), ("ipc", 4.0), ("evaluation_epochs", 1000.0), ("lr_img", 0.01)] {
        assert!((outputs.metrics[name] - value).abs() < 1e-12, "{name}: {:?}", outputs.metrics);
    }
}

#[test]
fn every_part_of_the_method_changes_the_images() {
    let of = |stage: Stage| images(&stage.run().unwrap());
    let plain = of(grids());
    let features = || grids().param("match", "features").param("lr_img", 0.5);
    let changed = [
        ("augment", of(grids().param("augment", "none"))),
        ("strategy", of(grids().param("strategy", "crop"))),
        ("metric", of(grids().param("metric", "mse"))),
        ("metric", of(grids().param("metric", "l1_mean"))),
        ("metric", of(grids().param("metric", "cos"))),
        ("match_bias", of(grids().param("match_bias", true))),
        ("match_fc", of(grids().param("match_fc", true))),
        ("features", of(features())),
        ("decode_type", of(grids().param("decode_type", "multi"))),
        ("batch_syn_max", of(grids().param("batch_syn_max", 3))),
        ("cutmix", of(grids().param("cutmix", 0.0).param("strategy", "color_crop"))),
        ("early_epochs", of(grids().param("early_epochs", 1))),
        ("train_images", of(grids().param("train_images", 0))),
        ("train_passes", of(grids().param("train_passes", 2))),
        ("iterations_per_network", of(grids().param("iterations_per_network", 2))),
        ("lr_net", of(grids().param("lr_net", 0.2))),
        ("momentum_net", of(grids().param("momentum_net", 0.0))),
        ("momentum_img", of(grids().param("momentum_img", 0.0))),
        ("init", of(grids().param("init", "noise"))),
        ("seed", of(grids().seed(1))),
    ];
    for (what, images) in changed {
        let moved = f64::try_from((&plain - images).abs().max()).unwrap();
        assert!(moved > 1e-5, "{what}: {moved}");
    }
    let moved = f64::try_from((of(features()) - of(features().param("blocks", [0]))).abs().max()).unwrap();
    assert!(moved > 1e-5, "blocks: {moved}");
    let bound = of(grids().param("decode_type", "bound"));
    assert_eq!(bound, plain, "a bound that is not reached is none");
    for part in [grids, features as fn() -> Stage] {
        let off = f64::try_from((of(part()) - of(part().param("chunk", 1))).abs().max()).unwrap();
        assert!(off < 1e-3, "chunks change rounding only: {off}");
    }
}

#[test]
fn a_run_starts_from_what_is_given_and_pixels_are_kept_in_range_at_the_start_of_an_iteration() {
    // A rate of nearly nothing shows the start.
    let still = |stage: Stage| stored(&stage.param("lr_img", 1e-12).run().unwrap());
    let pixels = |set: &SyntheticSet| set.normalisation.undo(&set.images);
    let given = SyntheticSet::from_file(&start()).unwrap();
    let from = still(stage().tensors("start", "start", &start()).param("factor", 1));
    assert!(from.decoder.is_none());
    assert_eq!(from.labels, given.labels);
    assert!(pixels(&from).allclose(&pixels(&given).clamp(0.0, 1.0), 1e-5, 1e-5, false));
    let going_on = still(stage().tensors("start", "start", &with_decoder(2)));
    assert_eq!((going_on.ipc, going_on.lr), (IPC, Some(0.25)));
    assert!(going_on.decoder.is_some());

    // The first images of a class: those of a grid are real ones, made smaller.
    let real = Dataset::from_file(&real()).unwrap();
    let grid = pixels(&still(grids().param("decode_type", "multi")));
    let bytes = (&grid * 255.0).round();
    assert!((&grid * 255.0).allclose(&bytes, 0.0, 1e-2, false), "pixels of real images");
    let random = pixels(&still(grids().param("factor", 1))) * 255.0;
    for class in 0..CLASSES {
        let distances = (&real.images.to_kind(Kind::Float) - random.get(class).unsqueeze(0)).abs();
        let nearest = distances.amax([1i64, 2, 3].as_slice(), false).argmin(0, false);
        let position = i64::try_from(&nearest).unwrap();
        assert!(f64::try_from(distances.get(position).max()).unwrap() < 1e-2);
        assert_eq!(real.labels.int64_value(&[position]), class);
    }
}

#[test]
fn decoding_gives_all_images_with_their_labels_and_keeps_the_rest() {
    let mut set = SyntheticSet::from_file(&with_decoder(3)).unwrap();
    let hard = decoded(&set.to_file());
    let all = stored(&hard);
    assert_eq!(all.images.size(), [CLASSES * IPC * 9, 1, 16, 16]);
    assert_eq!((all.ipc, all.lr, all.decoder), (IPC * 9, Some(0.25), None));
    assert_eq!((hard.metrics["ipc"], hard.metrics["stored_ipc"]), (18.0, 2.0));
    let classes = Tensor::arange(CLASSES, (Kind::Int64, tch::Device::Cpu)).repeat_interleave_self_int(18, None, None);
    assert_eq!(all.labels, classes, "all images of a class stand together");
    // 16 rows in cells of 6: what is missing is grey in pixels, whatever the normalisation.
    let last = all.normalisation.undo(&all.images.narrow(0, 17, 1));
    assert!((f64::try_from(last.get(0).get(0).get(15).get(15)).unwrap() - 0.5).abs() < 1e-6);

    set.labels = stream(1, "labels", 0).uniform_tensor(&[CLASSES * IPC, CLASSES], 0.0, 1.0);
    let soft = stored(&decoded(&set.to_file()));
    assert_eq!(soft.images, all.images);
    assert_eq!(soft.labels.narrow(0, 18, 2), set.labels.narrow(0, 2, 2));
    assert_eq!(soft.labels.narrow(0, 20, 2), set.labels.narrow(0, 2, 2));

    let plain = start();
    let bytes = plain.to_bytes().unwrap();
    assert_eq!(tensors(&decoded(&plain), "synthetic").to_bytes().unwrap(), bytes, "a plain set stays as it is");
    assert!(!String::from_utf8_lossy(&bytes).contains("decoder"), "sets without one have the bytes they always had");
}

/// All that is learnt from such a set is what is learnt from it decoded.
#[test]
fn a_set_is_decoded_wherever_it_is_learnt_from() {
    let small = with_decoder(2);
    let large = decoded(&small);
    let large = tensors(&large, "synthetic");
    let teacher = Stage::of("train.classifier").tensors("train", "real", &real()).param("epochs", 1).param("width", 4);
    let teacher = teacher.run().unwrap();
    let evaluate = |set: &TensorFile| {
        let stage = Stage::of("evaluate.classifier").tensors("synthetic", "set", set).tensors("test", "real", &real());
        let stage = stage.param("width", 4).param("students", 1).param("epochs", 6).param("learned_lr", true);
        let stage = stage.param("augment", "idc_cutmix").param("schedule", "multistep");
        let mut document = json(&stage.param("strategy", "color_crop_cutout").run().unwrap(), "metrics").clone();
        assert_eq!(document["images"], CLASSES * IPC * 4);
        assert_eq!(document["protocol"]["strategy"], "color_crop_cutout");
        assert_eq!(document["epochs"][0].as_array().unwrap().len(), 6);
        document.as_object_mut().unwrap().remove("seconds");
        document.to_string()
    };
    assert_eq!(evaluate(&small), evaluate(large));
    let label = |set: &TensorFile| {
        let stage = Stage::of("label.synthetic").tensors("synthetic", "set", set);
        let outputs = stage.input("model", "teacher", &teacher.artifacts["model"]).run().unwrap();
        tensors(&outputs, "synthetic").to_bytes().unwrap()
    };
    assert_eq!(label(&small), label(large));
    let learn = |set: &TensorFile| {
        let stage = Stage::of("train.classifier").tensors("train", "set", set).param("epochs", 1).param("width", 4);
        tensors(&stage.run().unwrap(), "model").to_bytes().unwrap()
    };
    assert_eq!(learn(&small), learn(large));
}

#[test]
fn methods_that_know_no_decoder_refuse_to_start_from_such_a_set() {
    for kind in ["distill.dm", "distill.datadam", "distill.dc", "distill.dsa"] {
        let stage = Stage::of(kind).tensors("real", "real", &real()).tensors("start", "small", &with_decoder(2));
        let error = message(stage.run());
        assert!(error.contains("small holds several images") && error.contains("decode.synthetic"), "{kind}: {error}");
    }
    let stage = Stage::of("distill.psg").tensors("real", "real", &real()).tensors("start", "small", &with_decoder(2));
    let error = message(stage.param("start_is_public", true).param("batch_real", 8).run());
    assert!(error.contains("small holds several images"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_with_a_way_out() {
    let refused = |stage: Stage, part: &str| {
        let error = message(stage.run());
        assert!(error.contains(part), "{error}");
    };
    let from = |set: &TensorFile| stage().tensors("start", "given", set);
    refused(stage(), "`ipc` is missing");
    refused(grids().param("factor", 17), "choose one from 1 to 16");
    refused(from(&start()), "set factor = 1");
    refused(from(&with_decoder(3)), "are cut by a factor of 3");
    refused(from(&with_decoder(2)).param("ipc", 5), "given stores 2 images of every class");
    refused(from(&with_decoder(2)).param("init", "noise"), "leave one of them out");
    refused(stage().param("ipc", 2), "class 1 has 5 real images, and 8 are wanted");
    refused(grids().param("match", "features").param("blocks", [2]), "this network has the blocks 0 to 1");
    refused(grids().param("norm", "batch"), "\"norm\"");
    let bare =
        |arch: &str| Stage::of("distill.idc").tensors("real", "real", &real()).param("ipc", 1).param("arch", arch);
    refused(bare("lenet").param("match", "features"), "needs a convnet");
    refused(bare("mlp"), "set match_fc = true");
    refused(bare("mobilenetv2_100"), "batch norms");
    refused(grids().param("lr_net", 1e30), "a lower lr_net");
    refused(grids().param("lr_img", 1e39), "a smaller lr_img");
}

#[test]
fn networks_may_start_from_experts() {
    let experts = |width: i64| {
        let stage = Stage::of("train.experts").tensors("train", "real", &real()).param("arch", "convnet2");
        let stage = stage.param("width", width).param("experts", 2).param("epochs", 3).param("batch_size", 8);
        stage.param("augment", "none").run().unwrap()
    };
    let with = |width: i64, epoch: u64| {
        let made = experts(width);
        let stage =
            grids().input("experts", "experts", &made.artifacts["trajectories"]).param("pretrained_epoch", epoch);
        stage.param("pretrained_epochs", 2).run()
    };
    let fresh = images(&grids().run().unwrap());
    assert_ne!(images(&with(8, 1).unwrap()), fresh);
    assert!(message(with(8, 3)).contains("need experts of 4 epochs, these have 3"));
    assert!(message(with(4, 1)).contains("train experts of the same network"));
}

#[test]
fn cutmix_changes_labels_with_their_images_and_leaves_cutout_out() {
    let images = stream(0, "images", 0).normal_tensor(&[6, 1, 16, 16]);
    let labels = Tensor::from_slice(&[0i64, 1, 2, 0, 1, 2]);
    let strategy: Strategy = "cutout".parse().unwrap();
    let batch = |mixed, step| Combined::new(Some(&strategy), mixed, 3).batch(&images, &labels, 3, step).unwrap();
    let (cut, same) = batch(0.0, 1);
    assert_eq!(same, labels);
    assert!(f64::try_from(cut.eq(0.0).to_kind(Kind::Float).mean(Kind::Float)).unwrap() > 0.05, "cut out");
    let (mixed, shares) = batch(1.0, 1);
    assert_eq!(shares.size(), [6, 3]);
    assert!(shares.sum_dim_intlist(1, false, Kind::Float).allclose(
        &Tensor::ones([6], tch::kind::FLOAT_CPU),
        1e-6,
        1e-6,
        false
    ));
    assert!(!bool::try_from(mixed.eq(0.0).any()).unwrap(), "nothing cut out");
    let soft = (0..200).filter(|&step| batch(0.5, step).1.dim() == 2).count();
    assert!((70..130).contains(&soft), "{soft} of 200 batches mixed");
    assert_eq!(batch(0.5, 7), batch(0.5, 7), "repeats");
}
