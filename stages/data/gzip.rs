//! Unpacks gzip as other programs write it: in one member or several, with zeros behind the end, as copies by blocks leave
//! them. Other bytes behind the end are refused, since the file is then not what was packed. Knows no format inside.

use flate2::bufread::GzDecoder;
use std::io::{self, ErrorKind, Read};

/// The two bytes with which every member begins.
pub const MAGIC: [u8; 2] = [0x1F, 0x8B];

/// A gzipped file that is read from front to end. An error of kind [`ErrorKind::UnexpectedEof`] means that it is cut off,
/// one of kind [`ErrorKind::InvalidData`] says what follows its end, and any other that it is damaged.
pub struct Gunzip<'a> {
    /// The member that is being read; none after the last one.
    member: Option<GzDecoder<&'a [u8]>>,
    comment: Option<String>,
    /// Whether the first header was read.
    begun: bool,
}

impl<'a> Gunzip<'a> {
    /// The unpacked bytes of this file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Gunzip { member: Some(GzDecoder::new(bytes)), comment: None, begun: false }
    }

    /// The comment of the first header, if there is one; known only after the first byte was read.
    pub fn comment(&self) -> Option<String> {
        self.comment.clone()
    }
}

impl Read for Gunzip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.member else { return Ok(0) };
            let read = member.read(into)?;
            if !self.begun {
                self.begun = true;
                let comment = member.header().and_then(|header| header.comment());
                self.comment = comment.map(|text| String::from_utf8_lossy(text).into_owned());
            }
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            let rest = self.member.take().map(GzDecoder::into_inner).unwrap_or_default();
            let Some(start) = rest.iter().position(|&byte| byte != 0) else { return Ok(0) };
            let rest = rest.get(start..).unwrap_or_default();
            if !rest.starts_with(&MAGIC) {
                let text = format!(
                    "{} bytes that are not gzip follow the end of what was packed, so the file was changed since",
                    rest.len()
                );
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
            self.member = Some(GzDecoder::new(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        Gunzip::new(bytes).read_to_end(&mut found).map(|_| found)
    }

    #[test]
    fn members_and_padding_are_read_and_other_bytes_are_not() {
        let (one, two) = (packed(b"one "), packed(b"two"));
        let with = |more: &[u8]| [&one, &two[..], more].concat();
        for more in [&b""[..], &[0; 1], &[0; 1024]] {
            assert_eq!(read(&with(more)).unwrap(), b"one two");
        }
        assert_eq!(read(&[&one, &[0; 512][..], &two].concat()).unwrap(), b"one two");
        assert_eq!(read(&packed(b"")).unwrap(), b"");
        let other = read(&with(b"signature")).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::InvalidData);
        assert!(other.to_string().starts_with("9 bytes that are not gzip"), "{other}");
        let whole = with(b"");
        assert_eq!(read(&whole[..whole.len() - 5]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
