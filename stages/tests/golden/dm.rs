//! Golden cases of family `dm`: loss and gradient of distribution matching, through the functions that the loop uses.

use crate::walker;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::Chunk;
use ddpipe_stages::distill::feature_matching::dm::loss;
use ddpipe_stages::distill::synthesis::ClassImages;
use tch::Kind;

#[test]
fn cases() {
    walker::run("dm", |case, report| {
        let network = walker::network::network(case);
        let parameters = walker::network::stored_weights(case, &network);
        let augmentation = walker::augmentation::of_classes(case);
        let classes = case.integer("num_classes");
        let mut compare = || {
            let real = ClassImages::even(case.tensor("real").flatten(0, 1), classes).augmented(&augmentation).unwrap();
            let synthetic = ClassImages::even(case.tensor("syn"), classes);
            // Chunks that cut classes apart, that hold one, and that hold all.
            for chunk in [1, synthetic.counts[0], i64::MAX].map(Chunk) {
                let mean_real = loss::mean_embeddings(&network, &parameters, &real, chunk).unwrap();
                let matched =
                    loss::match_embeddings(&network, &parameters, &mean_real, &synthetic, &augmentation, chunk)
                        .unwrap();
                report.compare(case, "mean_embedding_real", &mean_real);
                report.compare(case, "mean_embedding_syn", &matched.mean_KD);
                if case.get("loss_per_class").is_some() {
                    report.compare(case, "loss_per_class", &matched.per_class_K);
                }
                report.compare(case, "loss", &matched.per_class_K.sum(Kind::Float));
                report.compare(case, "grad_syn", &matched.gradient_MCHW);
            }
        };
        Layout::Pieces.on_cpu(&mut compare);
        Layout::Together.on_cpu(&mut compare);
    });
}
