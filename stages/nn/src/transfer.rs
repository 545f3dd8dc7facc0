//! Numbers on their way between the host and the device. Tensors that a loop makes from numbers of the host are made here,
//! and numbers that it reads back are read here, so that both can be counted, on a CPU too. On a GPU each read makes the host
//! wait for all that was launched before it, and each upload costs as much as a small kernel: a step packs what it has to
//! send into one [`Parcel`], and what never changes is sent once ([`constant`], [`positions`]).
//!
//! What has no `f_` fails as tch's own methods of that form do.

use crate::pieces::Readable;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use tch::kind::Element;
use tch::{Device, Kind, TchError, Tensor};

/// What passed between host and device so far in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Tensors that were sent.
    pub uploads: i64,
    /// Their bytes.
    pub uploaded_bytes: i64,
    /// Tensors that were read.
    pub reads: i64,
    /// Their bytes.
    pub read_bytes: i64,
}

static COUNTED: [AtomicI64; 4] = [const { AtomicI64::new(0) }; 4];

/// What was counted so far, on all threads.
pub fn counts() -> Counts {
    let [uploads, uploaded_bytes, reads, read_bytes] = COUNTED.each_ref().map(|count| count.load(Ordering::Relaxed));
    Counts { uploads, uploaded_bytes, reads, read_bytes }
}

fn counted(first: usize, bytes: usize) {
    COUNTED[first].fetch_add(1, Ordering::Relaxed);
    COUNTED[first + 1].fetch_add(bytes as i64, Ordering::Relaxed);
}

/// \[n\], numbers of the host as a tensor on this device.
pub fn upload<T: Element>(values: &[T], device: Device) -> Tensor {
    counted(0, std::mem::size_of_val(values));
    let on_host = Tensor::from_slice(values);
    match device {
        Device::Cpu => on_host,
        // CUDA copies such memory aside before it returns; the host need not wait until it has arrived.
        _ => on_host.to_device_(device, T::KIND, true, false),
    }
}

/// A tensor of the host on this device.
pub fn send(tensor: &Tensor, device: Device) -> Result<Tensor, TchError> {
    counted(0, tensor.numel() * tensor.f_kind()?.elt_size_in_bytes());
    tensor.f_to_device(device)
}

/// The one number of a tensor, as a float.
pub fn number(tensor: &Tensor) -> Result<f64, TchError> {
    counted(2, tensor.f_kind()?.elt_size_in_bytes());
    f64::try_from(tensor)
}

/// The one number of a tensor, to be shown and for nothing else; not counted, since the clock decides how often.
pub fn shown(tensor: &Tensor) -> Option<f64> {
    // Converted here, since what is called there is counted.
    match tensor.f_kind().ok()? {
        Kind::Float => f32::try_from(tensor).ok().map(f64::from),
        _ => f64::try_from(tensor).ok(),
    }
}

/// A tensor on the host.
pub fn to_host(tensor: &Tensor) -> Result<Tensor, TchError> {
    counted(2, tensor.numel() * tensor.f_kind()?.elt_size_in_bytes());
    tensor.f_to_device(Device::Cpu)
}

/// The numbers of a tensor \[n\], converted to this type.
pub fn numbers<T: Element + Copy>(tensor: &Tensor) -> Result<Vec<T>, TchError> {
    Vec::try_from(to_host(tensor)?)
}

/// Numbers of any types that are sent together.
#[derive(Debug, Default)]
pub struct Parcel {
    bytes: Vec<u8>,
}

/// The place of some numbers in a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    start: i64,
    bytes: i64,
    kind: Kind,
}

/// What was in a parcel, on the device.
#[derive(Debug)]
pub struct Sent(Option<Tensor>);

/// Tensors begin at multiples of so many bytes, as those of libtorch do: kernels may round otherwise elsewhere.
const ALIGNED: usize = 64;

impl Parcel {
    /// Puts numbers into the parcel.
    pub fn add<T: Element>(&mut self, values: &[T]) -> Place {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNED), 0);
        let (start, length) = (self.bytes.len(), std::mem::size_of_val(values));
        // SAFETY: the elements of tensors are numbers, all of whose bytes are initialised; the slice lives on during the call.
        self.bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), length) });
        Place { start: start as i64, bytes: length as i64, kind: T::KIND }
    }

    /// Sends the parcel; nothing, if there is nothing in it.
    pub fn send(&self, device: Device) -> Sent {
        Sent((!self.bytes.is_empty()).then(|| upload(&self.bytes, device)))
    }
}

