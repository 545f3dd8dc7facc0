// What CUDA's caching allocator counts, through libc10's interface for all devices: nothing here links CUDA. No
// exception leaves this file.

#include <c10/core/CachingDeviceAllocator.h>

#include <cstdint>

namespace {

using c10::CachingAllocator::StatType;

// Null where the allocator was never used, or is not one that counts. Throws where CUDA's library is not loaded.
c10::DeviceAllocator* counting() {
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(c10::DeviceType::CUDA));
  return allocator != nullptr && allocator->initialized() ? allocator : nullptr;
}

}  // namespace

extern "C" {

// Forgets the peak so far. Returns 0 where there is nothing to forget.
int ddpipe_reset_peak(int8_t index) noexcept {
  try {
    auto* allocator = counting();
    if (allocator == nullptr) {
      return 0;
    }
    allocator->resetPeakStats(index);
    return 1;
  } catch (...) {
    return 0;
  }
}

// The most bytes that tensors held at once since the last reset; -1 where that is not known.
int64_t ddpipe_peak_bytes(int8_t index) noexcept {
  try {
    auto* allocator = counting();
    if (allocator == nullptr) {
      return -1;
    }
    const auto stats = allocator->getDeviceStats(index);
    return stats.allocated_bytes[static_cast<size_t>(StatType::AGGREGATE)].peak;
  } catch (...) {
    return -1;
  }
}

// The bytes that new tensors can have: free on the device, or kept by the allocator and not in use. -1 where that is
// not known.
int64_t ddpipe_free_bytes(int8_t index) noexcept {
  try {
    auto* allocator = counting();
    if (allocator == nullptr) {
      return -1;
    }
    const auto stats = allocator->getDeviceStats(index);
    const auto all = static_cast<size_t>(StatType::AGGREGATE);
    const auto kept = stats.reserved_bytes[all].current - stats.allocated_bytes[all].current;
    return static_cast<int64_t>(allocator->getMemoryInfo(index).first) + kept;
  } catch (...) {
    return -1;
  }
}

}  // extern "C"
