//! Bisection over an ascending list of choices of which most are unknown, on the assumption that more images per class
//! are not worse.

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// The value of this choice decides.
    Look(usize),
    /// The first choice that reaches the target; none when the last one does not.
    Found(Option<usize>),
}

/// The next step, given the values known so far. Looks at no more than log2(n)+1 of n choices, and takes the same way
/// whatever else is known.
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
            // Everything between was decided by something that was looked at.
            prop_assert!(found.is_none_or(|index| known[index].is_some()));
        }
    }

    #[test]
    fn nothing_to_choose_from_is_nothing_found() {
        assert_eq!(next(&[], 0.5), Step::Found(None));
    }
}
