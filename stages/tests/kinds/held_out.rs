//! `split.held_out`: both parts together are the data set, and classes keep their proportions.

use crate::host::small::Small;
use crate::host::{Stage, byte_set, message, tensors};
use ddpipe_stages::artifact::{Dataset, Normalisation};
use tch::{Device, Kind, Tensor};

/// 40 images of 1 x 2 pixels whose first pixel is their position: 20, 14 and 6 of three classes, mixed.
fn real() -> Dataset {
    let positions = Tensor::arange(40, (Kind::Uint8, Device::Cpu));
    let images = Tensor::stack(&[&positions, &positions.zeros_like()], 1).view([40, 1, 1, 2]);
    let labels: Vec<i64> = (0..40).map(|position| [0, 1, 0, 1, 0, 2][position * 7 % 40 % 6]).collect();
    let normalisation = Normalisation::new(vec![0.5], vec![0.25]);
    Dataset {
        class_names: ["a", "b", "c"].map(String::from).into(),
        ..byte_set(images, Tensor::from_slice(&labels), 3, normalisation, "here")
    }
}

fn stage(images: i64) -> Stage {
    Stage::of("split.held_out").tensors("real", "train", &real().to_file()).param("images", images)
}

pub fn small() -> Vec<Small> {
    vec![Small::of(stage(9)), Small::of(stage(9).param("choose", "last")).named("last")]
}

/// The positions and labels of both parts.
fn parts(stage: Stage) -> [(Vec<i64>, Vec<i64>); 2] {
    let outputs = stage.run().unwrap();
    ["train", "held_out"].map(|name| {
        let set = Dataset::from_file(tensors(&outputs, name)).unwrap();
        assert_eq!(outputs.metrics[&format!("{name}_images")], set.len() as f64);
        assert_eq!((set.normalisation.mean[0], set.scale, set.class_names.len()), (0.5, 255.0, 3));
        let of = |tensor: Tensor| Vec::<i64>::try_from(tensor.to_kind(Kind::Int64)).unwrap();
        (of(set.images.select(3, 0).flatten(0, -1)), of(set.labels))
    })
}

fn counts(labels: &[i64]) -> [usize; 3] {
    [0, 1, 2].map(|class| labels.iter().filter(|label| **label == class).count())
}

#[test]
fn both_parts_together_are_the_data_set() {
    let labels = Vec::<i64>::try_from(real().labels).unwrap();
    for choose in ["drawn", "last"] {
        let [(left, left_labels), (held, held_labels)] = parts(stage(9).param("choose", choose));
        assert!(left.is_sorted() && held.is_sorted() && held.len() == 9, "{left:?} {held:?}");
        let mut all = [left.clone(), held.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<i64>>(), "{choose}");
        let right = |(position, label): (&i64, &i64)| labels[*position as usize] == *label;
        assert!(left.iter().zip(&left_labels).chain(held.iter().zip(&held_labels)).all(right), "{choose}");
        if choose == "last" {
            assert_eq!(held, (31..40).collect::<Vec<i64>>());
        }
    }
}

/// The shares of 9 of 40 images are 9/40 of each class; what rounding down leaves goes to the largest remainders.
#[test]
fn classes_keep_their_proportions_and_only_the_split_s_seed_decides() {
    let of = counts(&Vec::<i64>::try_from(real().labels).unwrap());
    let [_, (held, labels)] = parts(stage(9));
    let found = counts(&labels);
    for (class, (&found, &of)) in found.iter().zip(&of).enumerate() {
        let share = 9.0 * of as f64 / 40.0;
        assert!((found as f64 - share).abs() < 1.0, "class {class}: {found} of {of}");
    }
    assert_eq!(parts(stage(9).seed(5))[1].0, held);
    assert_ne!(parts(stage(9).param("split_seed", 1))[1].0, held);
}

#[test]
fn some_images_have_to_be_left() {
    let text = message(stage(40).run());
    assert!(text.contains("images = 40, but train has 40 images, and some have to be left"), "{text}");
}
