//! One augmentation for each of several groups of images (classes, students), on all groups at once. Groups whose
//! operations are of the same kinds go through them together, with a draw for every image; so there are as many operations
//! as kinds were drawn, however many groups there are. Draws nothing itself.

use crate::augment::draw::{Draws, Operation};
use crate::augment::planned::Planned;
use crate::augment::settings::Settings;
use crate::transfer::{Parcel, Place, Sent};
use std::mem::discriminant;
use tch::{Kind, TchError, Tensor};

/// The operations of one group, and how many images it has.
pub type Group<'a> = (&'a [Operation], i64);

/// Applies to images \[B,C,H,W\], group after group, the operations of their group. The same numbers as for each group by
/// itself, up to rounding. All that they need is sent at once.
pub fn apply_by_group<'a>(
    images: &Tensor,
    groups: impl IntoIterator<Item = Group<'a>>,
    settings: &Settings,
) -> Result<Tensor, TchError> {
    let mut parcel = Parcel::default();
    let planned = PlannedGroups::new(groups, &images.size(), images.kind(), settings, &mut parcel);
    planned.apply(images, &parcel.send(images.device()))
}

/// The operations of groups whose numbers are sent before they are applied, with whatever else a step sends.
#[derive(Clone, Debug)]
pub struct PlannedGroups {
    /// Images that go together, and their operations.
    parts: Vec<(i64, Planned)>,
    /// Where images go together in several parts: the images of these, one after the other, and the way back.
    places: Option<[Place; 2]>,
}

impl PlannedGroups {
    /// The operations for images \[B,C,H,W\] of this shape and type, group after group.
    pub fn new<'a>(
        groups: impl IntoIterator<Item = Group<'a>>,
        shape: &[i64],
        kind: Kind,
        settings: &Settings,
        parcel: &mut Parcel,
    ) -> Self {
        let mut alike: Vec<Alike> = Vec::new();
        let mut start = 0;
        for (operations, images) in groups {
            let places = start..start + images;
            start += images;
            match alike.iter_mut().find_map(|alike| Some((alike.joined(operations, images)?, alike))) {
                Some((joined, alike)) => {
                    alike.operations = joined;
                    alike.places.extend(places);
                }
                None => alike.push(Alike { operations: operations.to_vec(), places: places.collect() }),
            }
        }
        let mut shape = shape.to_vec();
        let mut part = |alike: &Alike| {
            let images = alike.places.len() as i64;
            shape.iter_mut().take(1).for_each(|count| *count = images);
            (images, Planned::new(&alike.operations, &shape, kind, settings, parcel))
        };
        let parts: Vec<(i64, Planned)> = alike.iter().map(&mut part).collect();
        // Images that go together come to lie side by side, and back to their places afterwards.
        let places = (parts.len() > 1).then(|| {
            let order: Vec<i64> = alike.iter().flat_map(|alike| &alike.places).copied().collect();
            let mut back = vec![0; order.len()];
            order.iter().zip(0..).for_each(|(&place, at)| back[place as usize] = at);
            [parcel.add(&order), parcel.add(&back)]
        });
        PlannedGroups { parts, places }
    }

    /// Applies them; `sent` is the parcel that they were put into.
    pub fn apply(&self, images: &Tensor, sent: &Sent) -> Result<Tensor, TchError> {
        let Some([order, back]) = self.places else {
            return Ok(self.parts.first().map_or_else(|| images.shallow_clone(), |(_, all)| all.apply(images, sent)));
        };
        let sizes: Vec<i64> = self.parts.iter().map(|(images, _)| *images).collect();
        let parts = images.f_index_select(0, &sent.get(order))?.f_split_with_sizes(&sizes, 0)?;
        let changed: Vec<_> =
            parts.iter().zip(&self.parts).map(|(part, (_, planned))| planned.apply(part, sent)).collect();
        Tensor::f_cat(&changed, 0)?.f_index_select(0, &sent.get(back))
    }
}

/// Groups whose operations are of the same kinds.
struct Alike {
    operations: Vec<Operation>,
    places: Vec<i64>,
}

