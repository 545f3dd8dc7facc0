//! Draws one picture of tissue in the colours of haematoxylin and eosin: pink stroma with scattered cells, and glands
//! in rows. The glands are round and even in one class (HP), saw-toothed and uneven in the other (SSA). How clear a
//! case is follows from the votes. Every draw comes from the image's own stream.

use crate::sample::polyps::glands::Gland;
use ddpipe_nn::stream::Stream;

type Colour = [f32; 3];

const STROMA: Colour = [0.88, 0.66, 0.79];
const CELLS: Colour = [0.78, 0.58, 0.78];
const MUCIN: Colour = [0.93, 0.88, 0.94];
const NUCLEUS: Colour = [0.38, 0.24, 0.55];

/// The pixels \[size,size,3\] of a picture, RGB row by row. `share` is the share of the annotators who chose SSA.
pub fn draw(stream: &mut Stream, ssa: bool, share: f32, size: usize) -> Vec<u8> {
    let page = size as f32;
    let mut between = |low: f32, high: f32| low + (high - low) * stream.uniform();
    // The classes look alike where the votes are close to even.
    let clear = (0.05 + 0.9 * share + between(-0.1, 0.1)).clamp(0.0, 1.0);
    let serrated = if ssa { clear.max(0.4) } else { clear.min(0.5) };
    let stain: Colour = [between(-0.07, 0.05), between(-0.08, 0.08), between(-0.05, 0.05)];
    let light = between(0.9, 1.06);
    let pitch = page * between(0.24, 0.36);
    let grain = between(0.015, 0.04);
    let crowd = between(0.5, 1.6);
    let origin = (between(-0.5, 0.5) * pitch, between(-0.5, 0.5) * pitch);

    let glands = glands(stream, page, pitch, origin, serrated);
    let cloud = Cloud::new(stream, 7);
    let mut picture = vec![STROMA; size * size];
    for (index, pixel) in picture.iter_mut().enumerate() {
        let (row, column) = (index / size, index % size);
        let depth = cloud.at(row as f32 / page, column as f32 / page);
        *pixel = STROMA.map(|value| value * (0.93 + 0.12 * depth));
    }
    cells(stream, &mut picture, size, crowd * (1.0 - 0.25 * serrated));
    for gland in &glands {
        for row in 0..size {
            for column in 0..size {
                if let Some(place) = gland.place(column as f32 + 0.5, row as f32 + 0.5) {
                    let pixel = &mut picture[row * size + column];
                    blend(pixel, CELLS, soft(-place.outside));
                    blend(pixel, NUCLEUS, place.nucleus * soft(-place.outside));
                    blend(pixel, MUCIN, soft(-place.wall));
                }
            }
        }
    }
    let mut noise = || grain * (stream.uniform() + stream.uniform() - 1.0) * 2.0;
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    picture
        .iter()
        .flat_map(|pixel| {
            let grey = noise();
            [0, 1, 2].map(|channel| byte(light * (pixel[channel] + stain[channel] * (1.2 - pixel[channel])) + grey))
        })
        .collect()
}

/// The glands on a randomly displaced grid; the more serrated they are, the more uneven the grid.
fn glands(stream: &mut Stream, page: f32, pitch: f32, origin: (f32, f32), serrated: f32) -> Vec<Gland> {
    let count = (page / pitch).ceil() as i32 + 1;
    let mut glands = Vec::new();
    for row in -1..=count {
        for column in -1..=count {
            let shift = if row % 2 == 0 { 0.0 } else { 0.5 };
            let waver = pitch * (0.05 + 0.1 * serrated);
            let x = origin.0 + (column as f32 + shift) * pitch + waver * (2.0 * stream.uniform() - 1.0);
            let y = origin.1 + row as f32 * 0.9 * pitch + waver * (2.0 * stream.uniform() - 1.0);
            let own = (serrated + 0.2 * (2.0 * stream.uniform() - 1.0)).clamp(0.0, 1.0);
            let gland = Gland::grow(stream, (x, y), 0.36 * pitch, own);
            let near = |at: f32| at > -gland.reach() && at < page + gland.reach();
            if near(x) && near(y) && stream.uniform() > 0.08 {
                glands.push(gland);
            }
        }
    }
    glands
}

/// Draws the scattered nuclei of the stroma.
fn cells(stream: &mut Stream, picture: &mut [Colour], size: usize, crowd: f32) {
    let page = size as f32;
    let radius = (page / 120.0).max(0.6);
    let count = (crowd * 260.0) as usize;
    for _ in 0..count {
        let (x, y) = (page * stream.uniform(), page * stream.uniform());
        let (long, (sin, cos)) = (1.0 + 1.5 * stream.uniform(), (3.2 * stream.uniform()).sin_cos());
        let reach = radius * long + 1.0;
        let range = |at: f32| ((at - reach).max(0.0) as usize)..((at + reach).ceil().clamp(0.0, page) as usize);
        for row in range(y) {
            for column in range(x) {
                let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
                let (along, across) = ((dx * cos + dy * sin) / long, dy * cos - dx * sin);
                let inside = soft(radius - (along * along + across * across).sqrt());
                blend(&mut picture[row * size + column], NUCLEUS, 0.8 * inside);
            }
        }
    }
}

/// The coverage of a pixel at this depth inside a shape: 1 well inside, 0 well outside, linear over one pixel between.
fn soft(depth: f32) -> f32 {
    (depth + 0.5).clamp(0.0, 1.0)
}

fn blend(pixel: &mut Colour, colour: Colour, amount: f32) {
    for (value, target) in pixel.iter_mut().zip(colour) {
        *value += amount * (target - *value);
    }
}

/// Smooth noise between 0 and 1 over a page whose coordinates go from 0 to 1.
struct Cloud {
    cells: usize,
    values: Vec<f32>,
}

impl Cloud {
    fn new(stream: &mut Stream, cells: usize) -> Self {
        Cloud { cells, values: (0..(cells + 1) * (cells + 1)).map(|_| stream.uniform()).collect() }
    }

    fn at(&self, y: f32, x: f32) -> f32 {
        let cell = |at: f32| {
            let at = at * self.cells as f32;
            let low = (at as usize).min(self.cells - 1);
            let part = at - low as f32;
            (low, part * part * (3.0 - 2.0 * part))
        };
        let ((row, down), (column, right)) = (cell(y), cell(x));
        let value = |row: usize, column: usize| self.values[row * (self.cells + 1) + column];
        let top = value(row, column) * (1.0 - right) + value(row, column + 1) * right;
        let bottom = value(row + 1, column) * (1.0 - right) + value(row + 1, column + 1) * right;
        top * (1.0 - down) + bottom * down
    }
}
