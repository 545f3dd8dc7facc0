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
    /// Seed, images and device.
    of: (u64, i64, Device),
    /// The first epoch.
    first: u64,
    /// \[E,N\] int64.
    orders: Tensor,
}

impl Orders {
    /// \[N\] int64, the order of `images` images in an epoch; it is the same whatever was asked before. No more than
    /// `epochs` epochs follow with the same seed and images, this one included.
    pub fn of(&mut self, seed: u64, images: i64, device: Device, epoch: u64, epochs: u64) -> Tensor {
        let wanted = (seed, images, device);
        let found = self.0.as_ref().filter(|sent| sent.of == wanted).and_then(|sent| {
            let row = i64::try_from(epoch.checked_sub(sent.first)?).ok()?;
            (row < sent.orders.size()[0]).then(|| sent.orders.get(row))
        });
        found.unwrap_or_else(|| {
            let rows = (TOGETHER / images.max(1)).clamp(1, epochs.clamp(1, TOGETHER as u64) as i64);
            let drawn = (0..rows as u64).flat_map(|row| stream(seed, "shuffle", epoch + row).permutation(images));
            let orders = transfer::upload(&drawn.collect::<Vec<i64>>(), device).view([rows, images]);
            let order = orders.get(0);
            self.0 = Some(Sent { of: wanted, first: epoch, orders });
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
        let many = orders.of(0, TOGETHER + 1, Device::Cpu, 3, 10);
        assert_eq!(many.size(), [TOGETHER + 1]);
    }
}
