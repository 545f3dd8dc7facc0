//! Which hidden layers of student and teacher are compared, and whether they can be. What is compared, and how, is in
//! `comparison` and `regressor`.

use crate::distill::knowledge::hint::Hint;
use anyhow::{Result, bail, ensure};
use ddpipe_nn::network::{Mode, Network, Parameters};
use tch::{Device, Kind, Tensor};

/// A layer of the student and the teacher's that it is compared with, counted from 0 as `Network::hidden` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pair {
    /// Position of the student's layer.
    pub student: usize,
    /// Position of the teacher's layer.
    pub teacher: usize,
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "hidden layer {} of the student and {} of the teacher", self.student, self.teacher)
    }
}

/// The shapes of one image's outputs of every hidden layer, `[C,H,W]` or `[D]`.
pub type Shapes = Vec<Vec<i64>>;

/// The shapes of a network's hidden layers, from a pass of one black image.
pub fn shapes(network: &Network, parameters: &Parameters, device: Device) -> Result<Shapes> {
    let spec = network.spec();
    let black = Tensor::f_zeros([1, spec.channels, spec.image[0], spec.image[1]], (Kind::Float, device))?;
    let hidden = tch::no_grad(|| network.hidden(parameters, &black, Mode::Eval, usize::MAX))?;
    Ok(hidden.layers.iter().map(|layer| layer.size()[1..].to_vec()).collect())
}

/// The pairs that `student_layers` and `teacher_layers` name, or, when they name none, the usual ones: for FitNet the
/// middle layer of each, for attention all maps, one with one, for similarity the last maps (the embedding where there are
/// none), for other relations the embeddings.
pub fn choose(hint: Hint, named: [&[usize]; 2], student: &Shapes, teacher: &Shapes) -> Result<Vec<Pair>> {
    let pairs: Vec<Pair> = match named {
        _ if hint == Hint::None => {
            ensure!(
                named.iter().all(|layers| layers.is_empty()),
                "student_layers and teacher_layers say what hints compare, and hint is \"none\": leave them out, or \
                 give a hint"
            );
            return Ok(Vec::new());
        }
        [[], []] => usual(hint, student, teacher)?,
        [ours, theirs] => {
            ensure!(
                ours.len() == theirs.len(),
                "student_layers names {} and teacher_layers {}; they are compared one with one",
                counted(ours.len()),
                counted(theirs.len())
            );
            ours.iter().zip(theirs).map(|(&student, &teacher)| Pair { student, teacher }).collect()
        }
    };
    ensure!(
        !hint.compares_one() || pairs.len() == 1,
        "hint {} guides one layer by one; student_layers names {}",
        serde_json::to_string(&hint)?,
        counted(pairs.len())
    );
    for pair in &pairs {
        for (whose, layer, shapes) in [("student", pair.student, student), ("teacher", pair.teacher, teacher)] {
            let Some(shape) = shapes.get(layer) else {
                bail!("the {whose} has no hidden layer {layer}; its layers are {}", listed(shapes, |_| true));
            };
            ensure!(
                hint != Hint::Attention || is_map(shape),
                "hidden layer {layer} of the {whose} has no maps, which attention is taken from; its layers with maps \
                 are {}",
                listed(shapes, is_map)
            );
        }
    }
    Ok(pairs)
}

fn usual(hint: Hint, student: &Shapes, teacher: &Shapes) -> Result<Vec<Pair>> {
    let one = |of: &dyn Fn(&Shapes) -> usize| Ok(vec![Pair { student: of(student), teacher: of(teacher) }]);
    let embedding = |shapes: &Shapes| shapes.len().saturating_sub(1);
    let maps = |shapes: &Shapes| (0..shapes.len()).filter(|&layer| is_map(&shapes[layer])).collect::<Vec<_>>();
    match hint {
        // The last is the embedding, which the layer before it often is too.
        Hint::Fitnet => return one(&|shapes| shapes.len().saturating_sub(2) / 2),
        Hint::Similarity => return one(&|shapes| maps(shapes).pop().unwrap_or(embedding(shapes))),
        Hint::Rkd | Hint::Pkt | Hint::Correlation => return one(&embedding),
        Hint::None | Hint::Attention => {}
    }
    let (ours, theirs) = (maps(student), maps(teacher));
    ensure!(
        ours.len() == theirs.len() && !ours.is_empty(),
        "say in student_layers and teacher_layers which maps attention compares: the student's are {}; the teacher's {}",
        listed(student, is_map),
        listed(teacher, is_map)
    );
    Ok(ours.into_iter().zip(theirs).map(|(student, teacher)| Pair { student, teacher }).collect())
}

