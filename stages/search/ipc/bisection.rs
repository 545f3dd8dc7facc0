//! Bisection over an ascending list of numbers of images per class, most of which are not evaluated yet. It assumes
//! that more images per class do not give a lower value.

/// The next step of the bisection.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Evaluate the choice with this index; its value decides how the bisection continues.
    Look(usize),
    /// The bisection is finished. Holds the index of the first choice that reaches the target; `None` when the last one
    /// does not.
    Found(Option<usize>),
}

/// The next step, given the values known so far (`None` where a choice is not evaluated). Asks for no more than
/// log2(n)+1 of n choices. The order of its questions does not depend on which other values are known.
pub fn next(known: &[Option<f64>], target: f64) -> Step {
    let (mut low, mut high) = (0, known.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match known[middle] {
            None => return Step::Look(middle),
            Some(value) if value >= target => high = middle,
            Some(_) => low = middle + 1,
        }
    }
    Step::Found((low < known.len()).then_some(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_the_first_that_reaches_and_looks_at_few(mut values in prop::collection::vec(0.0f64..1.0, 1..40), target in 0.0f64..1.2) {
            values.sort_by(f64::total_cmp);
            let mut known = vec![None; values.len()];
            let mut looks = 0;
            let found = loop {
                match next(&known, target) {
                    Step::Look(index) => {
                        prop_assert!(known[index].is_none());
                        known[index] = Some(values[index]);
                        looks += 1;
                    }
                    Step::Found(found) => break found,
                }
            };
            prop_assert_eq!(found, values.iter().position(|value| *value >= target));
            prop_assert!(looks <= values.len().ilog2() + 1);
            // The choice that was found was evaluated itself.
            prop_assert!(found.is_none_or(|index| known[index].is_some()));
        }
    }

    #[test]
    fn nothing_to_choose_from_is_nothing_found() {
        assert_eq!(next(&[], 0.5), Step::Found(None));
    }
}
