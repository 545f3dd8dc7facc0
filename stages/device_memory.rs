//! The peak memory of tensors on a GPU and what is left of it, as libtorch's caching allocator counts; tch does not offer
//! it. The C++ side is `native/device_memory.cpp`. Knows no stages and no jobs.

use tch::Device;

unsafe extern "C" {
    fn ddpipe_reset_peak(index: i8) -> std::ffi::c_int;
    fn ddpipe_peak_bytes(index: i8) -> i64;
    fn ddpipe_free_bytes(index: i8) -> i64;
}

/// Forgets the peak so far. False where nothing is counted: on the CPU, without CUDA, before the first tensor.
pub fn reset_peak(device: Device) -> bool {
    // SAFETY: the function takes any number, throws nothing, and keeps nothing.
    gpu(device).is_some_and(|index| unsafe { ddpipe_reset_peak(index) } == 1)
}

/// The most bytes that tensors held at once on this device since the last reset, without what the allocator keeps in
/// reserve. None where nothing is counted.
pub fn peak_bytes(device: Device) -> Option<u64> {
    let index = gpu(device)?;
    // SAFETY: as above.
    u64::try_from(unsafe { ddpipe_peak_bytes(index) }).ok()
}

/// The bytes that new tensors on this device can have, about: of a GPU by its allocator, else of the machine or the
/// container. None where that is not known.
pub fn free_bytes(device: Device) -> Option<u64> {
    match device {
        // SAFETY: as above.
        Device::Cuda(_) => gpu(device).and_then(|index| u64::try_from(unsafe { ddpipe_free_bytes(index) }).ok()),
        _ => ddpipe_interface::memory::available(),
    }
}

fn gpu(device: Device) -> Option<i8> {
    match device {
        Device::Cuda(index) => i8::try_from(index).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds on every machine: this process loads no CUDA library, whether there is a GPU or not.
    #[test]
    fn without_cuda_nothing_is_counted_and_nothing_crashes() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(100), Device::Cuda(1000)] {
            assert!(!reset_peak(device), "{device:?}");
            assert_eq!(peak_bytes(device), None, "{device:?}");
            assert!(free_bytes(device).is_none() || device == Device::Cpu, "{device:?}");
        }
    }
}