fn is_map(shape: &[i64]) -> bool {
    shape.len() == 3
}

fn counted(layers: usize) -> String {
    if layers == 1 { "1 layer".into() } else { format!("{layers} layers") }
}

/// `0 (32x26x26), 2 (128)`.
fn listed(shapes: &Shapes, wanted: impl Fn(&[i64]) -> bool) -> String {
    let form = |shape: &[i64]| shape.iter().map(i64::to_string).collect::<Vec<_>>().join("x");
    let wanted = shapes.iter().enumerate().filter(|(_, shape)| wanted(shape));
    let all: Vec<_> = wanted.map(|(layer, shape)| format!("{layer} ({})", form(shape))).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps() -> Shapes {
        vec![vec![8, 16, 16], vec![8, 8, 8], vec![8, 4, 4], vec![128]]
    }

    fn vectors() -> Shapes {
        vec![vec![784], vec![784], vec![784]]
    }

    #[test]
    fn left_out_layers_are_the_middle_ones_or_all_maps() {
        let pair = |student, teacher| Pair { student, teacher };
        assert_eq!(choose(Hint::Fitnet, [&[], &[]], &vectors(), &maps()).unwrap(), [pair(0, 1)]);
        let all = choose(Hint::Attention, [&[], &[]], &maps(), &maps()).unwrap();
        assert_eq!(all, [pair(0, 0), pair(1, 1), pair(2, 2)]);
        assert_eq!(choose(Hint::None, [&[], &[]], &vectors(), &maps()).unwrap(), []);
        for (hint, ours, theirs) in [(Hint::Similarity, 2, 2), (Hint::Rkd, 2, 3), (Hint::Correlation, 2, 3)] {
            assert_eq!(choose(hint, [&[], &[]], &vectors(), &maps()).unwrap(), [pair(ours, theirs)], "{hint:?}");
        }
        assert_eq!(choose(Hint::Fitnet, [&[2], &[3]], &vectors(), &maps()).unwrap(), [pair(2, 3)]);
    }

    #[test]
    fn layers_that_cannot_be_compared_are_refused_with_those_that_can() {
        let refused =
            |hint, ours: &[usize], theirs: &[usize]| choose(hint, [ours, theirs], &vectors(), &maps()).unwrap_err();
        let text = refused(Hint::Fitnet, &[3], &[0]).to_string();
        assert_eq!(text, "the student has no hidden layer 3; its layers are 0 (784), 1 (784), 2 (784)");
        let text = refused(Hint::Attention, &[0], &[0]).to_string();
        assert!(text.contains("layer 0 of the student has no maps") && text.ends_with("are none"), "{text}");
        let text = refused(Hint::Attention, &[], &[]).to_string();
        assert!(text.ends_with("the student's are none; the teacher's 0 (8x16x16), 1 (8x8x8), 2 (8x4x4)"), "{text}");
        let text = refused(Hint::Fitnet, &[0, 1], &[0]).to_string();
        assert!(text.starts_with("student_layers names 2 layers and teacher_layers 1 layer"), "{text}");
        let text = refused(Hint::Fitnet, &[0, 1], &[0, 1]).to_string();
        assert!(text.contains("guides one layer by one"), "{text}");
        let text = refused(Hint::Correlation, &[0, 1], &[0, 1]).to_string();
        assert!(text.contains("\"correlation\" guides one layer by one"), "{text}");
        let text = refused(Hint::None, &[0], &[0]).to_string();
        assert!(text.contains("hint is \"none\""), "{text}");
    }
}
