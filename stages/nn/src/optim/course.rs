//! How the learning rate goes from step to step: a [`Schedule`] with what a source may change about it, namely a warm-up,
//! the rate at the end, other drops, and steps in place of epochs.

use super::Schedule;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// What a schedule moves on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// The same rate for all steps of an epoch.
    #[default]
    Epoch,
    /// Every step has a rate of its own.
    Step,
}

/// The steps over which the rate rises evenly from 0, which is the rate of the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WarmUp {
    /// There are none.
    #[default]
    None,
    /// So many steps.
    Steps(u64),
    /// The steps of so many epochs.
    Epochs(u64),
}

/// What there is to say of a learning rate beside its schedule. The default changes nothing about the schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// What cosine, half cosine and linear move on with.
    pub pace: Pace,
    /// The share of the rate at which cosine and linear end.
    pub end: f64,
    /// The rise at the start. Cosine, half cosine and linear begin after it.
    pub warm_up: WarmUp,
    /// Where multistep drops: below 1 a share of the epochs (rounded down), from 1 on a number of epochs; when empty, after
    /// 2/3 and 5/6.
    pub milestones: Vec<f64>,
    /// What the rate is multiplied by at each of them.
    pub drop: f64,
}

impl Default for Course {
    fn default() -> Self {
        Course { pace: Pace::Epoch, end: 0.0, warm_up: WarmUp::None, milestones: Vec::new(), drop: 0.2 }
    }
}

/// How long a training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// The epochs of the settings, as schedules count them.
    pub epochs: u64,
    /// Steps of an epoch.
    pub batches: u64,
    /// Steps of the whole training.
    pub steps: u64,
}

impl Course {
    /// The rate of a step: `batch` of `epoch`, both counted from 0.
    pub fn rate(&self, schedule: Schedule, rate: f64, length: Length, epoch: u64, batch: u64) -> f64 {
        let step = epoch * length.batches + batch;
        let warm = match self.warm_up {
            WarmUp::None => 0,
            WarmUp::Steps(steps) => steps,
            WarmUp::Epochs(epochs) => epochs * length.batches,
        };
        if step < warm {
            return rate * step as f64 / warm as f64;
        }
        match schedule {
            Schedule::Multistep => rate * self.drop.powi(self.drops(length.epochs, epoch)),
            Schedule::Step | Schedule::Constant => schedule.rate(rate, length.epochs, epoch),
            _ if *self == Course::default() => schedule.rate(rate, length.epochs, epoch),
            Schedule::Cosine => {
                rate * (self.end + (1.0 - self.end) * half_wave(self.passed(length, warm, epoch, step)))
            }
            Schedule::HalfCosine => rate * half_wave(self.passed(length, warm, epoch, step) / 2.0),
            Schedule::Linear => rate * (1.0 - (1.0 - self.end) * self.passed(length, warm, epoch, step)),
        }
    }

    /// Whether all steps of an epoch have the rate of its first one.
    pub fn is_by_epoch(&self) -> bool {
        self.pace == Pace::Epoch && self.warm_up == WarmUp::None
    }

    /// The share of the way behind the warm-up that has been gone, at most 1.
    fn passed(&self, length: Length, warm: u64, epoch: u64, step: u64) -> f64 {
        let (place, end, start) = match self.pace {
            Pace::Epoch => (epoch as f64, length.epochs as f64, warm as f64 / length.batches.max(1) as f64),
            Pace::Step => (step as f64, length.steps as f64, warm as f64),
        };
        ((place - start) / (end - start).max(1.0)).clamp(0.0, 1.0)
    }

    /// How often the rate has dropped by this epoch.
    fn drops(&self, epochs: u64, epoch: u64) -> i32 {
        let own = self.milestones.iter().map(|&milestone| match milestone {
            // A share such as 0.6 of 5 epochs means the third, whatever is lost in rounding.
            share if share < 1.0 => (share * epochs as f64 + 1e-9) as u64,
            number => number as u64,
        });
        let usual = [2 * epochs / 3, 5 * epochs / 6].into_iter().filter(|_| self.milestones.is_empty());
        own.chain(usual).filter(|&milestone| epoch >= milestone).count() as i32
    }
}

/// (1 + cos(π u)) / 2.
fn half_wave(u: f64) -> f64 {
    (1.0 + (PI * u).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULES: [Schedule; 6] = [
        Schedule::Step,
        Schedule::Cosine,
        Schedule::HalfCosine,
        Schedule::Linear,
        Schedule::Constant,
        Schedule::Multistep,
    ];

    #[test]
    fn a_course_that_says_nothing_is_the_schedule() {
        let length = Length { epochs: 30, batches: 4, steps: 120 };
        for schedule in SCHEDULES {
            for (epoch, batch) in [(0, 0), (7, 3), (16, 0), (17, 1), (20, 2), (29, 3)] {
                let rate = Course::default().rate(schedule, 0.3, length, epoch, batch);
                assert!(rate == schedule.rate(0.3, 30, epoch), "{schedule:?} {epoch} {batch}");
            }
        }
    }

    #[test]
    fn every_schedule_begins_after_its_warm_up() {
        let length = Length { epochs: 10, batches: 4, steps: 40 };
        for schedule in SCHEDULES {
            for (warm_up, pace) in [(WarmUp::Steps(8), Pace::Step), (WarmUp::Epochs(2), Pace::Epoch)] {
                let course = Course { warm_up, pace, ..Course::default() };
                let rates: Vec<f64> =
                    (0..12).map(|step| course.rate(schedule, 0.8, length, step / 4, step % 4)).collect();
                (0..8).for_each(|step| {
                    assert!((rates[step] - 0.1 * step as f64).abs() < 1e-12, "{schedule:?} {rates:?}")
                });
                assert!((rates[8] - 0.8).abs() < 1e-12, "{schedule:?} {rates:?}");
            }
        }
    }

    #[test]
    fn milestones_are_shares_or_epochs() {
        let length = |epochs| Length { epochs, batches: 1, steps: epochs };
        let dropped = |milestones: &[f64], epochs| {
            let course = Course { milestones: milestones.to_vec(), drop: 0.5, ..Course::default() };
            let rate = |epoch| course.rate(Schedule::Multistep, 1.0, length(epochs), epoch, 0);
            (1..epochs).filter(|&epoch| rate(epoch) < rate(epoch - 1)).collect::<Vec<_>>()
        };
        assert_eq!(dropped(&[0.2, 0.4, 0.6, 0.8], 15), [3, 6, 9, 12]);
        assert_eq!(dropped(&[3.0, 0.5], 10), [3, 5]);
        assert_eq!(dropped(&[], 12), [8, 10]);
    }
}
