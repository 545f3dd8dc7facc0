//! Tables as spreadsheets and programs write them: with commas, semicolons, tabs or bars, quoted or not, in UTF-8 or UTF-16,
//! with columns in any order. Knows nothing of what the columns mean.

use anyhow::{Context as _, Result, bail, ensure};
use csv::{ReaderBuilder, Trim};
use std::borrow::Cow;

/// The separators that are recognised; the first of those that are most frequent in the first line.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A table. Rows may have more or fewer fields than its first line; who reads a field finds out.
#[derive(Debug)]
pub struct Table {
    /// The names of the columns; empty where there is no header.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// The number of its line, from 1.
    pub line: u64,
    /// Its fields, without quotes and without spaces around them.
    pub fields: Vec<String>,
}

impl Table {
    /// Reads a table whose first line has the names of the columns, unless there is no `header`. `file` is its name, for
    /// messages. An error names the line.
    pub fn read(bytes: &[u8], file: &str, header: bool) -> Result<Self> {
        let text = text(bytes, file)?;
        ensure!(!text.trim().is_empty(), "{file}: the table is empty");
        let mut reader = ReaderBuilder::new()
            .has_headers(header)
            .flexible(true)
            .delimiter(separator(&text))
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let failed = || format!("{file}: not a table");
        let columns = match header {
            true => reader.headers().with_context(failed)?.iter().map(String::from).collect(),
            false => Vec::new(),
        };
        let (mut rows, mut at, mut line) = (Vec::new(), 0, 1);
        for record in reader.records() {
            let record = record.with_context(failed)?;
            // A record is said to begin where the one before it ends; empty lines may follow there.
            let begin = record.position().map_or(0, |position| position.byte() as usize);
            let empty = |byte: &&u8| matches!(byte, b'\r' | b'\n');
            let begin = begin + text.as_bytes().iter().skip(begin).take_while(empty).count();
            let passed = text.as_bytes().get(at..begin).unwrap_or_default();
            line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
            at = begin;
            rows.push(Row { line, fields: record.iter().map(String::from).collect() });
        }
        Ok(Table { columns, rows })
    }

    /// The index of the column of this name; capitals do not matter where no other column has the name. An error lists the
    /// columns.
    pub fn column(&self, name: &str, file: &str) -> Result<usize> {
        let same = |known: &String| known.to_lowercase() == name.to_lowercase();
        let found = self.columns.iter().position(|known| known == name).or_else(|| {
            let mut near = self.columns.iter().enumerate().filter(|(_, known)| same(known)).map(|(index, _)| index);
            near.next().filter(|_| near.next().is_none())
        });
        match found {
            Some(index) => Ok(index),
            None => bail!("{file}:1: there is no column {name:?}; the columns are {}", self.columns.join(", ")),
        }
    }
}

/// The separator that is most frequent in the first line, outside quotes.
fn separator(text: &str) -> u8 {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let mut quoted = false;
    let mut counts = [0usize; SEPARATORS.len()];
    for byte in first.bytes() {
        quoted ^= byte == b'"';
        if let (false, Some(index)) = (quoted, SEPARATORS.iter().position(|known| *known == byte)) {
            counts[index] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    let index = counts.iter().position(|count| *count == most).unwrap_or(0);
    SEPARATORS[index]
}

/// The text of a file in UTF-8, with or without a mark at its start, or in UTF-16 with one.
fn text<'a>(bytes: &'a [u8], file: &str) -> Result<Cow<'a, str>> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
        String::from_utf16(&units).map(Cow::Owned).with_context(|| format!("{file}: not UTF-16 text"))
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
                let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count();
                anyhow::anyhow!("{file}:{line}: not UTF-8 text; save the table as CSV in UTF-8")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &[u8]) -> Vec<Vec<String>> {
        Table::read(text, "t.csv", true).unwrap().rows.into_iter().map(|row| row.fields).collect()
    }

    #[test]
    fn separators_quotes_and_encodings_are_recognised() {
        let expected = [["a, b.png", "x"], ["c.png", "y"]];
        let wide: Vec<u8> =
            "\u{feff}file\tlabel\r\na, b.png\tx\r\nc.png\ty".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for text in [
            &b"file,label\n\"a, b.png\",x\nc.png,y\n"[..],
            b"\xEF\xBB\xBFfile;label\r\na, b.png;x\r\n\"c.png\"; y\r\n",
            b"file\tlabel\na, b.png\tx\n\nc.png\ty",
            b"file|label\na, b.png|x\nc.png|y",
            &wide,
        ] {
            assert_eq!(fields(text), expected);
        }
    }

    #[test]
    fn faults_name_the_place() {
        let failed = |text: &[u8]| format!("{:#}", Table::read(text, "t.csv", true).unwrap_err());
        assert!(failed(b" \n").contains("t.csv: the table is empty"));
        assert!(failed(b"a,b\n1,2\n\xff,3").contains("t.csv:3: not UTF-8"));
        let uneven = Table::read(b"a,b\n1,2\n\n3\n", "t.csv", true).unwrap();
        assert_eq!(uneven.rows.iter().map(|row| (row.line, row.fields.len())).collect::<Vec<_>>(), [(2, 2), (4, 1)]);
        let table = Table::read(b"File,label\n", "t.csv", true).unwrap();
        assert_eq!((table.column("file", "t.csv").unwrap(), table.column("label", "t.csv").unwrap()), (0, 1));
        let text = table.column("class", "t.csv").unwrap_err().to_string();
        assert!(text.contains("no column \"class\"; the columns are File, label"), "{text}");
    }
}
