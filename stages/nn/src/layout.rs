//! How work is computed that falls into parts of one kind, such as classes or students: one part after another, or all of
//! them in the same operations. Decided here and nowhere else, by the device. Both give the same numbers up to rounding.
//! Knows no parts; who has them asks [`Layout::of`].

use std::cell::Cell;
use tch::Device;

/// How work that falls into parts is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Part after part, in [`pieces`](crate::pieces) for several threads: on a CPU, where a part is work enough for one.
    Pieces,
    /// All parts in the same operations, so that there are no more of them for more parts: on a GPU, which would wait for
    /// many small ones to be called.
    Together,
}

thread_local!(static ON_CPU: Cell<Layout> = const { Cell::new(Layout::Pieces) });

impl Layout {
    /// The layout of work on this device.
    pub fn of(device: Device) -> Self {
        match device {
            Device::Cpu => ON_CPU.get(),
            _ => Layout::Together,
        }
    }

    /// Does `work` with this layout for what it computes on a CPU: for tests and benches, which compare and count on a CPU
    /// what a GPU computes. Nothing that a manifest says leads here.
    pub fn on_cpu<R>(self, work: impl FnOnce() -> R) -> R {
        struct Before(Layout);
        impl Drop for Before {
            fn drop(&mut self) {
                ON_CPU.set(self.0);
            }
        }
        let _before = Before(ON_CPU.replace(self));
        work()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_decides_unless_a_test_asks_for_another_layout_on_a_cpu() {
        assert_eq!((Layout::of(Device::Cpu), Layout::of(Device::Cuda(0))), (Layout::Pieces, Layout::Together));
        let asked = Layout::Together.on_cpu(|| Layout::of(Device::Cpu));
        assert_eq!((asked, Layout::of(Device::Cpu)), (Layout::Together, Layout::Pieces));
        assert!(std::panic::catch_unwind(|| Layout::Together.on_cpu(|| panic!("in the middle"))).is_err());
        assert_eq!(Layout::of(Device::Cpu), Layout::Pieces);
    }
}
