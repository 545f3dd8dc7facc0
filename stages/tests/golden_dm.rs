//! Golden cases of family `dm`: loss and gradient of distribution matching, through the functions that the loop uses.

#![allow(clippy::unwrap_used)]

mod golden;

use ddpipe_stages::common::augment::{Operation, Settings};
use ddpipe_stages::common::matching::{ClassAugmentation, ClassImages};
use ddpipe_stages::common::network::Chunk;
use ddpipe_stages::distill::dm::loss;
use golden::Case;
use tch::Kind;

#[test]
fn golden_dm() {
    golden::run("dm", |case, report| {
        let network = golden::network::network(case);
        let parameters = golden::network::stored_weights(case, &network);
        let augmentation = augmentation(case);
        let classes = case.integer("num_classes");
        let real = ClassImages::even(case.tensor("real").flatten(0, 1), classes).augmented(&augmentation);
        let synthetic = ClassImages::even(case.tensor("syn"), classes);
        // Chunks that cut classes apart, that hold one, and that hold all.
        for chunk in [1, synthetic.counts[0], i64::MAX].map(Chunk) {
            let mean_real = loss::mean_embeddings(&network, &parameters, &real, chunk).unwrap();
            let matched =
                loss::match_embeddings(&network, &parameters, &mean_real, &synthetic, &augmentation, chunk).unwrap();
            report.compare(case, "mean_embedding_real", &mean_real);
            report.compare(case, "mean_embedding_syn", &matched.mean_KD);
            if case.get("loss_per_class").is_some() {
                report.compare(case, "loss_per_class", &matched.per_class_K);
            }
            report.compare(case, "loss", &matched.per_class_K.sum(Kind::Float));
            report.compare(case, "grad_syn", &matched.gradient_MCHW);
        }
    });
}

/// The recorded augmentation of every class.
fn augmentation(case: &Case) -> ClassAugmentation {
    let classes = case.integer("num_classes");
    if !case.has("dsa") {
        return ClassAugmentation::none(classes);
    }
    let settings: Settings = serde_json::from_value(case.value("dsa_parameters").clone()).unwrap();
    let mut operations = vec![Vec::new(); classes as usize];
    for class in case.list("dsa") {
        let recorded: Vec<Operation> = serde_json::from_value(class["operations"].clone()).unwrap();
        operations[class["class"].as_u64().unwrap() as usize] = recorded;
    }
    ClassAugmentation { operations, settings }
}
