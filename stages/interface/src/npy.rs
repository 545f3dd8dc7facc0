//! The head of a file of NumPy, which the engine writes for exports and stages for sample data. Knows no numbers.

/// The numbers of an array begin at a multiple of this many bytes.
const ALIGNMENT: usize = 64;

/// The head of an array of this type (`|u1`, `<f4`) and shape, row by row, in version 1.0 of the format.
pub fn header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let axes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", axes.trim_end());
    let length = (10 + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', length - 10 - text.len() - 1));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}
