//! What turns a student's layer into something of the shape of its teacher's, so that the two can be compared: a
//! convolution between maps, a linear layer elsewhere. Its weights are values that go in; training them is `guide`'s
//! business.

use anyhow::{Result, ensure};
use ddpipe_nn::stream::Stream;
use tch::{Device, TchError, Tensor};

/// From a layer of a student to one of its teacher.
#[derive(Clone, Debug, PartialEq)]
pub struct Regressor {
    /// Of one image's output of the teacher's layer.
    target: Vec<i64>,
    weight: Vec<i64>,
}

impl Regressor {
    /// The regressor for outputs of these shapes, without the batch. Between maps it is a convolution without padding
    /// whose kernel makes up for the difference in size, 1x1 where there is none (Romero et al., section 2.2); it cannot
    /// make maps larger, which is an error. Where either is a vector it is a linear layer.
    pub fn between(student: &[i64], teacher: &[i64]) -> Result<Self> {
        let target = teacher.to_vec();
        let weight = match (student, teacher) {
            (&[channels, height, width], &[wanted, rows, columns]) => {
                ensure!(
                    height >= rows && width >= columns,
                    "maps of {height}x{width} cannot be compared with the teacher's larger ones of {rows}x{columns}; \
                     choose an earlier layer of the student or a later one of the teacher"
                );
                vec![wanted, channels, height - rows + 1, width - columns + 1]
            }
            _ => vec![teacher.iter().product(), student.iter().product()],
        };
        Ok(Regressor { target, weight })
    }

    /// Fresh weight and bias, uniform in ±1/√fan_in.
    pub fn init(&self, stream: &mut Stream, device: Device) -> Vec<Tensor> {
        let fan_in: i64 = self.weight[1..].iter().product();
        let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
        [self.weight.as_slice(), &self.weight[..1]]
            .map(|shape| stream.uniform_tensor(shape, -bound, bound).to_device(device))
            .into()
    }

    /// The student's outputs \[B,...\] in the shape of the teacher's, by these weight and bias.
    pub fn apply(&self, values: &[Tensor], student: &Tensor) -> Result<Tensor, TchError> {
        let [weight, bias] = values else {
            return Err(TchError::Torch(format!("a regressor has a weight and a bias, not {}", values.len())));
        };
        if self.weight.len() == 4 {
            return student.f_conv2d(weight, Some(bias), [1, 1], [0, 0], [1, 1], 1);
        }
        let shape: Vec<i64> = std::iter::once(student.size()[0]).chain(self.target.iter().copied()).collect();
        student.f_reshape([shape[0], -1])?.f_linear(weight, Some(bias))?.f_reshape(shape)
    }
}
