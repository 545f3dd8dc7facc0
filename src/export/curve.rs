//! The curves of a node: those that its documents hold, and those of the journal for a node that is not done.

use crate::pipeline::Node;
use crate::report::Subject;
use crate::report::curves_of;

/// A curve: steps and values.
pub struct Curve {
    /// Its name: `loss`; of several curves of the same name also its number, `loss.2`.
    pub name: String,
    /// The steps with their values.
    pub points: Vec<(i64, f64)>,
}

/// All curves of a node.
pub fn of(subject: &Subject, node: &Node) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (name, _, lines) in curves_of(subject, node) {
        let several = lines.len() > 1;
        for (number, line) in lines.into_iter().enumerate() {
            let name = if several { format!("{name}.{}", number + 1) } else { name.clone() };
            curves.push(Curve { name, points: line.into_iter().map(|(step, value)| (step as i64, value)).collect() });
        }
    }
    curves
}
