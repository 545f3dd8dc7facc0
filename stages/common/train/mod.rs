//! Training of one network on labelled images: the optimiser's step, learning-rate schedules, the loop, the evaluation
//! on held-out images, and both for a student. The loop can stop after any batch and continue to the same result. It
//! knows no stage: what to do after a step is its observer's business.

#![expect(non_snake_case, reason = "tensors carry their shape in their names: B batch, K classes")]

mod augment;
mod combined;
mod evaluation;
mod examples;
mod freezing;
mod geometric;
mod gradient;
mod objective;
mod params;
mod pretrained;
mod report;
mod schedule;
mod sgd;
mod state;
mod student;
mod training;
mod tuning;
mod weighting;

pub use augment::{Augment, Augmentation};
pub use combined::Combined;
pub use evaluation::evaluate;
pub use examples::{Examples, TrainingSet};
pub use freezing::frozen;
pub use geometric::{Flip, Geometric, Transform};
pub use gradient::{Gradient, Loss, Pass, Passing, gradient, gradient_by, gradient_of, right};
pub use objective::{Criterion, Objective, centred, half_squared_error};
pub use params::{LossReader, TrainingParams, fits};
pub use pretrained::{Fitted, Pretrained, start};
pub use report::Trained;
pub use schedule::{Schedule, cosine};
pub use sgd::Sgd;
pub use state::{EpochResult, State};
pub use student::{Lesson, Student};
pub use training::{Direction, Observer, Phase, Settings, train, train_along, train_in_phases};
pub use tuning::Tuning;
pub use weighting::{ClassWeights, Weighting};
