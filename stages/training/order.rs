//! The order of the images in each epoch, on their device. The orders of many epochs over few images are sent together.
//! Knows no images.

use ddpipe_nn::stream::stream;
use ddpipe_nn::transfer;
use tch::{Device, Tensor};

/// Positions that are sent together, unless an epoch has more.
const TOGETHER: i64 = 1 << 16;

/// Orders that were sent. Those of epoch e come from `stream(seed, "shuffle", e)`.
#[derive(Debug, Default)]
pub struct Orders(Option<Sent>);

/// The orders of some epochs of a training.
#[derive(Debug)]
struct Sent {
    /// Seeds, images and device.
    of: (Vec<u64>, i64, Device),
    /// The first epoch.
    first: u64,
    /// \[E,S,N\] int64.
    orders: Tensor,
}

impl Orders {
    /// \[N\] int64, the order of `images` images in an epoch; it is the same whatever was asked before. No more than
    /// `epochs` epochs follow with the same seed and images, this one included.
    pub fn of(&mut self, seed: u64, images: i64, device: Device, epoch: u64, epochs: u64) -> Tensor {
        self.of_each(&[seed], images, device, epoch, epochs).get(0)
    }

    /// \[S,N\], the same of each of several seeds.
    pub fn of_each(&mut self, seeds: &[u64], images: i64, device: Device, epoch: u64, epochs: u64) -> Tensor {
        let found = self.0.as_ref().filter(|sent| sent.of.0 == seeds && (sent.of.1, sent.of.2) == (images, device));
        let found = found.and_then(|sent| {
            let row = i64::try_from(epoch.checked_sub(sent.first)?).ok()?;
            (row < sent.orders.size()[0]).then(|| sent.orders.get(row))
        });
        found.unwrap_or_else(|| {
            let positions = images.max(1) * (seeds.len() as i64).max(1);
            let rows = (TOGETHER / positions).clamp(1, epochs.clamp(1, TOGETHER as u64) as i64);
            let epochs = epoch..epoch + rows as u64;
            let drawn = epochs.flat_map(|epoch| {
                seeds.iter().flat_map(move |&seed| stream(seed, "shuffle", epoch).permutation(images))
            });
            let orders =
                transfer::upload(&drawn.collect::<Vec<i64>>(), device).view([rows, seeds.len() as i64, images]);
            let order = orders.get(0);
            self.0 = Some(Sent { of: (seeds.to_vec(), images, device), first: epoch, orders });
            order
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_order_does_not_depend_on_what_was_asked_before() {
        let drawn = |seed, images, epoch| stream(seed, "shuffle", epoch).permutation(images);
        let mut orders = Orders::default();
        let asked = [(1, 5, 0), (1, 5, 1), (1, 5, 9), (1, 5, 2), (2, 5, 2), (2, 7, 2), (2, 7, 11), (2, 7, 12)];
        for (seed, images, epoch) in asked {
            let order = orders.of(seed, images, Device::Cpu, epoch, 10);
            assert_eq!(Vec::<i64>::try_from(order).unwrap(), drawn(seed, images, epoch), "{seed} {images} {epoch}");
        }
        let both = orders.of_each(&[1, 2], 5, Device::Cpu, 4, 10);
        let [one, other] = [0, 1].map(|student| Vec::<i64>::try_from(both.get(student)).unwrap());
        assert_eq!((one, other), (drawn(1, 5, 4), drawn(2, 5, 4)));
        let many = orders.of(0, TOGETHER + 1, Device::Cpu, 3, 10);
        assert_eq!(many.size(), [TOGETHER + 1]);
    }
}
