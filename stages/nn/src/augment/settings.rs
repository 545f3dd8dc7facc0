//! How strong each operation of DSA is. The defaults are those of the authors' code; methods of the trajectory-matching
//! line change only where the sampling grid puts the corners.

use serde::Deserialize;

/// Strength of each operation, and the convention of the sampling grid.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Probability of mirroring an image.
    pub prob_flip: f64,
    /// Largest factor of scaling; the smallest is its inverse.
    pub ratio_scale: f64,
    /// Largest angle of rotation, in degrees, to either side.
    pub ratio_rotate: f64,
    /// Largest shift of a crop, as a share of the image's side.
    pub ratio_crop_pad: f64,
    /// Side of the blanked rectangle, as a share of the image's side.
    pub ratio_cutout: f64,
    /// Width of the range of added brightness.
    pub brightness: f64,
    /// Largest factor of saturation.
    pub saturation: f64,
    /// Smallest factor of contrast; the largest is one more.
    pub contrast: f64,
    /// False (DSA, DM, DataDAM, IDC): -1 and 1 are the outer edges of the border pixels. True (the trajectory-matching
    /// line): they are those pixels' centres.
    pub align_corners: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            prob_flip: 0.5,
            ratio_scale: 1.2,
            ratio_rotate: 15.0,
            ratio_crop_pad: 0.125,
            ratio_cutout: 0.5,
            brightness: 1.0,
            saturation: 2.0,
            contrast: 0.5,
            align_corners: false,
        }
    }
}

impl Settings {
    /// Largest shift of a crop in pixels, for a side of `pixels`.
    pub fn largest_shift(&self, pixels: i64) -> i64 {
        (pixels as f64 * self.ratio_crop_pad + 0.5) as i64
    }

    /// Side of the blanked rectangle in pixels, for a side of `pixels`.
    pub fn cutout_side(&self, pixels: i64) -> i64 {
        (pixels as f64 * self.ratio_cutout + 0.5) as i64
    }
}
