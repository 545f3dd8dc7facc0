//! Golden cases of family `pad`: trajectory matching over selected parameters, in both forms of its exact gradient and in
//! both precisions; the data schedule of experts; difficulty scores. And the gradient against finite differences.

use crate::walker::trajectory::{experts, learnt, network, settings, steps};
use crate::walker::{self, Case, Report};
use ddpipe_stages::artifact::Scores;
use ddpipe_stages::distill::trajectory_matching::{
    GradientForm, Labels, Learnt, Matched, Selection, Selector, Unrolling,
};
use ddpipe_stages::score::difficulty::measure::Measure;
use ddpipe_stages::train::experts::curriculum::{DataSchedule, Part};
use tch::{Device, Kind, Tensor};

#[test]
fn matching() {
    walker::run_where(
        "pad",
        |case| case.has("inner_steps"),
        |case, report| {
            for form in [GradientForm::Unrolled, GradientForm::Recomputed] {
                let single = matched(case, &learnt(case, Kind::Float), form, Kind::Float);
                compare(case, report, &single, |report, name, got| report.compare(case, name, got));
                // The expected numbers come from double precision: what is left is the order of sums.
                let double = matched(case, &learnt(case, Kind::Double), form, Kind::Double);
                compare(case, report, &double, |report, name, got| report.compare_within(case, name, got, 1e-9));
            }
        },
    );
}

fn compare(case: &Case, report: &mut Report, matched: &Matched, compare: impl Fn(&mut Report, &str, &Tensor)) {
    let kept = match &matched.kept_P {
        Some(kept) => kept.to_kind(Kind::Int64),
        None => Tensor::ones(matched.end_P.size(), (Kind::Int64, matched.end_P.device())),
    };
    report.compare(case, "keep_mask", &kept);
    report.equal(case, "kept", i64::try_from(kept.sum(Kind::Int64)).unwrap(), case.integer("/selection/kept"));
    let gradients = &matched.gradients;
    for (name, got) in [
        ("loss", &matched.loss),
        ("param_loss", &matched.param_loss),
        ("param_dist", &matched.param_dist),
        ("theta_end", &matched.end_P),
        ("inner_losses", &matched.inner_losses_N),
        ("grad_syn", &gradients.images_MCHW),
        ("grad_syn_lr", &gradients.lr),
    ] {
        compare(report, name, got);
    }
    if let Some(gradient) = &gradients.logits_MK {
        compare(report, "grad_labels", gradient);
    }
}

fn matched(case: &Case, learnt: &Learnt, form: GradientForm, kind: Kind) -> Matched {
    let theta = |name: &str| case.tensor(name).to_kind(kind);
    let (start, target, settings) = (theta("theta_start"), theta("theta_target"), settings(case));
    let (network, steps) = (network(case), steps(case));
    let unrolling = Unrolling {
        network: &network,
        start_P: &start,
        target_P: &target,
        steps: &steps,
        settings: &settings,
        room: None,
    };
    unrolling.matched_where(&selection(case), learnt, form).unwrap()
}

fn selection(case: &Case) -> Selection {
    let by = match case.text("/selection/rule") {
        "loss_ratio" => Selector::Loss,
        "depth_ratio" => Selector::Depth,
        other => panic!("{}: no selection by {other:?}", case.id),
    };
    Selection { by, ratio: case.number("/selection/ratio") }
}

/// Along a direction of all images, along one of all labels, and in the learning rate: central differences of the loss
/// in double precision, with the selection made anew on both sides.
#[test]
fn gradients_are_the_slopes_of_the_loss() {
    walker::run_where(
        "pad",
        |case| case.has("inner_steps"),
        |case, report| {
            let here = learnt(case, Kind::Double);
            let found = matched(case, &here, GradientForm::Recomputed, Kind::Double);
            let gradients = &found.gradients;
            let mut slope = |what: &str, moved: &dyn Fn(f64) -> Learnt, expected: f64| {
                let mut at = |by: f64| {
                    let there = matched(case, &moved(by), GradientForm::Recomputed, Kind::Double);
                    report.check(case, &format!("{what}: the same parameters count"), there.kept_P == found.kept_P);
                    f64::try_from(there.loss).unwrap()
                };
                let step = 1e-6;
                let slope = (at(step) - at(-step)) / (2.0 * step);
                let off = (slope - expected).abs() / expected.abs();
                report.check(case, &format!("{what}: slope {slope:e}, gradient {expected:e}"), off < 1e-4);
            };
            let along = |gradient: &Tensor| f64::try_from((gradient * waves(gradient)).sum(Kind::Double)).unwrap();
            let images = |by: f64| &here.images_MCHW + waves(&here.images_MCHW) * by;
            let kept =
                || here.labels.at(&Tensor::arange(here.images_MCHW.size()[0], (Kind::Int64, Device::Cpu))).unwrap();
            let moved = |by| Learnt { images_MCHW: images(by), labels: kept(), lr: here.lr.copy() };
            slope("images", &moved, along(&gradients.images_MCHW));
            let moved = |by: f64| Learnt { images_MCHW: images(0.0), labels: kept(), lr: &here.lr + by };
            slope("learning rate", &moved, f64::try_from(&gradients.lr).unwrap());
            if let (Some(logits), Some(gradient)) = (here.labels.logits(), &gradients.logits_MK) {
                let labels = |by: f64| Labels::Logits(logits + waves(logits) * by);
                let moved = |by| Learnt { images_MCHW: images(0.0), labels: labels(by), lr: here.lr.copy() };
                slope("labels", &moved, along(gradient));
            }
            for name in case.expected() {
                report.leave(case, &name, "compared in golden_pad_matching");
            }
        },
    );
}

