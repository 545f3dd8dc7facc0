//! The stage `distill.psg`, driven as the worker drives it: what it spends, what it refuses, and that it learns something.

use crate::host::small::Small;
use crate::host::{Event, Stage, byte_set, json, message, tensors};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Normalisation, SyntheticSet, TensorFile, Whitening};
use ddpipe_stages::context::Outputs;
use tch::{Device, Kind, Tensor};

const CLASSES: i64 = 3;
const IMAGES: i64 = 60;

/// Noisy images \[60,1,16,16\] as bytes with a bright bar per class, mixed.
fn real() -> Dataset {
    let labels: Vec<i64> = stream(5, "order", 0).permutation(IMAGES).iter().map(|number| number % CLASSES).collect();
    let images = stream(5, "real", 0).uniform_tensor(&[IMAGES, 1, 16, 16], 0.0, 100.0);
    for (image, class) in labels.iter().enumerate() {
        let _ = images.get(image as i64).narrow(1, 4 * class + 1, 3).g_add_scalar_(120.0);
    }
    let (images, labels) = (images.to_kind(Kind::Uint8), Tensor::from_slice(&labels));
    let (normalisation, origin) = (Normalisation::new(vec![0.2], vec![0.25]), "sample data: bars".to_string());
    byte_set(images, labels, CLASSES, normalisation, origin)
}

