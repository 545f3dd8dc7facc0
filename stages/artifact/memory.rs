//! Access to the memory of a CPU tensor as bytes, without a copy, for writing tensors to files and for decoding into
//! them. The only place that reads or writes a tensor's memory without libtorch.

use anyhow::{Context as _, Result, ensure};
use tch::{Device, Kind, Tensor};

/// The alignment, in bytes, of libtorch's own allocations.
const ALIGNMENT: usize = 64;

/// The bytes of a contiguous tensor on the CPU, of any type. An error for other tensors.
pub fn bytes(tensor: &Tensor) -> Result<&[u8]> {
    let length = lies_plainly(tensor)?;
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: contiguous and on the host, so that many bytes lie there; they live as long as the tensor is borrowed.
    // Nothing here writes to a tensor that is borrowed shared, and stages never write to what they read.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<u8>(), length) })
}

/// A tensor of this shape, u8, on the CPU, all zero (black), for [`bytes_mut`]. The system allocates its pages only
/// when they are written.
pub fn black(shape: &[i64]) -> Result<Tensor> {
    let bytes = shape.iter().try_fold(1i64, |bytes, &axis| bytes.checked_mul(axis));
    bytes.with_context(|| format!("images of shape {shape:?} are more than can exist"))?;
    Tensor::f_zeros(shape, (Kind::Uint8, Device::Cpu))
        .with_context(|| format!("no memory for images of shape {shape:?}"))
}

/// The writable memory of a contiguous u8 tensor on the CPU. The caller has to hold the only handle of the tensor, as
/// with one fresh from [`black`].
pub fn bytes_mut(tensor: &mut Tensor) -> Result<&mut [u8]> {
    ensure!(tensor.kind() == Kind::Uint8, "a tensor of type {:?}, where bytes are expected", tensor.kind());
    let length = lies_plainly(tensor)?;
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: as in `bytes`; the exclusive borrow keeps this handle from being used, and by contract there is no other.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<u8>(), length) })
}

/// The same values, detached, contiguous, on the CPU, in memory that holds nothing else and is aligned as an allocation
/// of libtorch. A kept tensor then takes no more memory than its values, and computing with it gives the same bits as
/// with one that is read from a file. Shared where the tensor is so already, copied otherwise.
pub fn settled(tensor: &Tensor) -> Result<Tensor> {
    let settled = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    if settled.numel() == 0 || fills_its_storage(&settled) {
        return Ok(settled);
    }
    let mut copy = settled.f_empty_like()?;
    copy.f_copy_(&settled)?;
    Ok(copy)
}

/// Whether a tensor is all that its storage holds. tch does not return the size of a storage, only whether two have the
/// same size. (libtorch would also refuse a view that is one element larger, but takes milliseconds to format the
/// error.)
fn fills_its_storage(tensor: &Tensor) -> bool {
    let fresh = tensor.f_empty_like();
    let fills = fresh.and_then(|fresh| tensor.f_internal_has_same_storage_numel(&fresh)).unwrap_or(false);
    let first = tensor.f_as_strided([1], [1], Some(0));
    let starts = first.is_ok_and(|first| first.data_ptr() == tensor.data_ptr());
    fills && starts && (tensor.data_ptr() as usize).is_multiple_of(ALIGNMENT)
}

fn lies_plainly(tensor: &Tensor) -> Result<usize> {
    ensure!(
        tensor.device() == Device::Cpu && tensor.is_contiguous() && !tensor.is_sparse(),
        "a tensor on {:?} or with gaps, where plain memory is expected",
        tensor.device()
    );
    Ok(tensor.numel() * tensor.kind().elt_size_in_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_its_memory_is_shared_and_all_else_is_copied() {
        let whole = Tensor::arange(600, (Kind::Float, Device::Cpu)).reshape([200, 3]);
        assert_eq!(settled(&whole).unwrap().data_ptr(), whole.data_ptr());
        for part in [whole.narrow(0, 0, 7), whole.narrow(0, 64, 136), whole.narrow(0, 64, 64), whole.transpose(0, 1)] {
            let copy = settled(&part).unwrap();
            assert!(copy == part && copy.is_contiguous() && fills_its_storage(&copy));
            assert_ne!(copy.data_ptr(), part.data_ptr());
        }
        let grown = (&whole * 1.0).set_requires_grad(true);
        assert!(!settled(&grown).unwrap().requires_grad());
        assert_eq!(settled(&whole.narrow(0, 0, 0)).unwrap().size(), [0, 3]);
    }

    #[test]
    fn bytes_are_those_of_the_numbers() {
        let numbers = Tensor::from_slice(&[1i16, -2]);
        assert_eq!(bytes(&numbers).unwrap(), [1, 0, 254, 255]);
        assert!(bytes(&numbers.narrow(0, 0, 1).expand([2], false)).is_err());
        let mut black = black(&[2, 2]).unwrap();
        bytes_mut(&mut black).unwrap()[3] = 9;
        assert_eq!(Vec::<u8>::try_from(black.flatten(0, -1)).unwrap(), [0, 0, 0, 9]);
        assert!(bytes_mut(&mut Tensor::from(1.0f32)).is_err());
    }
}
