//! Golden cases of family `dc`: distances between gradients and their second-order gradient with respect to the images,
//! through the functions that the loop uses.

use crate::walker;
use ddpipe_nn::layout::Layout;
use ddpipe_nn::network::Chunk;
use ddpipe_stages::distill::gradient_matching::{
    Distance, constant_gradient, constant_gradients, layer_distances, match_gradient_in_chunks, match_gradients,
    with_statistics_of,
};
use ddpipe_stages::distill::synthesis::ClassImages;
use std::cell::RefCell;
use tch::{Device, Kind, Tensor};

#[test]
fn cases() {
    walker::run("dc", |case, report| {
        let network = walker::network::network(case);
        let names: Vec<_> = network.trainable().map(|spec| spec.name.as_str()).collect();
        if case.has("parameter_order") {
            let listed: Vec<_> = case.list("parameter_order").iter().map(|name| name.as_str().unwrap()).collect();
            report.equal(case, "parameter_order", &names, &listed);
        }
        let mut parameters = walker::network::stored_weights(case, &network);
        if let Some(images) = case.get("bn_real") {
            parameters = with_statistics_of(&network, parameters, &images).unwrap();
        }
        for (spec, value) in network.buffers().zip(&parameters.buffers) {
            let (layer, statistic) = spec.name.rsplit_once('.').unwrap();
            report.compare(case, &format!("{statistic}_{layer}"), value);
        }
        let distance: Distance = serde_json::from_value(case.value("metric").clone()).unwrap();
        let augmentation = walker::augmentation::of_classes(case);
        let (real, synthetic, ipc) = (case.tensor("real"), case.tensor("syn"), case.integer("ipc"));
        let counts = real.size();

        for chunk in [1, counts[1] - 1, i64::MAX].map(Chunk) {
            let (mut losses, mut gradients, mut layers) = (Vec::new(), Vec::new(), Vec::new());
            for class in 0..counts[0] {
                let label = |count: i64| Tensor::full([count], class, (Kind::Int64, Device::Cpu));
                let view = |images: &Tensor| augmentation.apply(class as usize, images);
                let images = view(&real.get(class));
                let target = constant_gradient(&network, &parameters, &images, &label(counts[1]), chunk).unwrap();
                let parts = RefCell::new(Vec::new());
                let compared = |gradient: &[Tensor]| {
                    *parts.borrow_mut() = layer_distances(&target, gradient)?;
                    distance.between(&target, gradient)
                };
                let pixels = synthetic.narrow(0, class * ipc, ipc);
                let matched =
                    match_gradient_in_chunks(&network, &parameters, &pixels, &label(ipc), view, compared, chunk)
                        .unwrap();
                losses.push(matched.distance);
                gradients.push(matched.gradient);
                layers.push(Tensor::stack(&parts.into_inner(), 0).detach());
            }
            let losses = Tensor::stack(&losses, 0);
            report.compare(case, "loss_per_class", &losses);
            report.compare(case, "loss", &losses.sum(Kind::Float));
            report.compare(case, "grad_syn", &Tensor::cat(&gradients, 0));
            if distance == Distance::Ours {
                report.compare(case, "distance_per_class_and_tensor", &Tensor::stack(&layers, 0));
            }
        }

        // All classes in the same passes: chunks that cut classes apart, and that hold all.
        Layout::Together.on_cpu(|| {
            let (real, synthetic) =
                (ClassImages::even(real.flatten(0, 1), counts[0]), ClassImages::even(synthetic, counts[0]));
            let real = real.augmented(&augmentation).unwrap();
            let labels = Tensor::arange(counts[0], (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(ipc, 0, None);
            for chunk in [1, counts[1] - 1, i64::MAX].map(Chunk) {
                let target = constant_gradients(&network, &parameters, &real, distance, chunk).unwrap();
                let matched = match_gradients(
                    &network,
                    &parameters,
                    &target,
                    &synthetic,
                    &labels,
                    &augmentation,
                    distance,
                    chunk,
                )
                .unwrap();
                report.compare(case, "loss_per_class", &matched.distances_K);
                report.compare(case, "loss", &matched.distances_K.sum(Kind::Float));
                report.compare(case, "grad_syn", &matched.gradient_MCHW);
            }
        });
    });
}
