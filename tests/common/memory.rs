//! An allocator that knows the most memory that a thread had, and that it asked for at once. A test program declares one:
//! `#[global_allocator] static MEMORY: Counted = Counted;`. What C code allocates it does not see.

#![allow(dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counted for each thread.
pub struct Counted;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// From now on the memory of this thread is counted anew.
pub fn begin() {
    let _ = LIVE.try_with(|live| live.set(0));
    let _ = PEAK.try_with(|peak| peak.set(0));
    let _ = LARGEST.try_with(|largest| largest.set(0));
}

/// The most bytes that this thread asked for at once since then.
pub fn largest() -> usize {
    LARGEST.try_with(Cell::get).unwrap_or(0)
}

/// The most bytes that this thread had at once since then.
pub fn peak() -> usize {
    PEAK.try_with(|peak| peak.get().max(0) as usize).unwrap_or(0)
}

fn asked(bytes: usize) {
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(bytes)));
}

fn count(bytes: i64) {
    // A thread that ends frees memory when its counters are gone.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked(layout.size());
        count(layout.size() as i64);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        asked(layout.size());
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        asked(size);
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}
