//! Augmentation by geometry: known transformations do what they say, draws stay within their settings and repeat, and
//! the stages' parameters arrive.

use crate::bars;
use crate::host::{Stage, json};
use ddpipe_nn::augment::{Flip, Geometric, Transform};
use ddpipe_nn::stream::stream;
use tch::{Device, Kind, Tensor};

fn images(shape: [i64; 4]) -> Tensor {
    stream(3, "images", 0).normal_tensor(&shape)
}

fn apply(transform: Transform, images: &Tensor) -> Tensor {
    let all = vec![transform; images.size()[0] as usize];
    Transform::apply(&all, images).unwrap()
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    f64::try_from((a - b).abs().max()).unwrap()
}

#[test]
fn flips_are_exact_and_undo_themselves() {
    let x = images([3, 2, 5, 8]);
    let mirrored = Transform { mirrored: true, ..Transform::IDENTITY };
    let upended = Transform { upended: true, ..Transform::IDENTITY };
    assert_eq!(apply(Transform::IDENTITY, &x), x);
    assert_eq!(apply(mirrored, &x), x.flip([3]));
    assert_eq!(apply(upended, &x), x.flip([2]));
    for flip in [mirrored, upended] {
        assert_eq!(apply(flip, &apply(flip, &x)), x);
    }
    let some = Transform::apply(&[mirrored, Transform::IDENTITY, upended], &x).unwrap();
    assert_eq!(some.get(0), x.get(0).flip([2]));
    assert_eq!(some.get(1), x.get(1));
    assert_eq!(some.get(2), x.get(2).flip([1]));
}

#[test]
fn quarter_turns_go_against_the_clock() {
    let x = images([2, 3, 8, 8]);
    for (angle, quarters) in [(90.0, 1), (180.0, 2), (-90.0, 3)] {
        let turned = apply(Transform { angle, ..Transform::IDENTITY }, &x);
        assert!(distance(&turned, &x.rot90(quarters, [2, 3])) < 1e-5, "{angle}");
    }
    // An image that is not square turns without being stretched: half a turn, and a small one there and back.
    let wide = images([1, 1, 6, 12]);
    assert!(distance(&apply(Transform { angle: 180.0, ..Transform::IDENTITY }, &wide), &wide.flip([2, 3])) < 1e-5);
    let (height, width) = (20i64, 40i64);
    let place = |length: i64, axis: i64| {
        let shape: &[i64] = if axis == 2 { &[1, 1, -1, 1] } else { &[1, 1, 1, -1] };
        (Tensor::arange(length, (Kind::Float, Device::Cpu)) - (length - 1) as f64 / 2.0).reshape(shape)
    };
    let (rows, columns) = (place(height, 2), place(width, 3));
    let slope = (&rows * 0.0 + &columns) * 1.0;
    let angle = 30.0f64;
    let turned = apply(Transform { angle, ..Transform::IDENTITY }, &slope);
    // What lay in direction (1, 0) lies in direction (cos, -sin) of columns and rows, which go down.
    let expected = &columns * angle.to_radians().cos() - &rows * angle.to_radians().sin();
    let middle = |x: &Tensor| x.narrow(2, 5, 10).narrow(3, 12, 16);
    assert!(distance(&middle(&turned), &middle(&expected)) < 1e-4);
}

#[test]
fn whole_pixels_move_whole() {
    let x = images([2, 3, 8, 16]);
    let moved = apply(Transform { right: 3.0 / 16.0, down: -2.0 / 8.0, ..Transform::IDENTITY }, &x);
    assert!(distance(&moved.narrow(2, 0, 6).narrow(3, 3, 13), &x.narrow(2, 2, 6).narrow(3, 0, 13)) < 1e-5);
    // What came in is the image's own mirror image.
    assert!(distance(&moved.narrow(2, 0, 6).narrow(3, 0, 3), &x.narrow(2, 2, 6).narrow(3, 0, 3).flip([3])) < 1e-5);
    assert!(distance(&moved.narrow(2, 6, 2).narrow(3, 3, 13), &x.narrow(2, 6, 2).narrow(3, 0, 13).flip([2])) < 1e-5);
}

#[test]
fn zoom_enlarges_about_the_centre() {
    let slope = Tensor::arange(16, (Kind::Float, Device::Cpu)).reshape([1, 1, 1, 16]).repeat([1, 1, 16, 1]);
    let zoomed = apply(Transform { zoom: 2.0, ..Transform::IDENTITY }, &slope);
    let expected = (&slope - 7.5) / 2.0 + 7.5;
    assert!(distance(&zoomed, &expected) < 1e-5);
    // Bilinear between pixels: twice as large is what torch's own enlargement gives, away from the edges.
    let x = images([2, 3, 8, 8]);
    let large = apply(Transform { zoom: 2.0, ..Transform::IDENTITY }, &x);
    let own = x.upsample_bilinear2d([16, 16], false, None, None).narrow(2, 4, 8).narrow(3, 4, 8);
    assert!(distance(&large, &own) < 1e-5);
    // Half as large: the middle holds every pixel of a coarser image.
    let coarse = images([1, 1, 4, 4]);
    let blocks = coarse.repeat_interleave_self_int(2, 2, None).repeat_interleave_self_int(2, 3, None);
    let small = apply(Transform { zoom: 0.5, ..Transform::IDENTITY }, &blocks);
    assert!(distance(&small.narrow(2, 2, 4).narrow(3, 2, 4), &coarse) < 1e-5);
}

