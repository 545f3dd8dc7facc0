//! What chance makes of seeds: bits and bytes changed, lengths set to their ends, pieces cut, moved, repeated and mixed.

#![allow(dead_code)]

use crate::dice::Dice;

/// No input gets longer.
const LONGEST: usize = 1 << 20;

/// Numbers at the ends of what lengths and counts can be.
const ENDS: &[u64] = &[
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Texts that mean something to readers of text.
const TEXTS: &[&str] = &[
    "-1",
    "1e308",
    "1e999",
    "NaN",
    "inf",
    "9223372036854775808",
    "18446744073709551616",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\\u0000",
    "\u{0}",
    "\u{1b}[2J",
    "\u{202e}",
    "${",
    "${a}",
    "*",
    "..",
    "/",
    "\n",
    "'''",
    "\"\"\"",
    "é",
    "[[",
];

/// One of the seeds, changed in one to eight ways.
pub fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..1 + dice.below(8) {
        change(&mut bytes, seeds, dice);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len());
    let longest = 2 << dice.below(12);
    let to = at + dice.below((bytes.len() - at).min(longest) + 1);
    match dice.below(11) {
        0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
        2 if !bytes.is_empty() => bytes[at] = dice.any() as u8,
        3 => length(bytes, at, dice),
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..to)),
        6 => {
            let piece = bytes[at..to].to_vec();
            let times = 1 << dice.below(if piece.len() > 64 { 6 } else { 12 });
            bytes.splice(to..to, piece.repeat(times));
        }
        7 => {
            let piece = bytes[at..to].to_vec();
            let place = dice.below(bytes.len() + 1);
            bytes.splice(place..place, piece);
        }
        8 => {
            let other = &seeds[dice.below(seeds.len())];
            let from = dice.below(other.len() + 1);
            let end = from + dice.below(other.len() - from + 1);
            bytes.splice(at..to, other[from..end].iter().copied());
        }
        9 => number(bytes, at, dice),
        _ => {
            let text = TEXTS[dice.below(TEXTS.len())];
            bytes.splice(at..at, text.bytes());
        }
    }
}

/// Writes a number over bytes: two, four or eight, at either end first.
fn length(bytes: &mut [u8], at: usize, dice: &mut Dice) {
    let number = ENDS[dice.below(ENDS.len())].wrapping_add(dice.below(3) as u64).wrapping_sub(1);
    let size = [1, 2, 4, 8][dice.below(4)];
    let written = if dice.below(2) == 0 {
        number.to_le_bytes()[..size].to_vec()
    } else {
        number.to_be_bytes()[8 - size..].to_vec()
    };
    for (byte, new) in bytes.iter_mut().skip(at).zip(written) {
        *byte = new;
    }
}

/// Writes another number over the next decimal digits.
fn number(bytes: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let count = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = ENDS[dice.below(ENDS.len())].to_string();
    bytes.splice(from..from + count, number.into_bytes());
}
