//! The order in which classes are learnt, and their division into steps. Orders are drawn as numpy's legacy generator
//! draws them, with which published class orders were made.

use anyhow::{Result, bail, ensure};
use rand_mt::Mt;

/// All classes in the order in which they are learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassOrder {
    /// The seed with which the order was drawn; `None` for an order that was given.
    pub seed: Option<u32>,
    /// The classes 0 to K-1, each once.
    pub classes: Vec<i64>,
}

impl ClassOrder {
    /// The order of `np.random.seed(seed); np.random.permutation(classes)`: swaps from the last position to the second,
    /// each with a position drawn by rejection.
    pub fn drawn(seed: u32, classes: u32) -> Self {
        let mut generator = Mt::new(seed);
        let mut order: Vec<i64> = (0..i64::from(classes)).collect();
        for place in (1..classes).rev() {
            let other = up_to(place, &mut generator);
            order.swap(place as usize, other as usize);
        }
        ClassOrder { seed: Some(seed), classes: order }
    }

    /// An order from the parameters; an error if it does not name each of the classes once.
    pub fn given(order: &[i64], classes: i64) -> Result<Self> {
        let count = order.len();
        ensure!(count as i64 == classes, "`class_order` names {count} classes, the memory has {classes}");
        for (place, class) in order.iter().enumerate() {
            ensure!((0..classes).contains(class), "`class_order` names class {class}, there are 0 to {}", classes - 1);
            ensure!(!order[..place].contains(class), "`class_order` names class {class} twice");
        }
        Ok(ClassOrder { seed: None, classes: order.to_vec() })
    }

    /// The classes of each step, the same number in each; an error if the number of classes cannot be divided by
    /// `steps`.
    pub fn tasks(&self, steps: u64) -> Result<Vec<&[i64]>> {
        let classes = self.classes.len() as u64;
        let fits = |steps: u64| steps > 0 && steps <= classes && classes.is_multiple_of(steps);
        if !fits(steps) {
            let possible: Vec<String> =
                (1..=classes).filter(|&steps| fits(steps)).map(|steps| steps.to_string()).collect();
            bail!("{classes} classes do not fall into {steps} equal steps; possible: {}", possible.join(", "));
        }
        Ok(self.classes.chunks_exact((classes / steps) as usize).collect())
    }
}

/// Draws a whole number from 0 to `most` (included, above 0): as many low bits as `most` has, drawn again until the
/// number is not above `most`.
fn up_to(most: u32, generator: &mut Mt) -> u32 {
    let mask = u32::MAX >> most.leading_zeros();
    loop {
        let drawn = generator.next_u32() & mask;
        if drawn <= most {
            return drawn;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_order_names_each_class_once() {
        let refused = |order: &[i64]| ClassOrder::given(order, 3).unwrap_err().to_string();
        assert_eq!(refused(&[0, 1]), "`class_order` names 2 classes, the memory has 3");
        assert_eq!(refused(&[0, 1, 3]), "`class_order` names class 3, there are 0 to 2");
        assert_eq!(refused(&[0, -1, 2]), "`class_order` names class -1, there are 0 to 2");
        assert_eq!(refused(&[2, 0, 2]), "`class_order` names class 2 twice");
        let order = ClassOrder::given(&[2, 0, 1], 3).unwrap();
        assert_eq!(order, ClassOrder { seed: None, classes: vec![2, 0, 1] });
    }

    #[test]
    fn steps_have_equally_many_classes() {
        let order = ClassOrder::given(&[2, 0, 1, 3], 4).unwrap();
        assert_eq!(order.tasks(2).unwrap(), [[2, 0], [1, 3]]);
        assert_eq!(order.tasks(1).unwrap(), [[2, 0, 1, 3]]);
        for steps in [0, 3, 8] {
            let text = order.tasks(steps).unwrap_err().to_string();
            assert_eq!(text, format!("4 classes do not fall into {steps} equal steps; possible: 1, 2, 4"));
        }
    }

    #[test]
    fn a_single_class_needs_no_draw() {
        assert_eq!(ClassOrder::drawn(9, 1).classes, [0]);
        assert!(ClassOrder::drawn(9, 0).classes.is_empty());
    }
}
