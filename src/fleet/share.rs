//! How the slots of one machine are shared among pilots. A function of values.

use crate::slots::Slots;

/// The slots of each of so many pilots: every slot goes to one of them. Pilots that would have none are left out. A GPU whose
/// slots small stages share goes to one pilot as a whole. The threads of all together are those of the machine, one each at
/// least.
pub fn share(slots: &Slots, pilots: usize) -> Vec<Slots> {
    let mut parts: Vec<Vec<String>> = Vec::new();
    for name in &slots.names {
        match parts.iter_mut().find(|part| slots.for_small && part.first() == Some(name)) {
            Some(part) => part.push(name.clone()),
            None => parts.push(vec![name.clone()]),
        }
    }
    let pilots = pilots.clamp(1, parts.len().max(1));
    let threads = (slots.threads / pilots).max(1);
    let of = |pilot: usize| parts.iter().skip(pilot).step_by(pilots).flatten().cloned().collect();
    (0..pilots).map(|pilot| Slots { names: of(pilot), threads, for_small: slots.for_small }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(names: &[&str], threads: usize, for_small: bool) -> Slots {
        Slots { names: names.iter().map(|name| name.to_string()).collect(), threads, for_small }
    }

    #[test]
    fn every_slot_goes_to_one_pilot() {
        let gpus = slots(&["cuda:0", "cuda:1", "cuda:2"], 8, false);
        assert_eq!(share(&gpus, 2), [slots(&["cuda:0", "cuda:2"], 4, false), slots(&["cuda:1"], 4, false)]);
        assert_eq!(share(&gpus, 9).len(), 3);
        assert_eq!(share(&slots(&["cpu", "cpu"], 1, false), 2), [slots(&["cpu"], 1, false), slots(&["cpu"], 1, false)]);
        assert_eq!(share(&gpus, 0), [slots(&["cuda:0", "cuda:1", "cuda:2"], 8, false)]);
    }

    #[test]
    fn a_gpu_that_small_stages_share_goes_to_one_pilot() {
        let gpus = slots(&["cuda:0", "cuda:1", "cuda:0", "cuda:1"], 8, true);
        let each = [slots(&["cuda:0", "cuda:0"], 4, true), slots(&["cuda:1", "cuda:1"], 4, true)];
        assert_eq!(share(&gpus, 4), each);
    }
}
