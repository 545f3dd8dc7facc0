//! Reads the header of a .npy file: magic number, version, and a Python dictionary with type, order and shape. Only
//! dictionaries of this form are parsed, no Python is run; arrays of objects, which are pickled, are an error.

use anyhow::{Context as _, Result, bail, ensure};
use std::io::Read;

/// The largest number of bytes of a header; those of plain arrays have some hundred.
const LONGEST: usize = 1 << 16;

/// The type of an array's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// NumPy's letter for the type: `u` unsigned, `i` signed, `f` floating point, `b` boolean.
    pub kind: char,
    /// The number of bytes of one number.
    pub size: usize,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
}

/// The header: type and shape of the array.
#[derive(Debug, PartialEq)]
pub struct Header {
    /// The type of the numbers.
    pub element: Element,
    /// The number of entries along each axis.
    pub shape: Vec<usize>,
    /// Whether the first axis is the fastest (Fortran order), and not the last one.
    pub fortran: bool,
}

/// Reads the header, up to the first number. An error if the format, type or order is not supported.
pub fn read(source: &mut impl Read) -> Result<Header> {
    let mut start = [0; 8];
    source.read_exact(&mut start).context("the file ends inside the header")?;
    ensure!(start.starts_with(b"\x93NUMPY"), "not a .npy file: it does not start with \\x93NUMPY");
    let (version, mut length) = (start[6], [0; 4]);
    let width = match version {
        1 => 2,
        2 | 3 => 4,
        other => bail!("version {other} of the .npy format is not known; there are 1, 2 and 3"),
    };
    source.read_exact(&mut length[..width]).context("the file ends inside the header")?;
    let length = u32::from_le_bytes(length) as usize;
    ensure!(length <= LONGEST, "a header of {length} bytes; {LONGEST} are read");
    let mut text = vec![0; length];
    source.read_exact(&mut text).context("the file ends inside the header")?;
    let text = String::from_utf8_lossy(&text).into_owned();
    parse(&text).with_context(|| format!("header {:?}", text.trim_end()))
}

fn parse(text: &str) -> Result<Header> {
    let mut rest = Rest(text);
    rest.expect('{')?;
    let (mut element, mut order, mut shape) = (None, None, None);
    while !rest.take('}') {
        let key = rest.text()?;
        rest.expect(':')?;
        let known = match key {
            "descr" => element.replace(self::element(&mut rest)?).is_none(),
            "fortran_order" => order.replace(rest.boolean()?).is_none(),
            "shape" => shape.replace(rest.shape()?).is_none(),
            other => bail!("key {other:?} is not known"),
        };
        ensure!(known, "key {key:?} stands there twice");
        if !rest.take(',') {
            rest.expect('}')?;
            break;
        }
    }
    ensure!(rest.0.trim().is_empty(), "{:?} stands behind the dictionary", rest.0.trim());
    let (Some(element), Some(order), Some(shape)) = (element, order, shape) else {
        bail!("one of descr, fortran_order and shape is missing");
    };
    Ok(Header { element, shape, fortran: order })
}

fn element(rest: &mut Rest) -> Result<Element> {
    ensure!(!rest.0.trim_start().starts_with('['), "the array has named fields, where plain numbers are expected");
    let text = rest.text()?;
    let (order, kind) = text.split_at_checked(1).with_context(|| format!("no type {text:?}"))?;
    let big_endian = match order {
        "|" | "<" => false,
        ">" => true,
        _ => bail!("type {text:?} does not say its byte order"),
    };
    ensure!(
        !kind.starts_with('O'),
        "the array holds Python objects, which are pickled; save it with a type of numbers"
    );
    let (kind, size) = match kind {
        "u1" | "u2" | "u4" | "u8" | "i1" | "i2" | "i4" | "i8" | "f2" | "f4" | "f8" | "b1" => kind.split_at(1),
        _ => bail!("type {text:?} is not one of plain numbers"),
    };
    Ok(Element { kind: kind.chars().next().unwrap_or('u'), size: size.parse()?, big_endian })
}

