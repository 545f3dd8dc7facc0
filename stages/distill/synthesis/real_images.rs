//! The real images as the methods draw from them, class by class.

use super::ClassImages;
use crate::artifact::{Dataset, SyntheticSet};
use anyhow::{Context as _, Result, ensure};
use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer;
use std::sync::Arc;
use tch::Tensor;

/// The real images, ready to be drawn from by class.
pub struct RealImages<'a> {
    dataset: &'a Dataset,
    by_class: ByClass,
    synthetic: Vec<i64>,
}

/// The positions of the images of every class, ascending.
#[derive(Clone)]
pub struct ByClass(Arc<Vec<Vec<i64>>>);

impl<'a> RealImages<'a> {
    /// Checks that the real images can stand beside these synthetic ones.
    pub fn new(dataset: &'a Dataset, start: &SyntheticSet) -> Result<Self> {
        let (real, synthetic) = (dataset.image_shape(), start.images.size());
        ensure!(
            real[..] == synthetic[1..],
            "the real images are {real:?} (channels, height, width) and the synthetic ones {:?}; start from a set made \
             of the same data",
            &synthetic[1..]
        );
        let counts = start.counts().filter(|_| dataset.classes == start.classes).with_context(|| {
            format!(
                "{} classes of real images, but {} synthetic images of {} classes with {} each; start from a set made of \
                 the same data",
                dataset.classes, synthetic[0], start.classes, start.ipc
            )
        })?;
        let positions = dataset.positions_by_class()?;
        if let Some(class) = positions.iter().position(Vec::is_empty) {
            anyhow::bail!("class {class} has no real image, so there is nothing to match; leave the class out");
        }
        Ok(RealImages { dataset, by_class: ByClass(Arc::new(positions)), synthetic: counts })
    }

    /// How many synthetic images every class has.
    pub fn synthetic(&self) -> &[i64] {
        &self.synthetic
    }

    /// The synthetic images \[M,C,H,W\] by class.
    pub fn beside(&self, synthetic: Tensor) -> ClassImages {
        ClassImages { images: synthetic, counts: self.synthetic.clone() }
    }

    /// Where the images of each class are, without the images.
    pub fn by_class(&self) -> &ByClass {
        &self.by_class
    }

    /// Draws `each` images of every class (all, of a class with fewer) from `stream(seed, "real", step)`.
    pub fn draw(&self, each: i64, seed: u64, step: u64) -> ClassImages {
        self.draw_for("real", each, seed, step)
    }

    /// [`draw`](Self::draw) from a stream of its own, for images with another purpose.
    pub fn draw_for(&self, purpose: &str, each: i64, seed: u64, step: u64) -> ClassImages {
        let (chosen, counts) = self.by_class.choose(purpose, each, seed, step);
        self.at(&transfer::upload(&chosen, self.dataset.images.device()), counts)
    }

    /// The images that were chosen, at these positions (\[N\] int64 on their device), class after class with so many each.
    pub fn at(&self, chosen: &Tensor, counts: Vec<i64>) -> ClassImages {
        ClassImages { images: self.dataset.floats_at(chosen), counts }
    }
}

impl ByClass {
    /// The positions of `each` images of every class (all, of a class with fewer), and how many each class has, from
    /// `stream(seed, purpose, step)`.
    pub fn choose(&self, purpose: &str, each: i64, seed: u64, step: u64) -> (Vec<i64>, Vec<i64>) {
        let mut stream = stream(seed, purpose, step);
        let (mut all, mut counts) = (Vec::new(), Vec::new());
        for positions in self.0.iter() {
            let chosen = stream.choose(positions, each as usize);
            counts.push(chosen.len() as i64);
            all.extend(chosen);
        }
        (all, counts)
    }

    /// The positions of `each` images of one class (all, of a class with fewer), from `stream(seed, "real", step)`.
    pub fn choose_of(&self, class: usize, each: i64, seed: u64, step: u64) -> Vec<i64> {
        self.0.get(class).map_or_else(Vec::new, |positions| stream(seed, "real", step).choose(positions, each as usize))
    }
}
