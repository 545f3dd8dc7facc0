//! Sets, networks, experts and scores that do not belong together: images that were normalised or whitened otherwise are
//! refused, and both are named; a test set takes the normalisation of what is trained on.

use crate::host::{Event, Stage, byte_set, message, tensors};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Dataset, Normalisation, TensorFile};
use ddpipe_stages::context::Outputs;
use tch::{Kind, Tensor};

/// Images of 8 x 8 in two classes, normalised by these numbers.
fn set(mean: f64, std: f64) -> TensorFile {
    let images = stream(1, "prepared", 0).uniform_tensor(&[24, 1, 8, 8], 0.0, 120.0);
    let labels: Vec<i64> = (0..24).map(|image| image % 2).collect();
    for image in (0..24).filter(|image| image % 2 == 1) {
        let _ = images.get(image).g_add_scalar_(100.0);
    }
    let normalisation = Normalisation::new(vec![mean], vec![std]);
    byte_set(images.to_kind(Kind::Uint8), Tensor::from_slice(&labels), 2, normalisation, "sample data").to_file()
}

fn plain() -> TensorFile {
    set(0.4, 0.3)
}

/// The same images, whitened.
fn white() -> TensorFile {
    let set = Dataset::from_file(&set(0.0, 1.0)).unwrap();
    let rules = ddpipe_stages::data::normalisation::Whitening::zca(
        &Tensor::zeros([64], (Kind::Double, tch::Device::Cpu)),
        &Tensor::eye(64, (Kind::Double, tch::Device::Cpu)),
        0.1,
    );
    let normalisation = Normalisation { whitening: Some(rules.unwrap()), ..set.normalisation.clone() };
    Dataset { normalisation, ..set }.to_file()
}

fn start(real: &TensorFile) -> Outputs {
    Stage::of("init.synthetic").tensors("real", "set", real).param("ipc", 1).run().unwrap()
}

fn network(train: &TensorFile) -> Outputs {
    let stage = Stage::of("train.classifier").tensors("train", "set", train).param("arch", "mlp");
    stage.param("epochs", 1).param("batch_size", 8).run().unwrap()
}

const REFUSED: &str = "belongs to whitened images, the images of";

#[test]
fn a_network_is_not_asked_about_images_that_were_prepared_otherwise() {
    let trained = network(&white());
    let of_white = start(&white());
    let labelling = |set: &Outputs| {
        Stage::of("label.synthetic").tensors("synthetic", "set", tensors(set, "synthetic")).input(
            "model",
            "m",
            &trained.artifacts["model"],
        )
    };
    labelling(&of_white).run().unwrap();
    let text = message(labelling(&start(&plain())).run());
    assert!(text.contains(&format!("the network of \"model\" {REFUSED} \"synthetic\" are not whitened")), "{text}");
    let teaching =
        Stage::of("distill.knowledge").tensors("train", "set", &plain()).param("arch", "mlp").param("epochs", 1);
    let text = message(teaching.input("teacher", "t", &trained.artifacts["model"]).run());
    assert!(text.contains(&format!("the network of \"teacher\" {REFUSED} \"train\" are not whitened")), "{text}");
    let choosing = Stage::of("select.coreset").tensors("real", "set", &plain()).param("ipc", 1);
    let text = message(choosing.input("model", "m", &trained.artifacts["model"]).run());
    assert!(text.contains(&format!("the network of \"model\" {REFUSED} \"real\" are not whitened")), "{text}");
}

