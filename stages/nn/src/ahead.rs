//! What the host makes for a step, such as its draws, made while the device computes the step before. It has to be a function
//! of the step alone, as draws from named streams are; so it makes no difference when and where it is made.

use crate::layout::Layout;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use tch::Device;

/// Where steps are asked for, and where what was made for them comes from.
type Asked<T> = (SyncSender<u64>, Receiver<(u64, T)>);

/// Makes something for each step of a run, one step ahead on a GPU. On a CPU, whose threads compute the steps themselves, it
/// is made when it is asked for.
pub struct Ahead<T> {
    make: Arc<dyn Fn(u64) -> T + Send + Sync>,
    /// Steps of the run.
    end: u64,
    /// Where there is a thread: where it is told a step, and where it puts what it made.
    thread: Option<Asked<T>>,
    /// The step that it was told.
    told: Option<u64>,
}

impl<T: Send + 'static> Ahead<T> {
    /// For the steps before `end`. Where no thread can be started, nothing is made ahead.
    pub fn new(device: Device, end: u64, make: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        let make: Arc<dyn Fn(u64) -> T + Send + Sync> = Arc::new(make);
        let thread = (Layout::of(device) == Layout::Together).then(|| {
            let ((tell, told), (put, made)) = (sync_channel::<u64>(1), sync_channel(1));
            let make = make.clone();
            let work = move || {
                // Ends when the other end is gone, one way or the other.
                for step in told {
                    if put.send((step, make(step))).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().name("ahead".into()).spawn(work).ok().map(|_| (tell, made))
        });
        Ahead { make, end, thread: thread.flatten(), told: None }
    }

    /// What was made for a step. The `next` that will be asked for is begun, if it is a step of the run.
    pub fn get(&mut self, step: u64, next: u64) -> T {
        let made = self.wait().filter(|(made, _)| *made == step);
        let next = (next < self.end).then_some(next);
        self.told = self.thread.as_ref().zip(next).and_then(|((tell, _), next)| tell.send(next).ok().map(|()| next));
        made.map_or_else(|| (self.make)(step), |(_, made)| made)
    }

    /// What the thread was told to make; `None` if it was told nothing, or died of it.
    fn wait(&mut self) -> Option<(u64, T)> {
        self.told.take()?;
        self.thread.as_ref()?.1.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn each_step_gets_its_own_whoever_made_it() {
        for device in [Device::Cpu, Device::Cuda(0)] {
            let made = Arc::new(Mutex::new(Vec::new()));
            let ahead = made.clone();
            let mut ahead = Ahead::new(device, 5, move |step| {
                ahead.lock().unwrap().push(step);
                step * 10
            });
            assert_eq!([0, 1, 2, 4, 3].map(|step| ahead.get(step, step + 1)), [0, 10, 20, 40, 30], "{device:?}");
            drop(ahead);
            let made = made.lock().unwrap();
            assert!(made.iter().all(|step| *step < 5) && made.len() >= 5, "{device:?}: {made:?}");
        }
    }

    #[test]
    fn what_cannot_be_made_ahead_fails_where_it_is_asked_for() {
        let mut ahead = Ahead::new(Device::Cuda(0), 3, |step| if step == 1 { panic!("step 1") } else { step });
        assert_eq!(ahead.get(0, 1), 0);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ahead.get(1, 2))).is_err());
        assert_eq!(ahead.get(2, 3), 2);
    }
}
