//! Which families of operations an augmentation draws from, as the authors write it: `color_crop_cutout_flip_scale_rotate`.
//! Turns a strategy and a random stream into draws; does not touch images.

use crate::augment::draw::{Draws, Operation, Sharing};
use crate::augment::settings::Settings;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A family of operations that a strategy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Brightness, then saturation, then contrast.
    Color,
    /// A shift by whole pixels, zeros moving in.
    Crop,
    /// A blanked rectangle.
    Cutout,
    /// Mirroring left to right.
    Flip,
    /// Scaling of both axes, each by its own factor.
    Scale,
    /// Rotation about the centre.
    Rotate,
}

/// How many families act in one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One family, drawn anew in each call ("S" in the authors' code).
    #[default]
    Single,
    /// All families, in the order of the strategy ("M").
    Multiple,
}

/// Families in order, read from a text such as `color_crop_cutout_scale_rotate`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Strategy(Vec<Family>);

/// A strategy that names something unknown, or nothing.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "augmentation strategy {strategy:?}: {family:?} is not known; join some of color, crop, cutout, flip, scale, rotate with \"_\""
)]
pub struct UnknownFamily {
    strategy: String,
    family: String,
}

const NAMES: [(Family, &str); 6] = [
    (Family::Color, "color"),
    (Family::Crop, "crop"),
    (Family::Cutout, "cutout"),
    (Family::Flip, "flip"),
    (Family::Scale, "scale"),
    (Family::Rotate, "rotate"),
];

impl Strategy {
    /// The families, in order; at least one.
    pub fn families(&self) -> &[Family] {
        &self.0
    }

    /// The same without a family; none where nothing is left.
    pub fn without(&self, family: Family) -> Option<Strategy> {
        let left: Vec<Family> = self.0.iter().copied().filter(|named| *named != family).collect();
        (!left.is_empty()).then_some(Strategy(left))
    }

    /// Draws one augmentation for images of `height` by `width`: operations in the order in which they act.
    pub fn draw(
        &self,
        mode: Mode,
        sharing: Sharing,
        (height, width): (i64, i64),
        settings: &Settings,
        rng: &mut impl Rng,
    ) -> Vec<Operation> {
        let chosen = match mode {
            Mode::Single => {
                let index = rng.random_range(0..self.0.len());
                &self.0[index..=index]
            }
            Mode::Multiple => &self.0[..],
        };
        chosen.iter().flat_map(|family| family.draw(sharing, (height, width), settings, rng)).collect()
    }
}

impl Family {
    /// Draws the operations of this family.
    pub fn draw(
        self,
        sharing: Sharing,
        (height, width): (i64, i64),
        settings: &Settings,
        rng: &mut impl Rng,
    ) -> Vec<Operation> {
        let mut uniform = || Draws::uniform(sharing, rng);
        match self {
            Family::Color => vec![
                Operation::Brightness { u: uniform() },
                Operation::Saturation { u: uniform() },
                Operation::Contrast { u: uniform() },
            ],
            Family::Flip => vec![Operation::Flip { u: uniform() }],
            Family::Scale => vec![Operation::Scale { ux: uniform(), uy: uniform() }],
            Family::Rotate => vec![Operation::Rotate { u: uniform() }],
            Family::Crop => {
                let (rows, columns) = (settings.largest_shift(height), settings.largest_shift(width));
                let tx = Draws::integers(sharing, -rows..rows + 1, rng);
                vec![Operation::Crop { tx, ty: Draws::integers(sharing, -columns..columns + 1, rng) }]
            }
            Family::Cutout => {
                // An even rectangle has no middle pixel: one more position covers both borders equally.
                let positions = |side: i64| 0..side + 1 - settings.cutout_side(side) % 2;
                let ox = Draws::integers(sharing, positions(height), rng);
                vec![Operation::Cutout { ox, oy: Draws::integers(sharing, positions(width), rng) }]
            }
        }
    }
}

impl FromStr for Strategy {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, UnknownFamily> {
        let family = |name: &str| {
            let unknown = || UnknownFamily { strategy: text.into(), family: name.into() };
            NAMES.iter().find(|(_, known)| *known == name).map(|(family, _)| *family).ok_or_else(unknown)
        };
        text.split('_').map(family).collect::<Result<_, _>>().map(Strategy)
    }
}

impl TryFrom<String> for Strategy {
    type Error = UnknownFamily;

    fn try_from(text: String) -> Result<Self, UnknownFamily> {
        text.parse()
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(family, _)| family == self).map_or("", |(_, name)| *name))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(Family::to_string).collect();
        f.write_str(&names.join("_"))
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> String {
        strategy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::stream;

    const ALL: &str = "color_crop_cutout_flip_scale_rotate";

    #[test]
    fn a_strategy_reads_back_and_names_what_it_does_not_know() {
        let strategy: Strategy = ALL.parse().unwrap();
        assert_eq!(strategy.to_string(), ALL);
        assert_eq!(strategy.families().len(), 6);
        for (text, family) in [("color_crp", "\"crp\""), ("", "\"\""), ("crop__flip", "\"\"")] {
            let message = text.parse::<Strategy>().unwrap_err().to_string();
            assert!(message.contains(&format!("{family} is not known")), "{message}");
        }
    }

    #[test]
    fn draws_repeat_by_step_and_stay_in_their_ranges() {
        let strategy: Strategy = ALL.parse().unwrap();
        let settings = Settings::default();
        let draw = |step| {
            let mut stream = stream(3, "augment", step);
            strategy.draw(Mode::Multiple, Sharing::PerImage(7), (28, 13), &settings, stream.generator())
        };
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
        let (mut rows, mut middles) = (Vec::new(), Vec::new());
        for step in 0..200 {
            let operations = draw(step);
            assert_eq!(operations.len(), 8);
            for operation in operations {
                match operation {
                    Operation::Crop { tx, ty } => {
                        rows.extend_from_slice(tx.as_slice());
                        assert!(ty.as_slice().iter().all(|shift| (-2..=2).contains(shift)));
                    }
                    Operation::Cutout { ox, oy } => {
                        middles.extend_from_slice(ox.as_slice());
                        assert!(oy.as_slice().iter().all(|middle| (0..13).contains(middle)));
                    }
                    Operation::Rotate { u } => assert!(u.as_slice().iter().all(|u| (0.0..1.0).contains(u))),
                    _ => {}
                }
            }
        }
        // 28 rows: shifts by up to 4 pixels; an even rectangle of 14 may have its middle on the far border.
        assert_eq!((rows.iter().min(), rows.iter().max()), (Some(&-4), Some(&4)));
        assert_eq!((middles.iter().min(), middles.iter().max()), (Some(&0), Some(&28)));
    }

    #[test]
    fn single_mode_takes_every_family_in_turn() {
        let strategy: Strategy = ALL.parse().unwrap();
        let settings = Settings::default();
        let mut seen = std::collections::BTreeSet::new();
        for step in 0..100 {
            let mut stream = stream(0, "augment", step);
            let drawn = strategy.draw(Mode::Single, Sharing::Siamese, (28, 28), &settings, stream.generator());
            assert_eq!(drawn.len(), if matches!(drawn[0], Operation::Brightness { .. }) { 3 } else { 1 });
            let text = format!("{:?}", drawn[0]);
            assert!(text.contains("Shared"), "{text}");
            seen.insert(text.split_whitespace().next().map(String::from));
        }
        assert_eq!(seen.len(), 6);
    }
}
