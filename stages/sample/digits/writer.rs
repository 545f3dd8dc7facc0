//! Draws one digit with the variations of handwriting: one of several glyphs, displaced points, bent and slanted lines,
//! position and size, width of the pen, and dirt on the paper. Every draw comes from the image's own stream.

use super::pen;
use crate::sample::digits::glyphs::{DIGITS, Point, Stroke};
use crate::sample::digits::pen::Pen;
use ddpipe_nn::stream::Stream;
use rand_distr::{Distribution, StandardNormal};
use std::f32::consts::{PI, TAU};

/// Standard deviation of the displacement of control points, in units of half a digit's height.
const WOBBLE: f32 = 0.06;

/// Draws the digit into `picture`, `size` times `size` bytes, row by row; ink is bright on black paper.
pub fn write(stream: &mut Stream, digit: u8, size: usize, picture: &mut [u8]) {
    let ways = DIGITS[usize::from(digit) % DIGITS.len()];
    let glyph = ways[stream.integer(0, ways.len() as i64) as usize];
    let hand = Hand::draw(stream, size as f32);
    let mut page = Pen::new(size, hand.radius);
    for stroke in glyph {
        let (Stroke::Curve(points) | Stroke::Lines(points)) = stroke;
        let points: Vec<Point> = points.iter().map(|&point| hand.place(wobble(stream, point))).collect();
        match stroke {
            Stroke::Curve(_) => page.lines(&pen::curve(&points)),
            Stroke::Lines(_) => page.lines(&points),
        }
    }
    if stream.uniform() < 0.2 {
        page.lines(&stray(stream, size as f32));
    }
    for (pixel, ink) in picture.iter_mut().zip(page.ink()) {
        let texture = 1.0 - hand.texture * stream.uniform();
        let speck = if stream.uniform() < hand.dirt { stream.uniform() } else { 0.0 };
        *pixel = ((ink * hand.ink * texture).max(speck) * 255.0).round() as u8;
    }
}

/// The properties of the handwriting that are the same over a whole digit.
struct Hand {
    matrix: [f32; 4],
    centre: Point,
    bend: (f32, f32, f32),
    radius: f32,
    ink: f32,
    texture: f32,
    dirt: f32,
}

impl Hand {
    fn draw(stream: &mut Stream, size: f32) -> Self {
        let mut between = |low: f32, high: f32| low + (high - low) * stream.uniform();
        let (sin, cos) = between(-0.25, 0.25).sin_cos();
        let slant = between(-0.35, 0.35);
        let high = 0.36 * size * between(0.7, 1.05);
        let wide = high * between(0.8, 1.25);
        // Slant, then size, then rotation.
        let matrix = [cos * wide, cos * wide * -slant - sin * high, sin * wide, sin * wide * -slant + cos * high];
        Hand {
            matrix,
            centre: (size * (0.5 + between(-0.1, 0.1)), size * (0.5 + between(-0.07, 0.07))),
            bend: (between(-0.1, 0.1), between(0.4, 1.2) * PI, between(0.0, TAU)),
            radius: size * between(0.025, 0.06),
            ink: between(0.65, 1.0),
            texture: between(0.0, 0.35),
            dirt: between(0.0, 0.01),
        }
    }

    /// Maps a point of the glyph's box to pixels.
    fn place(&self, (x, y): Point) -> Point {
        let (depth, frequency, phase) = self.bend;
        let (x, y) = (x + depth * (frequency * y + phase).sin(), y + depth * (frequency * x + phase).cos());
        let [a, b, c, d] = self.matrix;
        (self.centre.0 + a * x + b * y, self.centre.1 + c * x + d * y)
    }
}

fn wobble(stream: &mut Stream, (x, y): Point) -> Point {
    let mut normal = || -> f32 { StandardNormal.sample(stream.generator()) };
    (x + WOBBLE * normal(), y + WOBBLE * normal())
}

/// A short line at a random place, like a slip of the pen.
fn stray(stream: &mut Stream, size: f32) -> [Point; 2] {
    let (x, y) = (size * stream.uniform(), size * stream.uniform());
    let (sin, cos) = (TAU * stream.uniform()).sin_cos();
    let length = size * (0.05 + 0.15 * stream.uniform());
    [(x, y), (x + length * cos, y + length * sin)]
}