#[test]
fn an_image_is_enlarged_and_turned_before_it_is_moved() {
    let x = images([1, 1, 16, 16]);
    let all = Transform { mirrored: true, upended: false, angle: 90.0, zoom: 2.0, right: 0.25, down: 0.125 };
    let only = |transform: Transform, x: &Tensor| apply(transform, x);
    let mut one = only(Transform { mirrored: true, ..Transform::IDENTITY }, &x);
    one = only(Transform { angle: 90.0, zoom: 2.0, ..Transform::IDENTITY }, &one);
    one = only(Transform { right: 0.25, down: 0.125, ..Transform::IDENTITY }, &one);
    let inner = |x: &Tensor| x.narrow(2, 2, 14).narrow(3, 4, 12);
    assert!(distance(&inner(&only(all, &x)), &inner(&one)) < 1e-4);
}

#[test]
fn draws_stay_within_their_settings_and_keep_to_their_own() {
    let settings = Geometric { flip: Flip::Both, rotation: 20.0, zoom: 0.2, shift: 0.1 };
    let draw = |settings: Geometric| -> Vec<Transform> {
        let mut stream = stream(1, "geometric", 7);
        (0..4000).map(|_| settings.draw(&mut stream)).collect()
    };
    let all = draw(settings);
    type Value = fn(&Transform) -> f64;
    let range = |value: Value| {
        let values = all.iter().map(value);
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
    };
    let spans: [(Value, f64, f64); 4] = [
        (|own| own.angle, -20.0, 20.0),
        (|own| own.zoom, 0.8, 1.2),
        (|own| own.right, -0.1, 0.1),
        (|own| own.down, -0.1, 0.1),
    ];
    for (value, low, high) in spans {
        let (least, most) = range(value);
        let margin = 0.01 * (high - low);
        assert!((low..low + margin).contains(&least) && (high - margin..=high).contains(&most), "{least} to {most}");
    }
    for marked in [|own: &Transform| own.mirrored, |own: &Transform| own.upended] {
        let share = all.iter().filter(|own| marked(own)).count() as f64 / all.len() as f64;
        assert!((share - 0.5).abs() < 0.04, "{share}");
    }
    // One setting does not change the draws of another.
    for (own, other) in all.iter().zip(draw(Geometric { flip: Flip::Horizontal, zoom: 0.0, ..settings })) {
        assert_eq!(other, Transform { upended: false, zoom: 1.0, ..*own });
    }
    assert!(Geometric { flip: Flip::None, rotation: 0.0, zoom: 0.0, shift: 0.0 }.is_off());
    for off in [Flip::Horizontal, Flip::Vertical] {
        assert!(!Geometric { flip: off, rotation: 0.0, zoom: 0.0, shift: 0.0 }.is_off());
    }
}

#[test]
fn every_image_and_step_has_draws_of_its_own_and_what_follows_sees_the_result() {
    let settings = Geometric { flip: Flip::Horizontal, rotation: 15.0, zoom: 0.1, shift: 0.1 };
    let x = images([1, 3, 12, 12]).repeat([4, 1, 1, 1]);
    let changed = |seed, step| settings.before(None, seed).unwrap().apply(&x, step).unwrap();
    let once = changed(0, 5);
    assert_eq!(once, changed(0, 5));
    assert_ne!(once, changed(0, 6));
    assert_ne!(once, changed(1, 5));
    assert!((1..4).all(|image| once.get(image) != once.get(0)));
    let next = settings.before(None, 9);
    let both = settings.before(next, 0).unwrap().apply(&x, 5).unwrap();
    assert_eq!(both, settings.before(None, 9).unwrap().apply(&once, 5).unwrap());
}

#[test]
fn the_parameters_of_the_stage_arrive_and_go_with_the_other_augmentations() {
    let train = || {
        let stage = Stage::of("train.classifier").tensors("train", "bars", &bars::real()).param("arch", "mlp");
        stage.param("epochs", 1).param("batch_size", 8)
    };
    let loss = |stage: Stage| json(&stage.run().unwrap(), "metrics")["loss"].as_f64().unwrap();
    let plain = loss(train());
    let mut seen = vec![plain];
    for (name, value) in [("flip", "horizontal"), ("flip", "vertical"), ("flip", "both"), ("augment", "dsa")] {
        seen.push(loss(train().param(name, value)));
    }
    for (name, value) in [("rotation", 10.0), ("zoom", 0.2), ("shift", 0.1)] {
        seen.push(loss(train().param(name, value)));
    }
    seen.push(loss(train().param("shift", 0.1).param("augment", "dsa")));
    for (place, value) in seen.iter().enumerate() {
        assert!(!seen[..place].contains(value), "setting {place} changes nothing: {seen:?}");
    }
    assert_eq!(loss(train().param("flip", "none").param("rotation", 0.0)), plain);
}
