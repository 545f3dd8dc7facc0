//! The summary over all networks of all class orders: means, standard deviations, and the document. A run is one class
//! order with one network after each step; statistics of runs are over all orders and students.

use crate::learn::continual::order::ClassOrder;
use crate::learn::continual::results::{Spread, Step, average_accuracy, forgetting};
use serde_json::{Value, json};

/// The results of every network that was tested, sorted by order, then step, then student.
pub(super) struct Summary<'a> {
    pub orders: &'a [ClassOrder],
    pub steps: usize,
    pub students: usize,
    pub tested: &'a [Step],
}

impl Summary<'_> {
    /// The accuracy on all classes seen so far after a step (from 0), over all orders and students.
    pub fn accuracy(&self, step: usize) -> Option<Spread> {
        Spread::of((0..self.orders.len()).flat_map(|order| self.students_at(order, step)).map(|step| step.accuracy))
    }

    /// The accuracy averaged over the steps of a run, over all runs.
    pub fn average_accuracy(&self) -> Option<Spread> {
        Spread::of(self.all_runs().map(|run| average_accuracy(&run)))
    }

    /// The forgetting of a run, as [`forgetting`] defines it, over all runs; `None` where there is a single step.
    pub fn forgetting(&self) -> Option<Spread> {
        Spread::of(self.all_runs().filter_map(|run| forgetting(&run)))
    }

    /// The JSON document: accuracy after each step, average accuracy and forgetting, over all orders and for each
    /// order.
    pub fn document(&self) -> Value {
        let last = self.accuracy(self.steps - 1);
        let (average, forgotten) = (self.average_accuracy(), self.forgetting());
        let step = |step: usize| {
            let accuracy = self.accuracy(step);
            json!({ "accuracy": accuracy.map(|it| it.mean), "accuracy_std": accuracy.map(|it| it.std) })
        };
        json!({
            "accuracy": last.map(|it| it.mean),
            "accuracy_std": last.map(|it| it.std),
            "average_accuracy": average.map(|it| it.mean),
            "average_accuracy_std": average.map(|it| it.std),
            "forgetting": forgotten.map(|it| it.mean),
            "forgetting_std": forgotten.map(|it| it.std),
            "steps": (0..self.steps).map(step).collect::<Vec<_>>(),
            "orders": (0..self.orders.len()).map(|order| self.order(order)).collect::<Vec<_>>(),
        })
    }

    fn order(&self, order: usize) -> Value {
        let mean = |values: &mut dyn Iterator<Item = f64>| Spread::of(values).map(|it| it.mean);
        let runs: Vec<_> = self.runs(order).collect();
        let step = |step: usize| {
            let students = self.students_at(order, step);
            json!({
                "accuracy": mean(&mut students.iter().map(|step| step.accuracy)),
                "tasks": (0..=step).map(|task| mean(&mut students.iter().map(|step| step.tasks[task]))).collect::<Vec<_>>(),
                "students": students,
            })
        };
        let ClassOrder { seed, classes } = &self.orders[order];
        json!({
            "seed": seed,
            "classes": classes.chunks((classes.len() / self.steps).max(1)).collect::<Vec<_>>(),
            "accuracy": mean(&mut self.students_at(order, self.steps - 1).iter().map(|step| step.accuracy)),
            "average_accuracy": mean(&mut runs.iter().map(|run| average_accuracy(run))),
            "forgetting": mean(&mut runs.iter().filter_map(|run| forgetting(run))),
            "steps": (0..self.steps).map(step).collect::<Vec<_>>(),
        })
    }

    fn students_at(&self, order: usize, step: usize) -> &[Step] {
        let start = (order * self.steps + step) * self.students;
        &self.tested[start..start + self.students]
    }

    fn runs(&self, order: usize) -> impl Iterator<Item = Vec<Step>> {
        let at = move |step, student: usize| self.students_at(order, step)[student].clone();
        (0..self.students).map(move |student| (0..self.steps).map(|step| at(step, student)).collect())
    }

    fn all_runs(&self) -> impl Iterator<Item = Vec<Step>> {
        (0..self.orders.len()).flat_map(|order| self.runs(order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two orders of two steps, two students each. Whole numbers of eighths, so that sums are exact.
    #[test]
    fn runs_are_folded_over_orders_and_students() {
        let step =
            |accuracy: f64, tasks: &[f64]| Step { accuracy, tasks: tasks.to_vec(), train_accuracy: 1.0, loss: 0.0 };
        let tested = [
            step(1.0, &[1.0]),
            step(0.5, &[0.5]),
            step(0.75, &[0.5, 1.0]),
            step(0.25, &[0.25, 0.25]),
            step(0.75, &[0.75]),
            step(0.75, &[0.75]),
            step(0.5, &[0.25, 0.75]),
            step(0.5, &[0.75, 0.25]),
        ];
        let orders =
            [ClassOrder { seed: Some(7), classes: vec![1, 0] }, ClassOrder { seed: None, classes: vec![0, 1] }];
        let summary = Summary { orders: &orders, steps: 2, students: 2, tested: &tested };
        assert_eq!(summary.accuracy(0).map(|it| it.mean), Some(0.75));
        assert_eq!(summary.accuracy(1), Spread::of([0.75, 0.25, 0.5, 0.5]));
        assert_eq!(summary.average_accuracy(), Spread::of([0.875, 0.375, 0.625, 0.625]));
        assert_eq!(summary.forgetting(), Spread::of([0.5, 0.25, 0.5, 0.0]));
        let document = summary.document();
        assert_eq!(document["accuracy"], 0.5);
        assert_eq!(document["forgetting"], 0.3125);
        assert_eq!(document["steps"][0]["accuracy"], 0.75);
        let [first, second] = [0, 1].map(|order| &document["orders"][order]);
        assert_eq!((&first["seed"], &second["seed"]), (&json!(7), &Value::Null));
        assert_eq!(first["classes"], json!([[1], [0]]));
        assert_eq!(
            (&first["accuracy"], &first["average_accuracy"], &first["forgetting"]),
            (&json!(0.5), &json!(0.625), &json!(0.375))
        );
        assert_eq!(first["steps"][1]["tasks"], json!([0.375, 0.625]));
        assert_eq!(second["steps"][1]["students"][1]["tasks"], json!([0.75, 0.25]));
        assert_eq!(second["forgetting"], 0.25);
    }

    #[test]
    fn a_single_step_forgets_nothing_that_could_be_measured() {
        let tested = [Step { accuracy: 0.5, tasks: vec![0.5], train_accuracy: 1.0, loss: 0.0 }];
        let orders = [ClassOrder { seed: Some(0), classes: vec![0] }];
        let summary = Summary { orders: &orders, steps: 1, students: 1, tested: &tested };
        assert_eq!(summary.forgetting(), None);
        assert_eq!(summary.document()["forgetting"], Value::Null);
        assert_eq!(summary.document()["orders"][0]["forgetting"], Value::Null);
    }
}
