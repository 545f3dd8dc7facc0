//! Golden cases of family `networks`: forward passes, parameter lists, counts.

use crate::walker::{self, Case, Report, network};
use ddpipe_nn::network::{Chunk, Mode, Network, NetworkSpec, Norm, Output, Overrides, ParameterSpec};
use tch::Tensor;

/// The stored inputs are what the fill rule gives, so that cases may leave them out.
#[test]
fn inputs_follow_the_fill_rule() {
    let stored = |case: &Case| case.get("x").is_some() && case.has("input_rule");
    walker::run_where("networks", stored, |case, report| {
        report.compare_tensors(case, "x", &input(case), &case.tensor("x"));
        for name in case.expected() {
            report.leave(case, &name, "not about the forward pass");
        }
    });
}

#[test]
fn forward() {
    walker::run_where(
        "networks",
        |case| case.has("network"),
        |case, report| {
            let net = network::network(case);
            check_parameters(case, report, &net);
            let parameters = network::filled_weights(case, &net);
            let x = case.get("x").unwrap_or_else(|| input(case));
            for (mode, end) in [(Mode::Eval, "eval"), (Mode::Train, "train")] {
                let output = net.forward(&parameters, &x, mode).unwrap();
                // Without running statistics both modes give the one expected result.
                let end = if net.has_batch_statistics() { format!("_{end}") } else { String::new() };
                check_output(case, report, &output, &end);
                if mode == Mode::Train {
                    check_statistics(case, report, &net, &output);
                }
            }
            let chunked = net.forward_chunked(&parameters, &x, Chunk(2)).unwrap();
            let end = if net.has_batch_statistics() { "_eval" } else { "" };
            report.compare(case, &format!("logits{end}"), &chunked);
            let embedded = net.embed_chunked(&parameters, &x, Mode::Train, Chunk(2)).unwrap();
            let whole = net.embed(&parameters, &x, Mode::Train).unwrap();
            report.compare_tensors(case, "chunked embedding", &embedded, &whole);
        },
    );
}

#[test]
fn counts() {
    walker::run_where(
        "networks",
        |case| case.has("rows"),
        |case, report| {
            report.check(case, "a row", !case.list("rows").is_empty());
            for row in case.list("rows") {
                let name = row["network"].as_str().unwrap();
                let input: Vec<i64> =
                    row["input"].as_array().unwrap().iter().map(|size| size.as_i64().unwrap()).collect();
                let net = network::named_in_table(name, [input[0], input[1], input[2]]);
                report.equal(
                    case,
                    &format!("{name}: parameters"),
                    Some(net.parameter_count()),
                    row["parameter_count"].as_i64(),
                );
                report.equal(case, &format!("{name}: flops"), Some(net.flops()), row["flops"].as_i64());
            }
        },
    );
}

fn input(case: &Case) -> Tensor {
    let shape = case.integers("/input_rule/shape");
    walker::filled(case.integer("/input_rule/p") as u64, case.text("/input_rule/kind"), &shape)
}

fn check_parameters(case: &Case, report: &mut Report, net: &Network) {
    let expected: Vec<_> = network::listed(case).into_iter().map(|(name, _, _, shape)| (name, shape)).collect();
    let got: Vec<_> =
        net.parameters().iter().map(|ParameterSpec { name, shape, .. }| (name.clone(), shape.clone())).collect();
    report.equal(case, "list of parameters", got, expected);
    report.equal(case, "parameter count", net.parameter_count(), case.integer("parameter_count"));
    report.equal(case, "flops", net.flops(), case.integer("flops"));
}

fn check_output(case: &Case, report: &mut Report, output: &Output, end: &str) {
    report.compare(case, &format!("logits{end}"), &output.logits);
    let name = format!("embedding{end}");
    // Long embeddings are stored thinned, "columns 0, 8, 16, ... only"; the train-mode tensor says "same columns".
    let meaning = case.meaning(&name.replace("_train", "_eval"));
    let step = meaning.split_once("columns 0, ").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    report.compare(case, &name, &output.embedding.slice(1, None, None, step.unwrap_or(1)));
}

fn check_statistics(case: &Case, report: &mut Report, net: &Network, output: &Output) {
    for name in case.expected() {
        let Some((statistic, which)) = name.split_once("_after_") else { continue };
        let mut entries = net.buffers().zip(&output.buffers).filter(|(spec, _)| spec.name.ends_with(statistic));
        let entry = if which.starts_with("first") { entries.next() } else { entries.last() };
        report.compare(case, &name, entry.unwrap().1);
    }
}

/// A training pass leaves the statistics that it was given alone: they are values, not state.
#[test]
fn batch_statistics_are_values() {
    let overrides = Overrides { norm: Some(Norm::Batch), width: Some(8), ..Overrides::default() };
    let net = Network::new(&NetworkSpec::named("convnet2", &overrides, 1, [28, 28], 3).unwrap()).unwrap();
    let mut stream = ddpipe_nn::stream::stream(0, "test", 0);
    let parameters = net.init(stream.generator(), tch::Device::Cpu).unwrap().tracked();
    let x = stream.normal_tensor(&[4, 1, 28, 28]);
    let first = net.forward(&parameters, &x, Mode::Train).unwrap();
    let second = net.forward(&parameters, &x, Mode::Train).unwrap();
    assert_eq!(first.buffers, second.buffers);
    assert_ne!(first.buffers, parameters.buffers);
    // Gradients of gradients go through, with two passes over one set of statistics in the graph.
    let loss = (first.logits.square() + second.logits).sum(tch::Kind::Float);
    let gradients = Tensor::run_backward(&[loss], &parameters.trainable, true, true);
    let outer = gradients[0].square().sum(tch::Kind::Float);
    let second_order = Tensor::run_backward(&[outer], &parameters.trainable[..1], false, false);
    assert!(f64::try_from(second_order[0].abs().max()).unwrap() > 0.0);
}
