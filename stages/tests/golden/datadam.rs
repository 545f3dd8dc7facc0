//! Golden cases of family `datadam`: attention maps with their gradients; loss and gradient of attention matching,
//! through the functions that the loop uses.

use crate::walker;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::loss::{AttentionNorm, attention};
use ddpipe_nn::network::Chunk;
use ddpipe_stages::distill::feature_matching::datadam::loss::{Settings, class_means, match_means};
use ddpipe_stages::distill::synthesis::ClassImages;
use tch::{Device, Kind, Tensor};

/// A call is written `param1_exp4_l2`; param 0 takes the plain sum of absolute values, whatever the exponent.
#[test]
fn attention_maps() {
    walker::run_where(
        "datadam",
        |case| case.has("calls"),
        |case, report| {
            for call in case.list("calls") {
                let name = call.as_str().unwrap();
                let mut words = name.splitn(3, '_');
                let mut word = |prefix: &str| words.next().unwrap().strip_prefix(prefix).unwrap().to_string();
                let param = word("param");
                let exponent = if param == "0" { 1.0 } else { word("exp").parse().unwrap() };
                let norm = name.rsplit('_').next().unwrap();
                let expected = case.tensor(name);
                let feature = case.tensor("feature").set_requires_grad(true);
                let norm = if norm == "vectorized" { "none" } else { norm.trim_end_matches("-vectorized") };
                let map = attention(&feature, exponent, normalisation(norm)).unwrap();
                // Two of the published forms keep the rows and columns of the map.
                report.compare(case, name, &map.view(&expected.size()[..]));
                let k = Tensor::arange(map.numel() as i64, (Kind::Double, Device::Cpu)) * 0.3;
                let weight = k.sin().to_kind(map.kind()).view(&map.size()[..]);
                let gradient = Tensor::run_backward(&[(map * weight).sum(Kind::Float)], &[&feature], false, false);
                report.compare(case, &format!("grad_{name}"), &gradient[0]);
            }
        },
    );
}

#[test]
fn loss() {
    walker::run_where(
        "datadam",
        |case| case.has("network"),
        |case, report| {
            let network = walker::network::network(case);
            let parameters = walker::network::stored_weights(case, &network);
            let augmentation = walker::augmentation::of_classes(case);
            // Param 0 of the published code ignores its exponent.
            let exponent = if case.integer("param") == 0 { 1.0 } else { case.number("exp") };
            let settings = Settings {
                exponent,
                normalisation: normalisation(case.text("norm")),
                task_balance: case.number("task_balance"),
            };
            report.equal(case, "error_type", case.text("error_type"), "MSE_B");
            let classes = case.integer("num_classes");
            let mut compare = || {
                let real =
                    ClassImages::even(case.tensor("real").flatten(0, 1), classes).augmented(&augmentation).unwrap();
                let synthetic = ClassImages::even(case.tensor("syn"), classes);
                // Chunks that cut classes apart, that hold one, and that hold all.
                for chunk in [1, synthetic.counts[0], i64::MAX].map(Chunk) {
                    let means = class_means(&network, &parameters, &real, settings, chunk).unwrap();
                    let matched =
                        match_means(&network, &parameters, &means, &synthetic, &augmentation, settings, chunk).unwrap();
                    for (layer, (real, synthetic)) in means.attention.iter().zip(&matched.means.attention).enumerate() {
                        report.compare(case, &format!("attention_mean_real_{layer}"), real);
                        report.compare(case, &format!("attention_mean_syn_{layer}"), synthetic);
                    }
                    report.compare(case, "sam_loss_per_layer", &matched.attention_L);
                    report.compare(case, "sam_loss", &matched.attention_L.sum(Kind::Float));
                    report.compare(case, "mmd_loss", &matched.embedding);
                    report.compare(case, "loss", &matched.loss());
                    report.compare(case, "grad_syn", &matched.gradient_MCHW);
                }
            };
            Layout::Pieces.on_cpu(&mut compare);
            Layout::Together.on_cpu(&mut compare);
        },
    );
}

fn normalisation(name: &str) -> AttentionNorm {
    serde_json::from_value(name.into()).unwrap()
}
