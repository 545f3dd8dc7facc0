//! Which nodes may run beside others on one device. Where a user says how many stages run at once, any may; by default a
//! GPU has several slots, and a node shares them only with others that are known to be small, from records of the same kind.
//! Knows no device: slots with the same name are one.

use crate::pipeline::NodeId;

/// A node that takes at most so much memory is small, in bytes.
pub const SMALL: u64 = 1 << 30;

/// Who may run beside whom.
#[derive(Clone, Debug, Default)]
pub struct Sharing {
    /// By node, whether it is small; none where that does not matter.
    small: Option<Vec<bool>>,
}

impl Sharing {
    /// Only small nodes share a device; `memory` is what each is expected to take, in bytes, where that is known.
    pub fn of_small(memory: impl IntoIterator<Item = Option<u64>>) -> Self {
        let small = memory.into_iter().map(|bytes| bytes.is_some_and(|bytes| bytes <= SMALL)).collect();
        Sharing { small: Some(small) }
    }

    fn is_small(&self, node: NodeId) -> bool {
        self.small.as_ref().is_none_or(|small| small.get(node.index()).copied().unwrap_or(false))
    }

    /// Whether a node may start on a slot while these run on others; `names` are the slots' devices.
    pub(super) fn admits(&self, node: NodeId, slot: usize, names: &[String], running: &[Option<NodeId>]) -> bool {
        let beside = names.iter().zip(running).filter(|(name, _)| names.get(slot) == Some(*name));
        let mut beside = beside.filter_map(|(_, running)| *running).peekable();
        beside.peek().is_none() || self.is_small(node) && beside.all(|other| self.is_small(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_small_has_a_device_to_itself() {
        let names = ["cuda:0", "cuda:0", "cuda:1", "cuda:1"].map(String::from);
        let sharing = Sharing::of_small([Some(SMALL), Some(1), Some(SMALL + 1), None]);
        let [small, other, large, unknown] = [0, 1, 2, 3].map(NodeId);
        let admits = |node, slot, running: [Option<NodeId>; 4]| sharing.admits(node, slot, &names, &running);
        assert!(admits(small, 1, [Some(other), None, Some(large), None]));
        assert!(!admits(small, 3, [Some(other), None, Some(large), None]));
        assert!(
            !admits(large, 1, [Some(small), None, None, None]) && admits(large, 2, [Some(small), None, None, None])
        );
        assert!(!admits(unknown, 1, [Some(small), None, None, None]));
        assert!(Sharing::default().admits(large, 1, &names, &[Some(unknown), None, None, None]));
    }
}
