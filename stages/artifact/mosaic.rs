//! Several images in one, as IDC begins and RDED ends.

use tch::{TchError, Tensor};

/// Images \[factor^2 ipc,C,h,w\] of one class as \[ipc,C,height,width\]: cell k of image m, counted row by row, is image
/// k ipc + m, of which the nearest pixels are taken. Where a side cannot be divided, the first cells are one pixel larger.
pub fn mosaic(images: &Tensor, ipc: i64, factor: i64, [height, width]: [i64; 2]) -> Result<Tensor, TchError> {
    let sides =
        |length: i64| (0..factor).map(|cell| length / factor + i64::from(cell < length % factor)).collect::<Vec<i64>>();
    let (mut rows, mut next) = (Vec::new(), 0);
    for height in sides(height) {
        let mut cells = Vec::new();
        for width in sides(width) {
            cells.push(images.f_narrow(0, next * ipc, ipc)?.f_upsample_nearest2d([height, width], None, None)?);
            next += 1;
        }
        rows.push(Tensor::f_cat(&cells, 3)?);
    }
    Tensor::f_cat(&rows, 2)
}