/// A set to start from, whatever it shows.
fn start() -> TensorFile {
    let images = stream(6, "start", 0).normal_tensor(&[CLASSES * 2, 1, 16, 16]);
    let labels = Tensor::arange(CLASSES, (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(2, None, None);
    let Dataset { normalisation, origin, .. } = real();
    SyntheticSet {
        images,
        labels,
        classes: CLASSES,
        ipc: 2,
        normalisation,
        origin,
        class_names: Vec::new(),
        lr: None,
        targets: false,
        decoder: None,
    }
    .to_file()
}

/// Two networks, two turns with each, two steps a turn.
fn stage() -> Stage {
    let stage = Stage::of("distill.psg").tensors("real", "real", &real().to_file());
    let stage = stage.param("arch", "convnet2").param("width", 8).param("batch_real", 20).param("delta", 1e-3);
    stage.param("ipc", 2).param("iterations", 2).param("outer_loop", 2).param("inner_loop", 2).param("batch_loop", 2)
}

pub fn small() -> Vec<Small> {
    let augmented = stage().param("augment", "dsa").param("strategy", "color_crop_cutout_scale_rotate");
    // It asks once per step, and once per batch of a lesson: two after steps 2 and 6.
    let stops = [(1, 1), (4, 2), (9, 6)];
    vec![
        Small::of(stage()).continues(3, [2, 3, 6, 7]).stopped_at(&stops),
        Small::of(augmented).named("augmentation").continues(3, [2, 3, 6, 7]),
    ]
}

fn images(outputs: &Outputs) -> Tensor {
    tensors(outputs, "synthetic").get("images").unwrap().shallow_clone()
}

/// What two runs of the same stage have to agree in, bit by bit.
fn content(outputs: &Outputs) -> (Vec<u8>, String, String) {
    let text = |name| json(outputs, name).to_string();
    (tensors(outputs, "synthetic").to_bytes().unwrap(), text("curve"), text("privacy"))
}

/// The images' mean brightness inside the bar of their class, less that outside, over the classes.
fn bars(images: &Tensor) -> f64 {
    let each = images.size()[0] / CLASSES;
    let contrast = |class: i64| {
        let own = images.narrow(0, class * each, each);
        f64::try_from(own.narrow(2, 4 * class + 1, 3).mean(Kind::Double) - own.mean(Kind::Double)).unwrap()
    };
    (0..CLASSES).map(contrast).sum::<f64>() / CLASSES as f64
}

#[test]
fn the_noise_is_found_for_every_step_and_reported() {
    let stage = stage().param("target_epsilon", 3.0);
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    let metric = |name: &str| outputs.metrics[name];
    assert!(metric("epsilon") <= 3.0 && metric("epsilon") > 3.0 - 1e-6, "{}", metric("epsilon"));
    assert_eq!((metric("delta"), metric("private_steps")), (1e-3, 8.0));
    let privacy = json(&outputs, "privacy");
    for name in ["epsilon", "delta", "noise_multiplier"] {
        assert_eq!(privacy[name].as_f64(), Some(metric(name)), "{name}");
    }
    assert_eq!((privacy["private_steps"].as_u64(), privacy["start"].as_str()), (Some(8), Some("noise")));
    let curves = &json(&outputs, "curve")["curves"];
    let cost: Vec<f64> = curves["epsilon"].as_array().unwrap().iter().map(|point| point[1].as_f64().unwrap()).collect();
    assert!(cost.len() == 8 && cost.is_sorted() && cost[7] == metric("epsilon"), "{cost:?}");

    let set = SyntheticSet::from_file(tensors(&outputs, "synthetic")).unwrap();
    assert_eq!((set.ipc, set.images.size()), (2, vec![6, 1, 16, 16]));
    assert_eq!(Vec::<i64>::try_from(set.labels).unwrap(), [0, 0, 1, 1, 2, 2]);
    let log = format!("{:?}", recorder.events());
    assert!(log.contains("connect a file of random bytes"), "{log}");
}

#[test]
fn a_given_noise_ends_the_run_when_the_budget_is_spent() {
    let noise = stage().param("target_epsilon", 3.0).run().unwrap().metrics["noise_multiplier"];
    let stage = stage().param("target_epsilon", 3.0).param("noise_multiplier", 0.8 * noise);
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    let steps = outputs.metrics["private_steps"];
    assert!((1.0..8.0).contains(&steps), "{steps}");
    assert!(outputs.metrics["epsilon"] <= 3.0);
    assert_eq!(json(&outputs, "privacy")["planned_steps"].as_u64(), Some(8));
    let log = format!("{:?}", recorder.events());
    assert!(log.contains(&format!("the budget ends the run after {steps} of 8 steps")), "{log}");
}

#[test]
fn with_little_noise_the_bars_appear_and_with_much_they_do_not() {
    let run = |epsilon: f64| {
        let stage = stage().param("ipc", 1).param("iterations", 30).param("outer_loop", 1).param("lr_img", 1.0);
        bars(&images(&stage.param("target_epsilon", epsilon).run().unwrap()))
    };
    let (little, much) = (run(1e4), run(0.5));
    assert!(little > 0.5 && much < 0.5 * little, "{little} with little noise, {much} with much");
}

#[test]
fn augmentation_is_a_choice() {
    // The same cutout hides the same part of both sides: what is hidden is not learnt in that step, the rest is.
    let run = |strategy: &str| {
        let stage = stage().param("ipc", 1).param("iterations", 30).param("outer_loop", 1).param("lr_img", 1.0);
        let stage = stage.param("augment", "dsa").param("strategy", strategy).param("target_epsilon", 1e4);
        bars(&images(&stage.run().unwrap()))
    };
    let learnt = run("color_cutout");
    assert!(learnt > 0.3, "{learnt}");
    let error = message(stage().param("augment", "dsa").param("strategy", "crp").run());
    assert!(error.contains("\"crp\" is not known"), "{error}");
}

#[test]
fn a_transformer_whose_images_go_one_by_one_runs_too() {
    let stage = Stage::of("distill.psg").tensors("real", "real", &real().to_file()).param("arch", "vit");
    let stage = stage.param("depth", 1).param("width", 32).param("batch_real", 3).param("ipc", 1).param("delta", 1e-3);
    let stage = stage.param("iterations", 1).param("outer_loop", 1).param("inner_loop", 1).param("batch_loop", 1);
    assert!(bool::try_from(images(&stage.run().unwrap()).isfinite().all()).unwrap());
}

#[test]
fn two_runs_that_differ_share_no_draws_but_chunks_change_rounding_only() {
    let off = |a: &Outputs, b: &Outputs| f64::try_from((images(a) - images(b)).abs().max()).unwrap();
    let first = stage().run().unwrap();
    let chunked = stage().param("chunk", 4).run().unwrap();
    assert!(off(&first, &chunked) < 1e-3, "{}", off(&first, &chunked));
    // Not its length, hardly its arithmetic: the same noise would show.
    let longer_lesson = stage().param("batch_train", 255).run().unwrap();
    assert!(off(&first, &longer_lesson) > 1e-2, "{}", off(&first, &longer_lesson));
    let secret = stage().file("secret", "secret", [7u8; 32]).run().unwrap();
    assert!(off(&first, &secret) > 1e-2);
    assert_eq!(json(&secret, "privacy")["draws_from"], "seed and secret");
    let quiet = stage().file("secret", "secret", [7u8; 32]);
    let recorder = quiet.recorder();
    assert_eq!(content(&quiet.run().unwrap()), content(&secret));
    assert!(!format!("{:?}", recorder.events()).contains("random bytes"));
    assert!(off(&first, &stage().seed(1).run().unwrap()) > 1e-2);
}

#[test]
fn a_start_is_refused_unless_someone_vouches_for_it() {
    let bare = || {
        let stage = Stage::of("distill.psg").tensors("real", "real", &real().to_file());
        let stage = stage.param("arch", "convnet2").param("width", 8).param("batch_real", 20);
        stage.param("iterations", 2).param("outer_loop", 1).param("inner_loop", 0).param("delta", 1e-3)
    };
    let given = || bare().tensors("start", "drawn.synthetic", &start());
    let error = message(given().run());
    assert!(error.contains("drawn.synthetic") && error.contains("start_is_public = true"), "{error}");
    let outputs = given().param("start_is_public", true).run().unwrap();
    assert_eq!(json(&outputs, "privacy")["start"], "given, said to be public");
    let error = message(given().param("start_is_public", true).param("ipc", 3).run());
    assert!(error.contains("ipc = 3, but drawn.synthetic has 2"), "{error}");
    let error = message(bare().run());
    assert!(error.contains("`ipc` is missing"), "{error}");
    let mut small = SyntheticSet::from_file(&start()).unwrap();
    small.images = small.images.narrow(2, 0, 8);
    let error = message(bare().tensors("start", "start", &small.to_file()).param("start_is_public", true).run());
    assert!(error.contains("[1, 16, 16]") && error.contains("[1, 8, 16]"), "{error}");
}

#[test]
fn what_would_leak_or_cannot_be_clipped_is_refused_with_a_way_out() {
    let error = message(stage().param("norm", "batch").run());
    assert!(error.contains("mixes the images") && error.contains("\"group\""), "{error}");
    let error = message(stage().param("batch_real", 61).run());
    assert!(error.contains("only 60 real images"), "{error}");
    let error = message(stage().param("target_epsilon", 0.001).run());
    assert!(error.contains("no noise makes 8 steps"), "{error}");
    let error = message(stage().param("noise_multiplier", 0.01).run());
    assert!(error.contains("the first step alone"), "{error}");
    let error = message(stage().file("secret", "secret", *b"short").run());
    assert!(error.contains("5 bytes"), "{error}");
    let mut white = real();
    let double = (Kind::Double, Device::Cpu);
    let whitening = Whitening::zca(&Tensor::zeros([256], double), &Tensor::eye(256, double), 0.1).unwrap();
    white.normalisation.whitening = Some(whitening);
    let error =
        message(Stage::of("distill.psg").tensors("real", "real", &white.to_file()).param("batch_real", 3).run());
    assert!(error.contains("without whitening"), "{error}");
    let recorder = stage().param("delta", 0.1);
    let events = recorder.recorder();
    recorder.run().unwrap();
    assert!(format!("{:?}", events.events()).contains("not below 1 / 60 images"));
}

#[test]
fn nothing_that_is_told_on_the_way_comes_from_clean_gradients() {
    let stage = stage();
    let recorder = stage.recorder();
    let outputs = stage.run().unwrap();
    let told: Vec<String> = recorder
        .events()
        .iter()
        .filter_map(|event| if let Event::Metric(name, ..) = event { Some(name.clone()) } else { None })
        .collect();
    assert!(told.iter().all(|name| name == "loss") && !told.is_empty(), "{told:?}");
    let mut names: Vec<&str> = outputs.metrics.keys().map(String::as_str).collect();
    names.sort_unstable();
    let public = ["delta", "epsilon", "iterations_per_second", "loss_first", "loss_last"];
    assert_eq!(names, [&public[..], &["noise_multiplier", "private_steps", "seconds"]].concat());
}

#[test]
fn every_norm_but_batch_and_every_distance_runs() {
    let run = |arch: &str, norm: &str, distance: &str| {
        let stage = Stage::of("distill.psg").tensors("real", "real", &real().to_file()).param("norm", norm);
        let stage = if arch == "convnet2" { stage.param("width", 8) } else { stage };
        let stage = stage.param("arch", arch).param("batch_real", 3).param("ipc", 2).param("delta", 1e-3);
        let stage = stage.param("iterations", 1).param("outer_loop", 2).param("inner_loop", 1);
        let stage = stage.param("batch_loop", 1).param("distance", distance).param("divide_by", "sample");
        let outputs = stage.run().unwrap_or_else(|why| panic!("{arch}, {norm}, {distance}: {why:#}"));
        assert!(bool::try_from(images(&outputs).isfinite().all()).unwrap(), "{arch}, {norm}, {distance}");
    };
    for norm in ["group", "layer", "none"] {
        for distance in ["ours", "mse", "cos"] {
            run("convnet2", norm, distance);
        }
    }
    run("resnet18_ap", "instance", "ours");
}
