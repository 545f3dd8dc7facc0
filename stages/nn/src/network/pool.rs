//! Pooling over squares that do not overlap.

use super::spec::Pooling;
use crate::layout::Layout;
use tch::{TchError, Tensor};

/// Columns up to which averages on a CPU are taken as a product of matrices: its work grows with the columns.
const WIDEST: i64 = 64;

impl Pooling {
    /// Pools images \[B,C,H,W\] over squares of `size` that do not overlap; a rest that fills no square is left out.
    pub fn apply(self, x_BCHW: &Tensor, size: i64) -> Result<Tensor, TchError> {
        match self {
            Pooling::Average if in_pieces(x_BCHW) && x_BCHW.size()[3] <= WIDEST => averaged(x_BCHW, size),
            Pooling::Average => x_BCHW.f_avg_pool2d([size, size], [size, size], [0, 0], false, true, None),
            Pooling::Max => x_BCHW.f_max_pool2d([size, size], [size, size], [0, 0], [1, 1], false),
            Pooling::None => Ok(x_BCHW.shallow_clone()),
        }
    }
}

fn in_pieces(x: &Tensor) -> bool {
    Layout::of(x.device()) == Layout::Pieces
}

/// The averages as a product with a constant matrix. libtorch's average pooling on a CPU takes one value after the other: on
/// maps of 32x32 the product took an eighth of its time forwards and a fifth backwards (docs/performance.md).
fn averaged(x_BCHW: &Tensor, size: i64) -> Result<Tensor, TchError> {
    let [batch, channels, height, width] = x_BCHW.size()[..] else {
        return Err(TchError::Torch(format!("maps have four axes, not {:?}", x_BCHW.size())));
    };
    let (rows, columns) = (height / size, width / size);
    let weight = (x_BCHW.kind(), x_BCHW.device());
    let square = Tensor::f_eye(columns, weight)?.f_repeat_interleave_self_int(size, 0, None)?;
    let square = square.f_constant_pad_nd([0, 0, 0, width - columns * size])?.f_repeat([size, 1])?;
    let weight = square.f_mul_scalar(1.0 / (size * size) as f64)?;
    // Each row holds what one row of squares averages.
    let strips = x_BCHW.f_narrow(2, 0, rows * size)?.f_reshape([batch * channels * rows, size * width])?;
    strips.f_matmul(&weight)?.f_view([batch, channels, rows, columns])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn averages_and_their_gradients_are_those_of_libtorch() {
        for shape in [[3, 2, 8, 8], [1, 4, 7, 9], [2, 1, 5, 4]] {
            let x = Tensor::randn(shape, tch::kind::FLOAT_CPU).set_requires_grad(true);
            let gradient =
                |pooled: &Tensor| Tensor::run_backward(&[pooled.square().sum(None)], &[&x], false, false).remove(0);
            let (ours, theirs) = (averaged(&x, 2).unwrap(), x.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None));
            assert!(ours.allclose(&theirs, 1e-6, 1e-6, false), "{shape:?}");
            assert!(gradient(&ours).allclose(&gradient(&theirs), 1e-6, 1e-6, false), "{shape:?}");
        }
    }
}
