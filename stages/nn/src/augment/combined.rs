//! The augmentation of IDC (Kim et al. 2022, `DiffAug`): unlike in DSA, several families of a strategy act at once. Only
//! draws; the operations are those of DSA.

use crate::augment::draw::{Operation, Sharing};
use crate::augment::settings::Settings;
use crate::augment::strategy::{Family, Strategy};
use rand::Rng;
use rand::seq::IndexedRandom;

impl Strategy {
    /// Draws one augmentation for images of `height` by `width`: flip, colour and cutout whenever the strategy names
    /// them, and one of its other families between colour and cutout.
    pub fn draw_combined(
        &self,
        sharing: Sharing,
        (height, width): (i64, i64),
        settings: &Settings,
        rng: &mut impl Rng,
    ) -> Vec<Operation> {
        let named = |family: Family| self.families().contains(&family).then_some(family);
        let others: Vec<Family> = self
            .families()
            .iter()
            .copied()
            .filter(|family| !matches!(family, Family::Flip | Family::Color | Family::Cutout))
            .collect();
        let one = others.choose(rng).copied();
        let families = [named(Family::Flip), named(Family::Color), one, named(Family::Cutout)];
        families.into_iter().flatten().flat_map(|family| family.draw(sharing, (height, width), settings, rng)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::stream::stream;

    #[test]
    fn one_family_is_drawn_and_flip_colour_and_cutout_always_act() {
        let drawn = |text: &str, step| {
            let strategy: Strategy = text.parse().unwrap();
            let mut stream = stream(0, "augment", step);
            let operations =
                strategy.draw_combined(Sharing::Siamese, (28, 28), &Settings::default(), stream.generator());
            let name = |operation: &Operation| format!("{operation:?}").split(' ').next().unwrap().to_string();
            operations.iter().map(name).collect::<Vec<_>>().join(" ")
        };
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..60 {
            let text = drawn("color_crop_cutout_flip_scale_rotate", step);
            let middle = text.strip_prefix("Flip Brightness Saturation Contrast ").unwrap();
            seen.insert(middle.strip_suffix(" Cutout").unwrap().to_string());
            assert_eq!(drawn("cutout_color", step), "Brightness Saturation Contrast Cutout");
        }
        assert_eq!(Vec::from_iter(seen), ["Crop", "Rotate", "Scale"]);
    }
}
