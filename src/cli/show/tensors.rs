//! The tensors of an output: name, type and shape from the head of the file, and the range of their values, read as a stream.
//! Knows no meaning of a tensor: whole numbers in one row are counted, which tells how many images a class has.

use crate::number::significant;
use ddpipe_interface::tensor_file;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// More different whole numbers than these are no classes.
const CLASSES: usize = 1000;
/// Bytes that are read at once; a multiple of every width.
const CHUNK: usize = 1 << 16;

/// One tensor of a file.
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Type and shape: `F32 [10, 1, 28, 28]`.
    pub shape: String,
    dtype: Dtype,
    /// Whether it is a row of numbers.
    is_row: bool,
    /// From where to where in the file.
    bytes: Option<(u64, u64)>,
}

/// The values of a tensor.
#[derive(Debug, Default, PartialEq)]
pub struct Values {
    /// The smallest of those that are finite.
    pub min: Option<f64>,
    /// The largest of those that are finite.
    pub max: Option<f64>,
    /// Their mean.
    pub mean: Option<f64>,
    /// How many are infinite or no number.
    pub not_finite: u64,
    /// How often each is there, of whole numbers in one row.
    pub counts: Option<BTreeMap<i64, u64>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    Int { bytes: usize, signed: bool },
    Other,
}

/// The tensors of a file in its order; none of a file of another form.
pub fn of(path: &Path) -> Vec<Tensor> {
    let Some(mut file) = File::open(path).ok() else { return Vec::new() };
    let (Some(head), Ok(start)) = (tensor_file::head(&mut file), file.stream_position()) else { return Vec::new() };
    let size = file.metadata().map_or(0, |seen| seen.len());
    let tensor = |(name, tensor): (&String, &Value)| {
        let sizes: Vec<u64> = tensor["shape"].as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
        let shown: Vec<String> = sizes.iter().map(u64::to_string).collect();
        let named = tensor["dtype"].as_str()?;
        let dtype = Dtype::named(named);
        let offset = |at: usize| start.checked_add(tensor["data_offsets"][at].as_u64()?);
        let bytes = offset(0).zip(offset(1)).filter(|(from, to)| from <= to && *to <= size);
        let shape = format!("{named} [{}]", shown.join(", "));
        Some(Tensor { name: name.clone(), shape, dtype, is_row: sizes.len() == 1, bytes })
    };
    head.iter().filter(|(name, _)| *name != "__metadata__").filter_map(tensor).collect()
}

impl Tensor {
    /// The range of its values; none of an empty tensor, of a type without an order, and of a file that is damaged.
    pub fn values(&self, path: &Path) -> Option<Values> {
        let width = self.dtype.width()?;
        let (from, to) = self.bytes.filter(|(from, to)| from < to && (to - from).is_multiple_of(width as u64))?;
        let mut file = BufReader::new(File::open(path).ok()?);
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut tally = Tally::new(self.is_row && matches!(self.dtype, Dtype::Int { .. }));
        let (mut left, mut chunk) = (to - from, vec![0; CHUNK]);
        while left > 0 {
            let some = chunk.get_mut(..CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)))?;
            file.read_exact(some).ok()?;
            some.chunks_exact(width).for_each(|bytes| tally.note(self.dtype.value(bytes)));
            left -= some.len() as u64;
        }
        Some(tally.over())
    }
}

/// Values on their way.
struct Tally {
    min: f64,
    max: f64,
    sum: f64,
    finite: u64,
    not_finite: u64,
    counts: Option<BTreeMap<i64, u64>>,
}

impl Tally {
    fn new(counted: bool) -> Self {
        let counts = counted.then(BTreeMap::new);
        Tally { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, finite: 0, not_finite: 0, counts }
    }

    fn note(&mut self, value: f64) {
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        self.finite += 1;
        if let Some(counts) = &mut self.counts {
            *counts.entry(value as i64).or_default() += 1;
            if counts.len() > CLASSES {
                self.counts = None;
            }
        }
    }

    fn over(self) -> Values {
        let some = |value: f64| (self.finite > 0).then_some(value);
        let mean = some(self.sum / self.finite as f64);
        let (min, max) = (some(self.min), some(self.max));
        Values { min, max, mean, not_finite: self.not_finite, counts: self.counts }
    }
}

impl Values {
    /// `-0.42 to 2.82, mean 0.13, 3 not finite`, or `10 different, 4 to 6 of each`.
    pub fn in_words(&self) -> String {
        let mut words = Vec::new();
        if let (Some(min), Some(max), Some(mean)) = (self.min, self.max, self.mean) {
            match &self.counts {
                Some(counts) => {
                    let (few, many) = (counts.values().min(), counts.values().max());
                    let of_each = match (few.copied().unwrap_or(0), many.copied().unwrap_or(0)) {
                        (few, many) if few == many => format!("{few} of each"),
                        (few, many) => format!("{few} to {many} of each"),
                    };
                    let range = format!("{} to {}", significant(min), significant(max));
                    words.push(format!("{range}, {} different, {of_each}", counts.len()));
                }
                None => {
                    let [min, max, mean] = [min, max, mean].map(significant);
                    words.push(format!("{min} to {max}, mean {mean}"));
                }
            }
        }
        if self.not_finite > 0 {
            words.push(format!("{} not finite", self.not_finite));
        }
        words.join(", ")
    }

