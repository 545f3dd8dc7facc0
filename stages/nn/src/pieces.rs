//! Work in pieces, on all threads of the process. The pieces are chosen by what is computed and never by the number of
//! threads; each is computed on one thread, whose operations use no other, and results are put together in the pieces'
//! order. So the same bytes come out on any number of threads, a stage that runs alone uses every core, and several
//! stages share the cores as the system's scheduler sees fit.
//!
//! A piece may be divided again. On a GPU ([`Layout::Together`]) pieces are computed one after the other, on the calling
//! thread, and a batch is divided only where memory asks for it.

use crate::layout::Layout;
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use tch::{Device, Tensor};

/// The memory for a thread's stack; operations of libtorch nest deeply where a thread helps another one out.
const STACK: usize = 16 << 20;

/// Whether operations within a piece record the graph that gradients need. libtorch keeps this for each thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graph {
    /// It is recorded.
    Kept,
    /// It is not recorded.
    Without,
}

/// Sets how many threads compute. To be called once, before the first piece; a later call changes nothing. Operations on
/// the calling thread use one thread from then on.
pub fn use_threads(threads: usize) {
    alone();
    // A pool that is there already is as good: results do not depend on it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).stack_size(STACK);
    let _ = pool.thread_name(|index| format!("piece-{index}")).start_handler(|_| alone()).build_global();
}

/// The results of `work` on every item, in the items' order.
///
/// # Errors
/// The first one in the items' order, of those that were met.
pub fn map<T: Send, R: Send, E: Send>(
    device: Device,
    graph: Graph,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    if Layout::of(device) == Layout::Together || items.len() < 2 {
        return items.into_iter().map(|item| graph.within(|| work(item))).collect();
    }
    let piece = |item| {
        alone();
        graph.within(|| work(item))
    };
    let results: Vec<Result<R, E>> = items.into_par_iter().with_max_len(1).map(piece).collect();
    results.into_iter().collect()
}

/// [`map`] for work that takes long: `tick` is called on the calling thread after each item.
///
/// # Errors
/// As of [`map`]; the error of `tick`, after which no further item is begun.
pub fn map_while<T: Send, R: Send, E: Send>(
    device: Device,
    graph: Graph,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
    mut tick: impl FnMut() -> Result<(), E>,
) -> Result<Vec<R>, E> {
    if Layout::of(device) == Layout::Together {
        let ticked = |item| graph.within(|| work(item)).and_then(|done| tick().map(|()| done));
        return items.into_iter().map(ticked).collect();
    }
    let (count, ended) = (items.len(), AtomicBool::new(false));
    let (sender, done) = mpsc::channel();
    let unless_ended = |item| {
        let _told = Told(&sender);
        match ended.load(Ordering::Relaxed) {
            true => Ok(None),
            false => work(item).map(Some),
        }
    };
    let mut results = None;
    let ticked = rayon::in_place_scope(|scope| {
        scope.spawn(|_| results = Some(map(device, graph, items, unless_ended)));
        let ticked = done.iter().take(count).try_for_each(|()| tick());
        ended.store(ticked.is_err(), Ordering::Relaxed);
        ticked
    });
    ticked?;
    results.unwrap_or_else(|| Ok(Vec::new())).map(|results| results.into_iter().flatten().collect())
}

/// Says that an item is done, also where its work panicked.
struct Told<'a>(&'a Sender<()>);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        // Nobody listens once a tick has ended the work.
        let _ = self.0.send(());
    }
}

/// The results of `work` on every item, put together two and two by `join`: of two neighbours that of the earlier one
/// comes first. In which order is decided by the number of items. `None` without items.
///
/// # Errors
/// One of `work` or `join`.
pub fn fold<T: Send, R: Send, E: Send>(
    device: Device,
    graph: Graph,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
    join: impl Fn(R, R) -> Result<R, E> + Sync,
) -> Result<Option<R>, E> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    match items.is_empty() {
        true => Ok(None),
        false => halves(device, graph, &mut items, &work, &join),
    }
}

fn halves<T: Send, R: Send, E: Send>(
    device: Device,
    graph: Graph,
    items: &mut [Option<T>],
    work: &(impl Fn(T) -> Result<R, E> + Sync),
    join: &(impl Fn(R, R) -> Result<R, E> + Sync),
) -> Result<Option<R>, E> {
    if let [item] = items {
        alone();
        return item.take().map(|item| graph.within(|| work(item))).transpose();
    }
    let (left, right) = items.split_at_mut(items.len() / 2);
    let (left, right) = if Layout::of(device) == Layout::Pieces {
        rayon::join(|| halves(device, graph, left, work, join), || halves(device, graph, right, work, join))
    } else {
        (halves(device, graph, left, work, join), halves(device, graph, right, work, join))
    };
    match (left?, right?) {
        (Some(left), Some(right)) => graph.within(|| join(left, right)).map(Some),
        (one, other) => Ok(one.or(other)),
    }
}

impl Graph {
    /// Does `work` with or without a graph.
    pub fn within<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            Graph::Kept => tch::with_grad(work),
            Graph::Without => tch::no_grad(work),
        }
    }
}