// SAFETY: it holds a tensor, which is read.
unsafe impl Readable for Sent {}

impl Sent {
    /// \[n\], the numbers of this place of the parcel, which is part of one tensor with the others.
    pub fn get(&self, place: Place) -> Tensor {
        match &self.0 {
            Some(all) => all.narrow(0, place.start, place.bytes).view_dtype(place.kind),
            None => Tensor::zeros([0], (place.kind, Device::Cpu)),
        }
    }

    /// The same, sharing the tensor.
    pub fn shared(&self) -> Sent {
        Sent(self.0.as_ref().map(Tensor::shallow_clone))
    }
}

/// What a constant is known by: its bits, its type, its device.
type Key = (Vec<u64>, Kind, Device);

/// Constants that are kept at a time; more are forgotten, and sent again when they are needed.
const KEPT: usize = 256;

static CONSTANTS: Mutex<Option<HashMap<Key, Tensor>>> = Mutex::new(None);

/// \[n\], numbers that are the same in every step, of this type; sent when they are first asked for. Not to be written to.
pub fn constant(values: &[f64], kind: Kind, device: Device) -> Tensor {
    let key = (values.iter().map(|value| value.to_bits()).collect(), kind, device);
    kept(key, || upload(values, device).to_kind(kind))
}

/// \[n\] int64, whole numbers that are the same in every step. Not to be written to.
pub fn whole(values: &[i64], device: Device) -> Tensor {
    let key = values.iter().map(|value| *value as u64).collect();
    kept((key, Kind::Int64, device), || upload(values, device))
}

/// \[n\] int64, the positions 0 to n-1. Not to be written to.
pub fn positions(count: i64, device: Device) -> Tensor {
    kept((vec![u64::MAX, count as u64], Kind::Int64, device), || Tensor::arange(count, (Kind::Int64, device)))
}

fn kept(key: Key, make: impl FnOnce() -> Tensor) -> Tensor {
    let mut constants = CONSTANTS.lock().unwrap_or_else(PoisonError::into_inner);
    let constants = constants.get_or_insert_with(HashMap::new);
    if let Some(known) = constants.get(&key) {
        return known.shallow_clone();
    }
    if constants.len() >= KEPT {
        constants.clear();
    }
    let made = tch::no_grad(make);
    constants.insert(key, made.shallow_clone());
    made
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were_sent() {
        let sent = upload(&[0.1f64, -2.0], Device::Cpu);
        assert_eq!(numbers::<f64>(&sent).unwrap(), [0.1, -2.0]);
        assert_eq!(numbers::<f32>(&sent).unwrap(), [0.1f32, -2.0]);
        assert_eq!(number(&sent.get(1)).unwrap(), -2.0);
        assert!(number(&sent).is_err());
    }

    #[test]
    fn a_parcel_holds_numbers_of_several_types() {
        let mut parcel = Parcel::default();
        let flags = parcel.add(&[true, false, true]);
        let (single, whole) = (parcel.add(&[0.1f32, 2.5]), parcel.add(&[-7i64, 1 << 40]));
        let (none, double) = (parcel.add::<f32>(&[]), parcel.add(&[0.1f64]));
        let sent = parcel.send(Device::Cpu);
        assert_eq!(numbers::<bool>(&sent.get(flags)).unwrap(), [true, false, true]);
        assert_eq!(numbers::<f32>(&sent.get(single)).unwrap(), [0.1, 2.5]);
        assert_eq!(numbers::<i64>(&sent.get(whole)).unwrap(), [-7, 1 << 40]);
        assert_eq!(number(&sent.get(double)).unwrap(), 0.1);
        assert_eq!(sent.get(none).size(), [0]);
        assert!((sent.get(single).data_ptr() as usize).is_multiple_of(ALIGNED));
        assert!(Parcel::default().send(Device::Cpu).0.is_none());
    }

    #[test]
    fn a_constant_is_one_tensor_and_another_type_is_another() {
        let single = |values: &[f64]| constant(values, Kind::Float, Device::Cpu);
        assert_eq!(single(&[0.25, 3.0]).data_ptr(), single(&[0.25, 3.0]).data_ptr());
        assert_eq!(numbers::<f32>(&single(&[0.25, 3.0])).unwrap(), [0.25, 3.0]);
        assert_eq!(constant(&[0.25, 3.0], Kind::Double, Device::Cpu).kind(), Kind::Double);
        assert_eq!(numbers::<i64>(&positions(4, Device::Cpu)).unwrap(), [0, 1, 2, 3]);
    }
}