#[test]
fn experts_scores_and_first_sets_belong_to_the_images_that_they_saw() {
    let experts = |train: &TensorFile| {
        let stage = Stage::of("train.experts").tensors("train", "set", train).param("experts", 1).param("epochs", 2);
        stage.param("arch", "convnet1").param("width", 4).param("augment", "none").run().unwrap()
    };
    let follow = |experts: &Outputs| {
        let stage = Stage::of("distill.mtt").tensors("start", "start", tensors(&start(&plain()), "synthetic"));
        let stage = stage.input("experts", "experts", &experts.artifacts["trajectories"]).param("iterations", 1);
        stage.param("syn_steps", 1).param("expert_epochs", 1).param("max_start_epoch", 1).param("augment", "none")
    };
    follow(&experts(&plain())).run().unwrap();
    let text = message(follow(&experts(&white())).run());
    assert!(text.contains(&format!("input \"experts\" {REFUSED} \"start\" are not whitened")), "{text}");
    let text = message(follow(&experts(&set(0.5, 0.3))).run());
    let numbers =
        "images of mean 0.5000 and deviation 0.3000, the images of \"start\" are of mean 0.4000 and deviation 0.3000";
    assert!(text.contains(numbers), "{text}");
    let matching = |real: &TensorFile| {
        let stage =
            Stage::of("distill.dm").tensors("real", "real", real).param("networks", 1).param("arch", "convnet1");
        stage.tensors("start", "start", tensors(&start(&plain()), "synthetic")).param("batch_real", 4).param("width", 4)
    };
    matching(&plain()).run().unwrap();
    let text = message(matching(&white()).run());
    assert!(
        text.contains(
            "the set of \"start\" belongs to images that are not whitened, the images of \"real\" are whitened"
        ),
        "{text}"
    );
}

#[test]
fn a_test_set_is_normalised_as_the_training_images_are() {
    let training = |test: &TensorFile| {
        let stage = Stage::of("train.classifier").tensors("train", "set", &plain()).tensors("test", "test", test);
        stage.param("arch", "mlp").param("epochs", 2).param("batch_size", 8)
    };
    let said = |stage: &Stage| {
        let recorder = stage.recorder();
        move || {
            recorder
                .events()
                .iter()
                .any(|event| matches!(event, Event::Log(_, text) if text.contains("test images are normalised")))
        }
    };
    let (same, other) = (training(&plain()), training(&set(0.1, 0.9)));
    let (said_of_same, said_of_other) = (said(&same), said(&other));
    let (same, other) = (same.run().unwrap(), other.run().unwrap());
    assert_eq!(same.metrics["accuracy"], other.metrics["accuracy"]);
    assert_eq!(same.metrics["ece"], other.metrics["ece"]);
    assert!(!said_of_same() && said_of_other());
}

#[test]
fn a_network_that_could_learn_nothing_is_refused_with_the_layer() {
    let stage = Stage::of("train.classifier").tensors("train", "set", &plain()).param("arch", "resnet18_ap");
    let text = message(stage.param("epochs", 1).run());
    assert!(text.contains("have one pixel, so an instance norm makes all of them zero"), "{text}");
    assert!(text.contains("layer layer4"), "{text}");
}

/// Two sets whose classes are numbered alike and called differently.
#[test]
fn sets_whose_classes_have_other_names_are_not_mixed() {
    let named = |names: [&str; 2]| {
        let set = Dataset::from_file(&plain()).unwrap();
        Dataset { class_names: names.map(String::from).into(), ..set }.to_file()
    };
    let (ours, theirs, none) = (named(["cat", "dog"]), named(["dog", "zebra"]), plain());
    let testing = |test: &TensorFile| {
        let stage = Stage::of("train.classifier").tensors("train", "set", &ours).tensors("test", "test", test);
        stage.param("arch", "mlp").param("epochs", 1).run()
    };
    testing(&ours).unwrap();
    testing(&none).unwrap();
    let text = message(testing(&theirs));
    let found = "class 0 is \"dog\" in the images of \"test\" and \"cat\" in the training images";
    assert!(text.contains(found), "{text}");
    let learning = Stage::of("distill.dm").tensors("start", "start", tensors(&start(&theirs), "synthetic"));
    let text = message(learning.tensors("real", "set", &ours).param("networks", 1).run());
    assert!(text.contains("class 0 is \"dog\" in the set of \"start\" and \"cat\" in the images of"), "{text}");
}
