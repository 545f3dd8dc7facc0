//! Interpolation of a picture by cubic B-splines, as scipy.ndimage does it at order 3: the coefficients are found by a
//! recursive filter (Unser, Splines, 1999) with mirrored borders. Serves the rotation of DC's augmentation.
//!
//! Written here because the crates that filter do not interpolate at free positions, and the whole is short.

/// Pole of the cubic B-spline's filter: sqrt(3) - 2.
const POLE: f64 = -0.267_949_192_431_122_7;

/// A picture as a cubic spline: a smooth function through its pixels.
pub struct Spline {
    coefficients: Vec<f64>,
    height: usize,
    width: usize,
}

impl Spline {
    /// Fits a picture given row by row.
    pub fn fit(pixels: &[f32], height: usize, width: usize) -> Self {
        let mut coefficients: Vec<f64> = pixels.iter().map(|pixel| f64::from(*pixel)).collect();
        for row in coefficients.chunks_exact_mut(width) {
            filter(row);
        }
        let mut line = vec![0.0; height];
        for column in 0..width {
            for (row, value) in line.iter_mut().enumerate() {
                *value = coefficients[row * width + column];
            }
            filter(&mut line);
            for (row, value) in line.iter().enumerate() {
                coefficients[row * width + column] = *value;
            }
        }
        Spline { coefficients, height, width }
    }

    /// The value at a position in pixels, (0, 0) being the middle of the first one; nothing beyond the last middles.
    pub fn at(&self, y: f64, x: f64) -> Option<f64> {
        let (rows, row_weights) = support(y, self.height)?;
        let (columns, column_weights) = support(x, self.width)?;
        let mut sum = 0.0;
        for (row, row_weight) in rows.into_iter().zip(row_weights) {
            for (column, column_weight) in columns.into_iter().zip(column_weights) {
                sum += row_weight * column_weight * self.coefficients[row * self.width + column];
            }
        }
        Some(sum)
    }
}

/// The linear map from the samples of a line to its coefficients, \[n,n\] row by row.
pub(super) fn filter_matrix(length: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; length * length];
    let mut line = vec![0.0; length];
    for column in 0..length {
        line.fill(0.0);
        line[column] = 1.0;
        filter(&mut line);
        line.iter().enumerate().for_each(|(row, value)| matrix[row * length + column] = *value);
    }
    matrix
}

/// Turns samples into spline coefficients, in place: a causal and an anticausal pass of the same pole.
fn filter(line: &mut [f64]) {
    let n = line.len();
    if n < 2 {
        return;
    }
    let gain = (1.0 - POLE) * (1.0 - 1.0 / POLE);
    line.iter_mut().for_each(|value| *value *= gain);

    let last_power = POLE.powi(n as i32 - 1);
    let mut power = POLE;
    let mut first = line[0] + last_power * line[n - 1];
    for i in 1..n - 1 {
        first += power * (line[i] + last_power * line[n - 1 - i]);
        power *= POLE;
    }
    line[0] = first / (1.0 - last_power * last_power);
    for i in 1..n {
        line[i] += POLE * line[i - 1];
    }
    line[n - 1] = (POLE * line[n - 2] + line[n - 1]) * POLE / (POLE * POLE - 1.0);
    for i in (0..n - 1).rev() {
        line[i] = POLE * (line[i + 1] - line[i]);
    }
}

/// The four coefficients about a position, mirrored at the borders, and their weights.
fn support(position: f64, length: usize) -> Option<([usize; 4], [f64; 4])> {
    if !(0.0..=(length - 1) as f64).contains(&position) {
        return None;
    }
    let floor = position.floor();
    let (after, before) = (position - floor, 1.0 - (position - floor));
    let near = |distance: f64| (distance * distance * (distance - 2.0) * 3.0 + 4.0) / 6.0;
    let weights = [before.powi(3) / 6.0, near(after), near(before), after.powi(3) / 6.0];
    let period = (2 * length as i64 - 2).max(1);
    let mirror = |index: i64| {
        let index = index.rem_euclid(period);
        index.min(period - index) as usize
    };
    let start = floor as i64 - 1;
    Some(([start, start + 1, start + 2, start + 3].map(mirror), weights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_through_the_pixels() {
        let pixels: Vec<f32> = (0..35).map(|i| ((i * i) % 11) as f32).collect();
        let spline = Spline::fit(&pixels, 5, 7);
        for (i, pixel) in pixels.iter().enumerate() {
            let value = spline.at((i / 7) as f64, (i % 7) as f64).unwrap();
            assert!((value - f64::from(*pixel)).abs() < 1e-12, "pixel {i}: {value} instead of {pixel}");
        }
        assert_eq!(spline.at(4.001, 0.0), None);
        assert_eq!(spline.at(0.0, -0.001), None);
    }

    #[test]
    fn takes_pictures_of_one_row_or_column() {
        assert!((Spline::fit(&[2.0, 4.0], 1, 2).at(0.0, 1.0).unwrap() - 4.0).abs() < 1e-12);
        assert!((Spline::fit(&[2.0], 1, 1).at(0.0, 0.0).unwrap() - 2.0).abs() < 1e-12);
    }
}
