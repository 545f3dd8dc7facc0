//! The frames of an event file, which are those of TFRecord: a length, its checksum, the bytes, their checksum.

use super::event::Event;
use crc::{CRC_32_ISCSI, Crc};
use prost::Message as _;

/// CRC-32C.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event in its frame.
pub fn framed(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(data.len() + 16);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&masked(&length).to_le_bytes());
    bytes.extend_from_slice(&data);
    bytes.extend_from_slice(&masked(&data).to_le_bytes());
    bytes
}

/// The checksum as the format has it: CRC-32C, turned by 15 bits, plus a constant.
fn masked(bytes: &[u8]) -> u32 {
    CHECKSUM.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
