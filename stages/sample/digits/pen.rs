//! Draws lines with soft edges: a round pen on a square page of pixels. Deterministic; which lines are drawn is decided
//! in `writer.rs`.

use crate::sample::digits::glyphs::Point;

/// The number of straight pieces that approximate a curve between two of its points.
const PIECES: usize = 6;

/// A page and the pen that draws on it.
pub struct Pen {
    size: usize,
    radius: f32,
    /// For every pixel, the smallest distance of its centre from any line, in pixels.
    distance: Vec<f32>,
}

impl Pen {
    /// An empty page of `size` times `size` pixels and a pen of this radius in pixels.
    pub fn new(size: usize, radius: f32) -> Self {
        Pen { size, radius, distance: vec![f32::INFINITY; size * size] }
    }

    /// Draws straight lines from each point to the next; coordinates are in pixels, and may lie outside the page.
    pub fn lines(&mut self, points: &[Point]) {
        for ends in points.windows(2) {
            self.line(ends[0], ends[1]);
        }
    }

    fn line(&mut self, from: Point, to: Point) {
        let reach = self.radius + 1.0;
        let range = |a: f32, b: f32| {
            let last = self.size as f32;
            let low = (a.min(b) - reach).floor().clamp(0.0, last) as usize;
            low..(a.max(b) + reach).ceil().clamp(0.0, last) as usize
        };
        let (rows, columns) = (range(from.1, to.1), range(from.0, to.0));
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
        for row in rows {
            for column in columns.clone() {
                let (x, y) = (column as f32 + 0.5 - from.0, row as f32 + 0.5 - from.1);
                let along = ((x * dx + y * dy) / length).clamp(0.0, 1.0);
                let (x, y) = (x - along * dx, y - along * dy);
                let distance = &mut self.distance[row * self.size + column];
                *distance = distance.min((x * x + y * y).sqrt());
            }
        }
    }

    /// The share of every pixel that is covered with ink, from 0 to 1, row by row.
    pub fn ink(&self) -> impl Iterator<Item = f32> {
        self.distance.iter().map(|distance| (self.radius + 0.5 - distance).clamp(0.0, 1.0))
    }
}

/// A smooth curve through the points (Catmull-Rom; the end points are their own neighbours), as short lines.
pub fn curve(points: &[Point]) -> Vec<Point> {
    let at = |index: usize| points[index.min(points.len() - 1)];
    let mut line = Vec::with_capacity(points.len() * PIECES + 1);
    for index in 0..points.len().saturating_sub(1) {
        let (p0, p1, p2, p3) = (at(index.saturating_sub(1)), at(index), at(index + 1), at(index + 2));
        for piece in 0..PIECES {
            let t = piece as f32 / PIECES as f32;
            let axis = |p0: f32, p1: f32, p2: f32, p3: f32| {
                let bend = (2.0 * p0 - 5.0 * p1 + 4.0 * p2 - p3) + (3.0 * p1 - p0 - 3.0 * p2 + p3) * t;
                p1 + 0.5 * t * ((p2 - p0) + bend * t)
            };
            line.push((axis(p0.0, p1.0, p2.0, p3.0), axis(p0.1, p1.1, p2.1, p3.1)));
        }
    }
    line.extend(points.last());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_covers_what_lies_under_the_pen() {
        let mut pen = Pen::new(5, 0.5);
        pen.lines(&[(1.5, 2.5), (3.5, 2.5)]);
        let ink: Vec<f32> = pen.ink().collect();
        let covered: Vec<usize> = (0..25).filter(|&pixel| ink[pixel] > 0.0).collect();
        assert_eq!(covered, [11, 12, 13]);
        assert!(covered.iter().all(|&pixel| ink[pixel] == 1.0));
    }

    #[test]
    fn a_line_may_leave_the_page() {
        let mut pen = Pen::new(4, 1.0);
        pen.lines(&[(-50.0, -50.0), (50.0, 50.0), (50.0, 50.0)]);
        let ink: Vec<f32> = pen.ink().collect();
        assert_eq!((ink[0], ink[5], ink[3]), (1.0, 1.0, 0.0));
    }

    #[test]
    fn a_curve_passes_through_its_points() {
        let points = [(0.0, 0.0), (1.0, 2.0), (3.0, 1.0), (4.0, 4.0)];
        let line = curve(&points);
        assert!(points.iter().all(|point| line.contains(point)), "{line:?}");
        assert_eq!(line.len(), 3 * PIECES + 1);
    }
}