/// A direction.
fn waves(like: &Tensor) -> Tensor {
    Tensor::arange(like.numel() as i64, (Kind::Double, like.device())).sin().view_as(like)
}

#[test]
fn data_schedule() {
    walker::run_where(
        "pad",
        |case| case.has("rows"),
        |case, report| {
            for row in case.list("rows") {
                let whole = |key: &str| row[key].as_u64().unwrap();
                let number = |key: &str| row[key].as_f64().unwrap();
                let schedule = DataSchedule {
                    init_share: number("init_ratio"),
                    all_epoch: whole("add_end_epoch"),
                    drop_epochs: vec![whole("rm_epoch_first"), whole("rm_epoch_second")],
                    drop_shares: vec![number("rm_easy_ratio_first"), number("rm_easy_ratio_second")],
                };
                let (of, count) = (whole("data_size_by_class") as usize, whole("class_size") as usize);
                let table = row["table"].as_array().unwrap();
                report.equal(case, "epochs", table.len() as u64, whole("train_epochs"));
                for entry in table {
                    let epoch = entry[0].as_u64().unwrap();
                    let part = schedule.part(epoch);
                    let share = match part {
                        Part::Easiest(share) | Part::Without(share) => share,
                        Part::All => 1.0,
                    };
                    let ranks = part.ranks(of, count);
                    let first = if ranks.is_empty() { -1 } else { ranks.start as i64 };
                    let expected = (entry[1].as_f64().unwrap(), entry[2].as_i64().unwrap(), entry[3].as_u64().unwrap());
                    let what = format!("{}, epoch {epoch}", row["config"]);
                    report.equal(case, &what, (share, first, ranks.len() as u64), expected);
                }
            }
        },
    );
}

#[test]
fn difficulty_scores() {
    walker::run_where(
        "pad",
        |case| case.has("easy_to_hard_per_class_by_grand_mean"),
        |case, report| {
            let network = network(case);
            let (images, labels) = (case.tensor("images"), case.tensor("labels"));
            let scores = |measure: Measure| {
                let each = experts(case).into_iter().map(|theta| {
                    // Two parts, as the stage asks about a batch at a time.
                    let (first, rest) = (images.size()[0] / 2, images.size()[0] - images.size()[0] / 2);
                    let part = |start, length| {
                        let (images, labels) = (images.narrow(0, start, length), labels.narrow(0, start, length));
                        measure.of(&network, &theta(&network), &images, &labels).unwrap()
                    };
                    Tensor::cat(&[part(0, first), part(first, rest)], 0)
                });
                Tensor::stack(&each.collect::<Vec<_>>(), 0)
            };
            let (el2n, grand) = (scores(Measure::El2n), scores(Measure::Grand));
            let mean = |scores: &Tensor| scores.mean_dim(0, false, Kind::Double);
            report.compare(case, "el2n", &el2n);
            report.compare(case, "el2n_mean", &mean(&el2n));
            report.compare(case, "grand_last_layer", &grand);
            report.compare(case, "grand_mean", &mean(&grand));
            report.compare(case, "grand_all_parameters", &scores(Measure::GrandFull));
            let scores = Scores {
                scores: mean(&grand),
                labels,
                classes: network.spec().classes,
                method: "grand".into(),
                origin: String::new(),
                prepared: None,
            };
            let expected: Vec<Vec<i64>> =
                serde_json::from_value(case.value("easy_to_hard_per_class_by_grand_mean").clone()).unwrap();
            report.equal(case, "easy to hard", scores.easy_to_hard().unwrap(), expected);
        },
    );
}
