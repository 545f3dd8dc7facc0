//! What a process asks of libtorch, counted for benches and tests: what would be launched on a GPU, and what passes between
//! it and the host. Operations are seen by the dispatcher's callbacks (`native/launches.cpp`), numbers on their way by
//! [`ddpipe_nn::transfer`]. It holds on a CPU too, where nothing is launched and nothing is moved. Knows no stages.
//!
//! What is to be counted as a GPU would be told to do it is done within [`Layout::on_cpu`](ddpipe_nn::layout::Layout).

use ddpipe_nn::transfer;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Sub;
use std::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    fn ddpipe_count_operations() -> c_int;
    fn ddpipe_operations(counts: *mut i64);
    fn ddpipe_operation_names(take: extern "C" fn(*mut c_void, *const c_char, i64, i64), state: *mut c_void);
}

static COUNTING: AtomicBool = AtomicBool::new(false);

/// What was counted between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations that ddpipe or the backward pass calls; each may call others.
    pub calls: i64,
    /// Operations that compute or copy: of those that call others, what these do. Each is a kernel on a GPU, or a few.
    pub launches: i64,
    /// Operations that give a tensor another shape and compute nothing.
    pub views: i64,
    /// Numbers read back by the host, each time waiting for all that was launched: by [`transfer`], and within operations.
    pub reads: i64,
    /// Bytes that [`transfer`] read.
    pub read_bytes: i64,
    /// Tensors made from numbers of the host.
    pub uploads: i64,
    /// Their bytes.
    pub uploaded_bytes: i64,
}

impl Sub for Counts {
    type Output = Counts;

    fn sub(self, earlier: Counts) -> Counts {
        Counts {
            calls: self.calls - earlier.calls,
            launches: self.launches - earlier.launches,
            views: self.views - earlier.views,
            reads: self.reads - earlier.reads,
            read_bytes: self.read_bytes - earlier.read_bytes,
            uploads: self.uploads - earlier.uploads,
            uploaded_bytes: self.uploaded_bytes - earlier.uploaded_bytes,
        }
    }
}

/// Counts from now on, on all threads, to the end of the process. False where the callbacks could not be set.
pub fn count() -> bool {
    // SAFETY: it takes nothing and throws nothing.
    let counting = unsafe { ddpipe_count_operations() } == 1;
    COUNTING.store(counting, Ordering::SeqCst);
    counting
}

/// Whether this process counts.
pub fn counting() -> bool {
    COUNTING.load(Ordering::SeqCst)
}

/// What was counted so far.
pub fn counts() -> Counts {
    let mut operations = [0i64; 4];
    // SAFETY: it writes four numbers.
    unsafe { ddpipe_operations(operations.as_mut_ptr()) };
    let [calls, launches, views, waits] = operations;
    let transfer::Counts { uploads, uploaded_bytes, reads, read_bytes } = transfer::counts();
    Counts { calls, launches, views, reads: waits + reads, read_bytes, uploads, uploaded_bytes }
}

/// By the operation's name, launches so far, and reads within it where no other operation called it.
pub fn by_name() -> BTreeMap<String, (i64, i64)> {
    extern "C" fn take(state: *mut c_void, name: *const c_char, launches: i64, waits: i64) {
        // SAFETY: `state` is the map below, which nothing else uses meanwhile; the name ends with a zero byte.
        let (names, name) = unsafe { (&mut *state.cast::<BTreeMap<String, (i64, i64)>>(), CStr::from_ptr(name)) };
        let counts = names.entry(name.to_string_lossy().into_owned()).or_default();
        *counts = (counts.0 + launches, counts.1 + waits);
    }
    let mut names = BTreeMap::new();
    // SAFETY: `take` gets the pointer to this map, only during the call.
    unsafe { ddpipe_operation_names(take, (&raw mut names).cast()) };
    names
}
