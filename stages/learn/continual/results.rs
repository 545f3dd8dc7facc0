//! The results of the steps: accuracy and forgetting. Pure functions of numbers.

use crate::training::Student;
use ddpipe_nn::metrics::{Confusion, mean_std};
use serde::{Deserialize, Serialize};

/// The test results of one network after one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The share of the test images of all classes seen so far that it classified correctly.
    pub accuracy: f64,
    /// For each step so far, the share of the test images of that step's classes that it classified correctly.
    pub tasks: Vec<f64>,
    /// The share of the memory's images that it classified correctly in its last epoch of training.
    pub train_accuracy: f64,
    /// Its mean cross entropy on the memory in its last epoch of training.
    pub loss: f64,
}

impl Step {
    /// The results of a student that was tested on the images of these tasks' classes.
    pub fn of(student: &Student, tasks: &[&[i64]]) -> Self {
        let confusion = &student.test.confusion;
        Step {
            accuracy: confusion.accuracy(),
            tasks: tasks.iter().map(|classes| accuracy_on(classes, confusion)).collect(),
            train_accuracy: student.train_accuracy.unwrap_or_default(),
            loss: student.loss.unwrap_or_default(),
        }
    }
}

/// The share of the images of these classes that were classified correctly, among all classes that the network knows.
fn accuracy_on(classes: &[i64], confusion: &Confusion) -> f64 {
    let rows = || classes.iter().map(|&class| class as usize);
    let right: u64 = rows().map(|class| confusion.rows[class][class]).sum();
    let all: u64 = rows().flat_map(|class| &confusion.rows[class]).sum();
    right as f64 / all as f64
}

/// Forgetting after the last step T (Chaudhry et al., ECCV 2018): with a(k,j) the accuracy on the classes of step j
/// after step k, the mean over j < T of max a(k,j) over j <= k < T, minus a(T,j). `None` after a single step.
pub fn forgetting(steps: &[Step]) -> Option<f64> {
    let (last, earlier) = steps.split_last()?;
    let lost = |task: usize| {
        let best = earlier[task..].iter().map(|step| step.tasks[task]).fold(f64::NEG_INFINITY, f64::max);
        best - last.tasks[task]
    };
    let all: Vec<f64> = (0..earlier.len()).map(lost).collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

/// The mean over the steps of the accuracy on the classes seen so far.
pub fn average_accuracy(steps: &[Step]) -> f64 {
    mean_std(&steps.iter().map(|step| step.accuracy).collect::<Vec<_>>()).0
}

/// Mean and sample standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation, divided by n-1; 0 for a single value.
    pub std: f64,
}

impl Spread {
    /// Mean and standard deviation of these values; `None` if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let (mean, std) = mean_std(&values);
        (!values.is_empty()).then_some(Spread { mean, std })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn step(accuracy: f64, tasks: &[f64]) -> Step {
        Step { accuracy, tasks: tasks.to_vec(), train_accuracy: 1.0, loss: 0.0 }
    }

    #[test]
    fn forgetting_counts_from_the_best_that_was() {
        let steps = [step(1.0, &[1.0]), step(0.75, &[0.5, 1.0]), step(0.5, &[0.75, 0.25, 0.5])];
        // The first task lost 1 - 0.75, the second 1 - 0.25.
        assert_eq!(forgetting(&steps), Some(0.5));
        // The last step does not count as an earlier one: an accuracy that rose gives negative forgetting.
        assert_eq!(forgetting(&[step(0.5, &[0.5]), step(1.0, &[1.0, 1.0])]), Some(-0.5));
        // The best accuracy on an earlier task may come after a later step.
        assert_eq!(forgetting(&[step(0.0, &[0.0]), step(0.5, &[1.0, 0.0]), step(0.0, &[0.5, 0.0, 0.0])]), Some(0.25));
        assert_eq!(forgetting(&steps[..1]), None);
        assert_eq!(forgetting(&[]), None);
        assert_eq!(average_accuracy(&steps), 0.75);
    }

    #[test]
    fn classes_are_counted_by_themselves() {
        let confusion = Confusion { rows: vec![vec![3, 0, 1], vec![0, 0, 0], vec![1, 1, 0]] };
        assert_eq!(accuracy_on(&[0], &confusion), 0.75);
        assert_eq!(accuracy_on(&[2], &confusion), 0.0);
        assert_eq!(accuracy_on(&[2, 0], &confusion), 0.5);
    }

    #[test]
    fn a_spread_is_of_a_sample() {
        assert_eq!(Spread::of([1.0, 2.0, 3.0]), Some(Spread { mean: 2.0, std: 1.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
