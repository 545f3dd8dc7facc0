//! Exact distances from one point to many, in bounded memory, for herding and k-center.

#![expect(non_snake_case, reason = "tensors carry their shape in their names; mod.rs has the legend")]

use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// The number of values that are in double precision at a time: 32 MiB.
const CHUNK: i64 = 4 << 20;

/// \[N\], the squared Euclidean distances of all rows of features_ND from point_D (float64), on the CPU. In double
/// precision, because the differences that decide between two images are small compared with the features.
pub(super) fn squared_distances(features_ND: &Tensor, point_D: &Tensor) -> Result<Vec<f64>> {
    let mut distances = Vec::with_capacity(features_ND.size()[0] as usize);
    for part_nD in features_ND.f_split(rows(features_ND), 0)? {
        let apart_nD = part_nD.f_to_kind(Kind::Double)?.f_sub(point_D)?;
        let squares_n = apart_nD.f_mul(&apart_nD)?.f_sum_dim_intlist(1, false, Kind::Double)?;
        distances.extend(Vec::<f64>::try_from(squares_n.f_to_device(Device::Cpu)?)?);
    }
    Ok(distances)
}

/// \[D\] float64, the mean of all rows.
pub(super) fn mean(features_ND: &Tensor) -> Result<Tensor> {
    let [count, width] = [features_ND.size()[0], features_ND.size()[1]];
    let mut sum_D = Tensor::f_zeros([width], (Kind::Double, features_ND.device()))?;
    for part_nD in features_ND.f_split(rows(features_ND), 0)? {
        sum_D = sum_D.f_add(&part_nD.f_to_kind(Kind::Double)?.f_sum_dim_intlist(0, false, Kind::Double)?)?;
    }
    Ok(sum_D.f_div_scalar(count as f64)?)
}

/// \[D\] float64, the row with this index.
pub(super) fn row(features_ND: &Tensor, at: usize) -> Result<Tensor> {
    Ok(features_ND.f_get(at as i64)?.f_to_kind(Kind::Double)?)
}

fn rows(features_ND: &Tensor) -> i64 {
    (CHUNK / features_ND.size()[1].max(1)).max(1)
}