    /// The same for programs.
    pub fn as_json(&self) -> Value {
        let counts = self.counts.as_ref().map(|counts| {
            let counts = counts.iter().map(|(value, count)| (value.to_string(), Value::from(*count)));
            counts.collect::<serde_json::Map<String, Value>>()
        });
        json!({ "min": self.min, "max": self.max, "mean": self.mean, "not_finite": self.not_finite, "counts": counts })
    }
}

impl Dtype {
    fn named(name: &str) -> Self {
        let int = |bytes, signed| Dtype::Int { bytes, signed };
        match name {
            "F64" => Dtype::F64,
            "F32" => Dtype::F32,
            "F16" => Dtype::F16,
            "BF16" => Dtype::Bf16,
            "BOOL" | "U8" => int(1, false),
            "I8" => int(1, true),
            "U16" => int(2, false),
            "I16" => int(2, true),
            "U32" => int(4, false),
            "I32" => int(4, true),
            "U64" => int(8, false),
            "I64" => int(8, true),
            _ => Dtype::Other,
        }
    }

    fn width(self) -> Option<usize> {
        Some(match self {
            Dtype::F64 => 8,
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::Int { bytes, .. } => bytes,
            Dtype::Other => return None,
        })
    }

    /// A value of so many bytes, the lowest first.
    fn value(self, bytes: &[u8]) -> f64 {
        let mut wide = [0; 8];
        wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let raw = u64::from_le_bytes(wide);
        match self {
            Dtype::F64 => f64::from_bits(raw),
            Dtype::F32 => f64::from(f32::from_bits(raw as u32)),
            Dtype::Bf16 => f64::from(f32::from_bits((raw as u32) << 16)),
            Dtype::F16 => half(raw as u16),
            Dtype::Int { bytes, signed: true } => {
                let shift = 64 - 8 * bytes as u32;
                (((raw << shift) as i64) >> shift) as f64
            }
            Dtype::Int { .. } => raw as f64,
            Dtype::Other => f64::NAN,
        }
    }
}

/// A number of half precision: one bit of sign, five of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f64::from(bits & 0x3ff));
    sign * match (exponent, fraction == 0.0) {
        (0, _) => fraction * 2f64.powi(-24),
        (31, true) => f64::INFINITY,
        (31, false) => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A file with one tensor.
    fn file(dtype: &str, count: usize, data: &[u8]) -> tempfile::NamedTempFile {
        let head = json!({ "t": { "dtype": dtype, "shape": [count], "data_offsets": [0, data.len()] } }).to_string();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [&(head.len() as u64).to_le_bytes(), head.as_bytes(), data].concat()).unwrap();
        file
    }

    fn values(dtype: &str, count: usize, data: &[u8]) -> Option<Values> {
        let file = file(dtype, count, data);
        of(file.path())[0].values(file.path())
    }

    #[test]
    fn ranges_are_those_of_the_finite_values() {
        let floats: Vec<u8> = [1.5f32, f32::NAN, -2.5, f32::INFINITY].iter().flat_map(|v| v.to_le_bytes()).collect();
        let seen = values("F32", 4, &floats).unwrap();
        assert_eq!((seen.min, seen.max, seen.mean, seen.not_finite), (Some(-2.5), Some(1.5), Some(-0.5), 2));
        assert_eq!(seen.in_words(), "-2.5 to 1.5, mean -0.5, 2 not finite");
        // 1, -2, the smallest number above 0, and infinity.
        let halves: Vec<u8> = [0x3c00u16, 0xc000, 0x0001, 0x7c00].iter().flat_map(|v| v.to_le_bytes()).collect();
        let seen = values("F16", 4, &halves).unwrap();
        assert_eq!((seen.min, seen.max, seen.not_finite), (Some(-2.0), Some(1.0), 1));
        let brains: Vec<u8> = [0x3f80u16, 0xc000].iter().flat_map(|v| v.to_le_bytes()).collect();
        let seen = values("BF16", 2, &brains).unwrap();
        assert_eq!((seen.min, seen.max), (Some(-2.0), Some(1.0)));
        let none = values("F64", 1, &f64::NAN.to_le_bytes()).unwrap();
        assert_eq!(none.in_words(), "1 not finite");
    }

    #[test]
    fn whole_numbers_in_a_row_are_counted() {
        let labels: Vec<u8> = [0i64, 1, 1, -3].iter().flat_map(|v| v.to_le_bytes()).collect();
        let seen = values("I64", 4, &labels).unwrap();
        assert_eq!(seen.in_words(), "-3 to 1, 3 different, 1 to 2 of each");
        assert_eq!(seen.as_json()["counts"]["1"], 2);
        assert_eq!(values("U8", 4, &[7, 7, 7, 200]).unwrap().max, Some(200.0));
        assert_eq!(values("I16", 1, &[0xff, 0xff]).unwrap().min, Some(-1.0));
        let many: Vec<u8> = (0..5000i32).flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(values("I32", 5000, &many).unwrap().counts, None);
    }

    #[test]
    fn what_cannot_be_read_has_no_values() {
        assert_eq!(values("F32", 1, &[0, 0, 0]), None);
        assert_eq!(values("F8_E4M3", 1, &[0]), None);
        assert_eq!(values("F32", 0, &[]), None);
        let lying = file("F32", 1, &[0; 4]);
        let text = std::fs::read(lying.path()).unwrap();
        std::fs::write(lying.path(), &text[..text.len() - 1]).unwrap();
        assert_eq!(of(lying.path())[0].values(lying.path()), None);
    }
}