/// Lets operations on this thread use no other one.
fn alone() {
    thread_local!(static ALONE: Cell<bool> = const { Cell::new(false) });
    if !ALONE.replace(true) {
        tch::set_num_threads(1);
    }
}

/// Pieces up to which a batch is divided for the sake of threads.
const SEVERAL: i64 = 16;

/// Sizes of the pieces of a batch of `count` images, of at most `most` images each and as even as can be. On a CPU there
/// are up to sixteen pieces even where fewer would do, as long as a piece has `least` images, so that there is work for
/// several threads.
pub fn sizes(device: Device, count: i64, least: i64, most: i64) -> Vec<i64> {
    let several = match Layout::of(device) {
        Layout::Pieces => (count / least.max(1)).clamp(1, SEVERAL),
        Layout::Together => 1,
    };
    let needed = (count.max(0) as u64).div_ceil(most.max(1) as u64) as i64;
    let pieces = (1 << several.ilog2()).max(needed).clamp(1, count.max(1));
    (0..pieces).map(|piece| (piece + 1) * count / pieces - piece * count / pieces).collect()
}

/// Tensors that several pieces read.
pub struct Shared<T>(T);

// SAFETY: the threads get nothing but `&T`, and what `T` may be holds tensors and plain values (`Readable`). libtorch counts
// references to a tensor atomically, and its operations that do not write in place may read a tensor on several threads at
// once. None of tch's methods that take `&Tensor` writes in place to a tensor that is shared here: those that do
// (`backward`, which adds to a leaf's gradient) are not used.
unsafe impl<T: Readable> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Readable> Send for Shared<T> {}

/// What several threads may read at once: tensors, and what holds nothing but tensors and plain values.
///
/// # Safety
/// Reading it through `&self` on several threads must be sound where reading its tensors is.
pub unsafe trait Readable {}

// SAFETY: a tensor; see `Shared`.
unsafe impl Readable for Tensor {}
// SAFETY: references and collections of what is readable.
unsafe impl<T: Readable + ?Sized> Readable for &T {}
// SAFETY: as above.
unsafe impl<T: Readable> Readable for [T] {}
// SAFETY: as above.
unsafe impl<T: Readable> Readable for Vec<T> {}
// SAFETY: as above.
unsafe impl<T: Readable> Readable for Option<T> {}
// SAFETY: as above.
unsafe impl<A: Readable, B: Readable> Readable for (A, B) {}

impl<T: Readable> Shared<T> {
    /// Shares what holds tensors with the pieces.
    pub fn new(tensors: T) -> Self {
        Shared(tensors)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn batches_are_divided_evenly_by_their_size_alone() {
        let sizes = |count, most| sizes(Device::Cpu, count, 4, most);
        assert_eq!(sizes(10, 16), [5, 5]);
        assert_eq!((sizes(100, 16).len(), sizes(100, 16).iter().sum()), (16, 100));
        assert_eq!(sizes(256, 16), [16; 16]);
        assert_eq!(sizes(2560, 8), [8; 320]);
        assert_eq!((sizes(0, 8), sizes(1, 8), sizes(7, 8)), (vec![0], vec![1], vec![7]));
        assert_eq!(super::sizes(Device::Cpu, 100, 40, 16).len(), 7, "no more than `most` needs, where work is little");
        assert_eq!(super::sizes(Device::Cuda(0), 100, 4, i64::MAX), [100]);
    }

    #[test]
    fn results_come_in_order_and_are_joined_in_one_way() {
        let items = || (0..37).collect::<Vec<i32>>();
        let doubled = map(Device::Cpu, Graph::Without, items(), |item| Ok::<_, ()>(item * 2)).unwrap();
        assert_eq!(doubled, items().iter().map(|item| item * 2).collect::<Vec<_>>());
        let joined = |device| {
            let text = |item: i32| Ok::<_, ()>(item.to_string());
            fold(device, Graph::Without, items(), text, |a, b| Ok(format!("({a} {b})"))).unwrap().unwrap()
        };
        assert_eq!(joined(Device::Cpu), joined(Device::Cuda(0)));
        assert_eq!(fold(Device::Cpu, Graph::Kept, Vec::new(), |item: i32| Ok::<_, ()>(item), |a, _| Ok(a)), Ok(None));
    }

    #[test]
    fn each_piece_has_the_graph_that_it_was_promised_whoever_computes_it() {
        let weight = Shared::new(Tensor::from(2.0f32).set_requires_grad(true));
        let graphs = tch::no_grad(|| {
            map(Device::Cpu, Graph::Kept, vec![(); 8], |()| {
                let inner =
                    map(Device::Cpu, Graph::Without, vec![(); 4], |()| Ok::<_, ()>((&*weight * 3).requires_grad()));
                Ok::<_, ()>(((&*weight * 3).requires_grad(), inner?.contains(&true)))
            })
        });
        assert_eq!(graphs, Ok(vec![(true, false); 8]));
    }
}