impl Alike {
    /// Their operations and those of another group of so many images as one list; `None` if they differ in kind.
    fn joined(&self, operations: &[Operation], images: i64) -> Option<Vec<Operation>> {
        if self.operations.len() != operations.len() {
            return None;
        }
        let counts = (self.places.len() as i64, images);
        self.operations.iter().zip(operations).map(|(own, other)| own.joined(other, counts)).collect()
    }
}

impl Operation {
    /// This operation on the first of `counts` images and another of its kind on the second; `None` for another kind.
    fn joined(&self, other: &Operation, counts: (i64, i64)) -> Option<Operation> {
        use Operation::*;
        if discriminant(self) != discriminant(other) {
            return None;
        }
        Some(match (self, other) {
            (Brightness { u }, Brightness { u: v }) => Brightness { u: u.joined(v, counts) },
            (Saturation { u }, Saturation { u: v }) => Saturation { u: u.joined(v, counts) },
            (Contrast { u }, Contrast { u: v }) => Contrast { u: u.joined(v, counts) },
            (Flip { u }, Flip { u: v }) => Flip { u: u.joined(v, counts) },
            (Rotate { u }, Rotate { u: v }) => Rotate { u: u.joined(v, counts) },
            (Scale { ux, uy }, Scale { ux: vx, uy: vy }) => {
                Scale { ux: ux.joined(vx, counts), uy: uy.joined(vy, counts) }
            }
            (Crop { tx, ty }, Crop { tx: vx, ty: vy }) => Crop { tx: tx.joined(vx, counts), ty: ty.joined(vy, counts) },
            (Cutout { ox, oy }, Cutout { ox: vx, oy: vy }) => {
                Cutout { ox: ox.joined(vx, counts), oy: oy.joined(vy, counts) }
            }
            _ => return None,
        })
    }
}

impl<T: Copy> Draws<T> {
    /// These draws for the first of `counts` images and others for the second.
    fn joined(&self, other: &Draws<T>, counts: (i64, i64)) -> Draws<T> {
        let each = |draws: &Draws<T>, count: i64| match draws {
            Draws::Shared(value) => vec![*value; count as usize],
            Draws::Each(values) => values.clone(),
        };
        Draws::Each([each(self, counts.0), each(other, counts.1)].concat())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::augment::{Mode, Sharing, Strategy, apply};
    use crate::stream::stream;

    #[test]
    fn groups_together_are_as_each_by_itself() {
        let strategy: Strategy = "color_crop_cutout_flip_scale_rotate".parse().unwrap();
        let settings = Settings::default();
        // Groups of unlike sizes, some without operations, some with a draw for each image.
        let counts = [3i64, 1, 4, 2, 3, 2, 1, 5, 2, 3, 4, 2];
        let drawn: Vec<Vec<Operation>> = counts
            .iter()
            .enumerate()
            .map(|(group, &count)| {
                let sharing = if group % 3 == 2 { Sharing::PerImage(count) } else { Sharing::Siamese };
                let mut stream = stream(4, "augment", group as u64);
                match group {
                    5 => Vec::new(),
                    _ => strategy.draw(Mode::Single, sharing, (9, 12), &settings, stream.generator()),
                }
            })
            .collect();
        let images = stream(4, "images", 0).normal_tensor(&[counts.iter().sum(), 3, 9, 12]);
        let groups = || drawn.iter().map(Vec::as_slice).zip(counts);
        let together = apply_by_group(&images, groups(), &settings).unwrap();
        let parts: Vec<_> = images
            .split_with_sizes(counts, 0)
            .iter()
            .zip(&drawn)
            .map(|(part, operations)| apply(part, operations, &settings))
            .collect();
        assert!(together.allclose(&Tensor::cat(&parts, 0), 1e-5, 1e-6, false));
        let one = apply_by_group(&images, [(&drawn[0][..], images.size()[0])], &settings).unwrap();
        assert_eq!(one, apply(&images, &drawn[0], &settings));
    }
}