/// The part of the header that is not parsed yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, sign: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(sign);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        ensure!(self.take(sign), "{sign:?} is missing before {:?}", self.0);
        Ok(())
    }

    /// A string in single or double quotes, marked as text or bytes where Python 2 wrote it. NumPy's headers contain no
    /// escapes.
    fn text(&mut self) -> Result<&'a str> {
        let marked = self.0.trim_start();
        self.0 = match marked.as_bytes() {
            [b'u' | b'b', b'\'' | b'"', ..] => marked.get(1..).unwrap_or_default(),
            _ => marked,
        };
        let quote = if self.take('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect('\'')?;
        }
        let (text, rest) = self.0.split_once(quote).context("a text does not end")?;
        self.0 = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool> {
        let rest = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = rest.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        bail!("True or False is missing before {rest:?}")
    }

    /// Numbers in parentheses. Python 2 writes an L behind long ones, and NumPy 2 may write `np.int64(3)`.
    fn shape(&mut self) -> Result<Vec<usize>> {
        self.expect('(')?;
        let mut axes = Vec::new();
        while !self.take(')') {
            let wrapped = ["numpy.int64(", "np.int64("].into_iter().find(|word| self.word(word)).is_some();
            let rest = self.0.trim_start();
            let end = rest.find([',', ')']).context("the shape does not end")?;
            let (axis, rest) = rest.split_at(end);
            let digits = axis.trim().trim_end_matches('L');
            axes.push(digits.parse().with_context(|| format!("{:?} is no number of entries", axis.trim()))?);
            self.0 = rest;
            if wrapped {
                self.expect(')')?;
            }
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(axes)
    }

    /// Whether this word comes next; it is then taken.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(word);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_forms_are_read_and_others_refused() {
        let text = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}   \n")
        };
        let read = |descr, shape| parse(&text(descr, "False", shape));
        let u8s = Element { kind: 'u', size: 1, big_endian: false };
        let plain = Header { element: u8s, shape: vec![3, 28, 28], fortran: false };
        assert_eq!(read("'|u1'", "(3, 28, 28)").unwrap(), plain);
        // As Python 2 writes them, and as NumPy 2 does where a program gave it its own numbers.
        assert_eq!(read("u'|u1'", "(3L, 28L, 28L)").unwrap(), plain);
        assert_eq!(read("'|u1'", "(np.int64(3), 28, np.int64(28))").unwrap(), plain);
        assert_eq!(read("'|b1'", "(3,)").unwrap().element, Element { kind: 'b', size: 1, big_endian: false });
        assert!(parse(&text("'|u1'", "True", "(3, 2)")).unwrap().fortran);
        assert_eq!(read("'>i4'", "(7,)").unwrap().element, Element { kind: 'i', size: 4, big_endian: true });
        assert_eq!(read("\"<f8\"", "()").unwrap().shape, Vec::<usize>::new());
        let turned = "{\"shape\":(2,1),\"descr\":\"<i8\",\"fortran_order\":False}";
        assert_eq!(parse(turned).unwrap().shape, [2, 1]);
        for (header, part) in [
            (text("'|O'", "False", "(3,)"), "Python objects"),
            (text("[('a', '<i4')]", "False", "(3,)"), "named fields"),
            (text("'<U5'", "False", "(3,)"), "plain numbers"),
            (text("'u1'", "False", "(3,)"), "byte order"),
            (text("''", "False", "(3,)"), "no type"),
            (text("'|u1'", "False", "(3"), "does not end"),
            (text("'|u1'", "1", "(3,)"), "True or False"),
            (text("'|u1'", "False", "(3, -1)"), "\"-1\""),
            (text("'|u1'", "False", "(3, 99999999999999999999)"), "no number"),
            ("{'descr': '|u1', 'shape': (1,)}".into(), "missing"),
            ("{'descr': '|u1', 'descr': '|u1'}".into(), "twice"),
            ("{'descr': '|u1', 'eval': 1}".into(), "\"eval\""),
            ("{'descr': '|u1'} + {}".into(), "behind"),
            ("{'descr".into(), "does not end"),
            (String::new(), "'{' is missing"),
        ] {
            let why = format!("{:#}", parse(&header).unwrap_err());
            assert!(why.contains(part), "{header:?}: {why:?} lacks {part:?}");
        }
    }
}
