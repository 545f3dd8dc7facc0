//! Training of one network on labelled images: the loop, its objectives and settings, the evaluation on held-out
//! images, and both together for a student. The loop can stop after any batch and continue to the same result. What a
//! stage does after each step is in its observer.

#![expect(non_snake_case, reason = "tensors carry their shape in their names: B batch, K classes")]

mod batch;
mod by_size;
mod evaluation;
mod examples;
mod experts;
mod fits;
pub mod forgetting;
mod freezing;
mod gradient;
mod labeller;
mod loss_reader;
mod objective;
mod observer;
mod order;
mod params;
mod pretrained;
mod progress;
mod protocol;
mod report;
mod settings;
mod state;
mod student;
mod teacher;
mod tested;
mod together;
mod train;
mod tuning;
mod unread;
mod weighting;

pub use batch::Batch;
pub use by_size::BySize;
pub use evaluation::evaluate;
pub use examples::{Examples, TrainingSet};
pub use experts::{Experts, Segment};
pub use fits::fits;
pub use freezing::frozen;
pub use gradient::{Gradient, Pass, batch_gradient, cross_entropy_gradient, right, whole_batch_gradient};
pub use labeller::{Labeller, Relabelled};
pub use loss_reader::LossReader;
pub use objective::{Criterion, Objective};
pub use observer::{Cancellable, Observer, Reading};
pub use order::Orders;
pub use params::{Optimiser, TrainingParams};
pub use pretrained::{Fitted, Pretrained, start};
pub use progress::{Divergence, Progress, Report};
pub use report::Trained;
pub use settings::Settings;
pub use state::{EpochResult, State};
pub use student::{Student, StudentRun};
pub use teacher::{Asked, Teacher, logits_of};
pub use tested::test_set;
pub use together::{StackedState, StudentsTogether, together};
pub use train::{Direction, Phase, Training};
pub use tuning::Tuning;
pub use unread::UnreadLoss;
pub use weighting::ClassWeights;
