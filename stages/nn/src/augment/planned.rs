//! Operations whose numbers are sent before they are applied, with whatever else a step sends: [`Planned::new`] puts them
//! into a parcel. A number that all images share is no tensor at all. The formulas are in `operation.rs`.

use crate::augment::draw::{Draws, Operation};
use crate::augment::operation::{Change, Number, Whole};
use crate::augment::settings::Settings;
use crate::transfer::{Parcel, Place, Sent};
use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// Operations in order, and where their numbers lie in a parcel.
#[derive(Clone, Debug, Default)]
pub struct Planned(Vec<Change<Place>>);

impl Planned {
    /// The operations for images \[B,C,H,W\] of this shape and type. Draws made per image must be B in number.
    pub fn new(operations: &[Operation], shape: &[i64], kind: Kind, settings: &Settings, parcel: &mut Parcel) -> Self {
        let mut plan = Plan { shape, kind, settings, parcel };
        Planned(operations.iter().map(|operation| plan.change(operation)).collect())
    }

    /// Applies them in order to images \[B,C,H,W\]; `sent` is the parcel that they were put into.
    pub fn apply(&self, images: &Tensor, sent: &Sent) -> Tensor {
        let column = |place: &Place| sent.get(*place).view([-1, 1, 1, 1]);
        self.0.iter().fold(images.shallow_clone(), |images, change| change.sent(&column).apply(&images))
    }
}

struct Plan<'a> {
    shape: &'a [i64],
    kind: Kind,
    settings: &'a Settings,
    parcel: &'a mut Parcel,
}

impl Plan<'_> {
    fn change(&mut self, operation: &Operation) -> Change<Place> {
        let settings = self.settings;
        match operation {
            Operation::Brightness { u } => Change::Add(self.number(&u.map(|u| (u - 0.5) * settings.brightness))),
            Operation::Saturation { u } => Change::FromGrey(self.number(&u.map(|u| u * settings.saturation))),
            Operation::Contrast { u } => Change::FromMean(self.number(&u.map(|u| u + settings.contrast))),
            Operation::Crop { tx, ty } => Change::Shift([self.whole(tx), self.whole(ty)]),
            Operation::Cutout { ox, oy } => {
                let sides = [2, 3].map(|axis| settings.cutout_side(self.side(axis)));
                let [rows, columns] = [(ox, sides[0]), (oy, sides[1])].map(|(middle, side)| {
                    let first = self.whole(&middle.map(|middle| middle - side / 2));
                    (first, side)
                });
                Change::Blank([rows, columns])
            }
            Operation::Flip { u } => match u.map(|u| u < settings.prob_flip) {
                Draws::Shared(mirrored) => Change::Mirror(Number::Shared(mirrored)),
                Draws::Each(mirrored) => Change::Mirror(Number::Each(self.parcel.add(&mirrored))),
            },
            Operation::Scale { ux, uy } => {
                let largest = settings.ratio_scale;
                let factor = |u: f64| u * (largest - 1.0 / largest) + 1.0 / largest;
                let zero = ux.map(|_| 0.0);
                self.resample([&ux.map(factor), &zero, &zero, &uy.map(factor)])
            }
            Operation::Rotate { u } => {
                let angle = u.map(|u| (u - 0.5) * 2.0 * settings.ratio_rotate / 180.0 * PI);
                let (cosine, sine) = (angle.map(f64::cos), angle.map(f64::sin));
                self.resample([&cosine, &sine.map(|sine| -sine), &sine, &cosine])
            }
        }
    }

    fn side(&self, axis: usize) -> i64 {
        self.shape.get(axis).copied().unwrap_or(1)
    }

    fn number(&mut self, draws: &Draws<f64>) -> Number<f64, Place> {
        match draws {
            Draws::Shared(value) => Number::Shared(*value),
            Draws::Each(values) => Number::Each(self.floats(values)),
        }
    }

    /// Rounded here as it would be there.
    fn floats(&mut self, values: &[f64]) -> Place {
        match self.kind {
            Kind::Float => self.parcel.add(&values.iter().map(|value| *value as f32).collect::<Vec<f32>>()),
            _ => self.parcel.add(values),
        }
    }

    fn whole(&mut self, draws: &Draws<i64>) -> Whole<Place> {
        let largest = draws.as_slice().iter().map(|shift| shift.abs()).max().unwrap_or(0);
        let number = match draws {
            Draws::Shared(value) => Number::Shared(*value),
            Draws::Each(values) => Number::Each(self.parcel.add(values)),
        };
        Whole { number, largest }
    }

    /// Sampling at theta * (x, y) with theta = [[a, b, 0], [c, d, 0]].
    fn resample(&mut self, entries: [&Draws<f64>; 4]) -> Change<Place> {
        let align_corners = self.settings.align_corners;
        let [a, b, c, d] = entries.map(Draws::as_slice);
        let theta = match entries {
            [Draws::Shared(a), Draws::Shared(b), Draws::Shared(c), Draws::Shared(d)] => {
                Number::Shared([*a, *b, 0.0, *c, *d, 0.0])
            }
            _ => {
                let rows = a.iter().zip(b).zip(c.iter().zip(d));
                let rows = rows.flat_map(|((a, b), (c, d))| [*a, *b, 0.0, *c, *d, 0.0]);
                Number::Each(self.floats(&rows.collect::<Vec<f64>>()))
            }
        };
        Change::Resample { theta, align_corners }
    }
}
