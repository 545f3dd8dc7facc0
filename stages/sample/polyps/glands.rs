//! The shape of one gland, in polar coordinates around its centre: the cross-section of a tube, with an open middle, a
//! wall of cells and a ring of nuclei. The features that distinguish the classes are here: how saw-toothed the inner
//! edge is and how much the outer edge bulges.

use ddpipe_nn::stream::Stream;
use std::f32::consts::TAU;

/// One gland, lengths in pixels.
pub struct Gland {
    centre: (f32, f32),
    radius: f32,
    /// Cosine and sine of the direction of the long axis, and the ratio of its length to that of the short one.
    axis: (f32, f32, f32),
    open: f32,
    teeth: f32,
    tooth_depth: f32,
    bulge: f32,
    phases: [f32; 3],
    nuclei: f32,
    wall: f32,
}

/// The position of a pixel relative to a gland.
pub struct Place {
    /// Distance from the outer edge in pixels, negative inside.
    pub outside: f32,
    /// Distance from the inner edge in pixels, negative in the open middle.
    pub wall: f32,
    /// The share of the pixel that nuclei cover, from 0 to 1.
    pub nucleus: f32,
}

impl Gland {
    /// A gland around a centre. `serrated` goes from 0, round and even, to 1, saw-toothed and dilated.
    pub fn grow(stream: &mut Stream, centre: (f32, f32), radius: f32, serrated: f32) -> Self {
        let mut between = |low: f32, high: f32| low + (high - low) * stream.uniform();
        let (sin, cos) = between(0.0, TAU).sin_cos();
        let radius = radius * between(0.92 - 0.12 * serrated, 1.05 + 0.2 * serrated);
        Gland {
            centre,
            radius,
            axis: (cos, sin, 1.0 + between(0.0, 0.25 + 0.35 * serrated)),
            open: between(0.3, 0.42) + 0.14 * serrated,
            teeth: between(6.0, 10.99).floor(),
            tooth_depth: between(0.02, 0.1) + serrated * between(0.2, 0.42),
            bulge: between(0.01, 0.05) + serrated * between(0.02, 0.1),
            phases: [between(0.0, TAU), between(0.0, TAU), between(0.0, TAU)],
            nuclei: (TAU * radius / between(3.2, 4.2) * NUCLEI_PER_PIXEL).max(8.0).round(),
            wall: between(0.10, 0.16) * radius,
        }
    }

    /// The largest distance of any part of the gland from its centre, in pixels.
    pub fn reach(&self) -> f32 {
        self.radius * self.axis.2 * (1.0 + self.bulge) + 3.0
    }

    /// The position of the pixel at (x, y) relative to the gland; `None` beyond the gland's reach.
    pub fn place(&self, x: f32, y: f32) -> Option<Place> {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let (cos, sin, long) = self.axis;
        let (along, across) = ((dx * cos + dy * sin) / long, dy * cos - dx * sin);
        let distance = (along * along + across * across).sqrt();
        if distance > self.radius * (1.0 + self.bulge) + 3.0 {
            return None;
        }
        let angle = across.atan2(along);
        let [first, second, third] = self.phases;
        let edge = self.radius * (1.0 + self.bulge * (3.0 * angle + first).sin());
        // A saw tooth: rises slowly, falls quickly but without a jump.
        let turn = (self.teeth * angle / TAU + second / TAU).rem_euclid(1.0);
        let saw = if turn < 0.75 { turn / 0.75 } else { (1.0 - turn) / 0.25 };
        let inner = edge * (self.open + self.tooth_depth * (saw - 0.5));
        let ring = 1.0 - ((distance - (edge - self.wall)) / self.wall).abs();
        let beads = 0.5 + 0.5 * (self.nuclei * angle + third).cos();
        Some(Place {
            outside: distance - edge,
            wall: distance - inner,
            nucleus: (ring.clamp(0.0, 1.0) * (0.35 + 0.9 * beads)).clamp(0.0, 1.0),
        })
    }
}

/// The number of nuclei per pixel of the outer edge, before it is divided by the spacing.
const NUCLEI_PER_PIXEL: f32 = 0.55;
