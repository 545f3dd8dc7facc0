//! The words in a results file that lead back from it: pipeline, node, run, commit and key. Markdown, LaTeX and SVG get a
//! comment, a JSON object a field, a PNG picture a text. Formats without room for words (CSV, a kind's own) are left as
//! they are; `run.json` beside them has the same.

use ddpipe_cache::{Key, Record};
use serde_json::json;

/// The field of a JSON object, and the keyword of a PNG picture's text.
const NAME: &str = "made_by";
/// Signature, and the chunk IHDR that every PNG file begins with.
const PNG_HEAD: usize = 8 + 25;

/// What a file's words say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The node's address.
    pub node: &'a str,
    /// The run that writes the file.
    pub run: &'a str,
    /// The record that the file is an output of.
    pub record: &'a Record,
}

impl Stamp<'_> {
    /// The bytes of an output with the stamp in them, by the ending of the file.
    pub fn put_into(&self, ending: &str, bytes: Vec<u8>) -> Vec<u8> {
        match ending {
            "md" => after(bytes, &format!("\n<!-- {} -->\n", self.in_a_comment())),
            "svg" => after(bytes, &format!("<!-- {} -->\n", self.in_a_comment())),
            "tex" => [format!("% {}\n", self.words()).into_bytes(), bytes].concat(),
            "json" => self.with_field(bytes),
            "png" => self.with_chunk(bytes),
            _ => bytes,
        }
    }

    /// Whether a file is this output as some run of ddpipe wrote it.
    pub fn wrote(&self, there: &[u8], ending: &str, output: &[u8]) -> bool {
        let Some(stamped) = Stamped::read(there) else { return there == output };
        Stamp { run: &stamped.run, ..*self }.put_into(ending, output.to_vec()) == there
    }

    fn words(&self) -> String {
        let Stamp { pipeline, node, run, record } = self;
        let commit = match &record.provenance.commit {
            Some(commit) if commit.dirty => format!(", commit {} and changes", commit.hash),
            Some(commit) => format!(", commit {}", commit.hash),
            None => String::new(),
        };
        let version = env!("CARGO_PKG_VERSION");
        format!("made by ddpipe {version}: pipeline {pipeline}, node {node}, run {run}{commit}, key {}", record.key)
    }

    /// Two hyphens would end a comment of HTML and XML. Of three, one pass leaves two.
    fn in_a_comment(&self) -> String {
        self.words().replace("--", "- -").replace("--", "- -")
    }

    /// As the first field of the object, so that all other bytes stay as they are.
    fn with_field(&self, bytes: Vec<u8>) -> Vec<u8> {
        let is_object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes);
        let (Ok(object), Some(open)) = (is_object, bytes.iter().position(|byte| *byte == b'{')) else { return bytes };
        if object.contains_key(NAME) {
            return bytes;
        }
        let Stamp { pipeline, node, run, record } = self;
        let stamp = json!({
            "ddpipe": env!("CARGO_PKG_VERSION"),
            "pipeline": pipeline,
            "node": node,
            "run": run,
            "commit": record.provenance.commit,
            "key": record.key,
        });
        let comma = if object.is_empty() { "" } else { "," };
        let (before, rest) = bytes.split_at(open + 1);
        [before, format!("{:?}:{stamp}{comma}", NAME).as_bytes(), rest].concat()
    }

    /// As a chunk iTXt behind the header.
    fn with_chunk(&self, bytes: Vec<u8>) -> Vec<u8> {
        if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") || bytes.len() < PNG_HEAD {
            return bytes;
        }
        // Keyword, no compression, no language, no translated keyword, text.
        let content = [NAME.as_bytes(), &[0, 0, 0, 0, 0], self.words().as_bytes()].concat();
        let Ok(length) = u32::try_from(content.len()) else { return bytes };
        let named = [b"iTXt".as_slice(), &content].concat();
        let chunk = [&length.to_be_bytes(), named.as_slice(), &crc32fast::hash(&named).to_be_bytes()].concat();
        let (head, rest) = bytes.split_at(PNG_HEAD);
        [head, &chunk, rest].concat()
    }
}

/// What the words in a file say of the run that wrote them and of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The run.
    pub run: String,
    /// The record's key.
    pub key: Key,
}

impl Stamped {
    /// Reads the words in a file of whatever format, if there are any.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let of_comment = || {
            let words = text.split_once("made by ddpipe ")?.1;
            let run = words.split_once(", run ")?.1;
            Some((run.split([',', ' ']).next()?, words.split_once(", key ")?.1))
        };
        let of_field = || {
            let field = text.split_once(&format!("{NAME:?}:{{"))?.1;
            let run = field.split_once("\"run\":\"")?.1;
            Some((run.split('"').next()?, field.split_once("\"key\":\"")?.1))
        };
        let (run, key) = of_comment().or_else(of_field)?;
        Some(Stamped { run: run.to_string(), key: key.get(..64)?.parse().ok()? })
    }
}

fn after(mut bytes: Vec<u8>, text: &str) -> Vec<u8> {
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use ddpipe_cache::{Circumstances, Commit, FORMAT, Provenance};
    use indexmap::IndexMap;
    use std::sync::Arc;

    fn record() -> Record {
        let commit = Some(Commit { hash: "c0ffee".into(), dirty: true });
        Record {
            format: FORMAT,
            key: Key::of(&[("kind".into(), "\"a\"".into())]),
            pipeline: "p".into(),
            node: "n".into(),
            description: Vec::new(),
            outputs: IndexMap::new(),
            asks: IndexMap::new(),
            metrics: IndexMap::new(),
            measured: IndexMap::new(),
            sources: IndexMap::new(),
            provenance: Provenance {
                circumstances: Arc::new(Circumstances { commit, ..Circumstances::default() }),
                ..Provenance::default()
            },
        }
    }

    fn stamped(ending: &str, bytes: &[u8]) -> Vec<u8> {
        let record = record();
        let stamp = Stamp { pipeline: "p", node: "n[a=x---y]", run: "20260101-000000-0000", record: &record };
        stamp.put_into(ending, bytes.to_vec())
    }

    #[test]
    fn comments_name_the_run_and_end_where_they_should() {
        let text = String::from_utf8(stamped("md", b"| a |\n")).unwrap();
        assert!(text.starts_with("| a |\n\n<!-- made by ddpipe") && text.ends_with(" -->\n"), "{text}");
        assert!(
            text.contains("node n[a=x- - -y], run 20260101-000000-0000, commit c0ffee and changes, key "),
            "{text}"
        );
        assert_eq!(text.matches("--").count(), 2);
        assert!(stamped("tex", b"\\begin").starts_with(b"% made by ddpipe") && stamped("tex", b"x").ends_with(b"\nx"));
        assert_eq!(stamped("csv", b"a,b"), b"a,b");
    }

    #[test]
    fn the_words_are_read_back_from_every_format() {
        let expected = Stamped { run: "20260101-000000-0000".into(), key: record().key };
        for (ending, bytes) in [("md", "| a |"), ("tex", "x"), ("svg", "<svg/>"), ("json", "{\"a\": 1}")] {
            assert_eq!(Stamped::read(&stamped(ending, bytes.as_bytes())), Some(expected.clone()), "{ending}");
        }
        let picture = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 25], b"rest"].concat();
        assert_eq!(Stamped::read(&stamped("png", &picture)), Some(expected));
        assert_eq!(Stamped::read(b"made by ddpipe 0.1.0: pipeline p, run x, key 12"), None);
    }

    #[test]
    fn a_json_object_gets_a_field_and_nothing_else_changes() {
        let text = stamped("json", b"{\"value\": 0.1, \"list\": [1]}");
        assert!(text.ends_with(b",\"value\": 0.1, \"list\": [1]}"));
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&read[NAME]["node"], &read["value"]), (&"n[a=x---y]".into(), &0.1.into()));
        assert!(serde_json::from_slice::<serde_json::Value>(&stamped("json", b"{}")).is_ok());
        assert_eq!(stamped("json", b"[1]"), b"[1]");
        assert_eq!(stamped("json", b"not json"), b"not json");
    }

    #[test]
    fn a_picture_gets_a_text_that_is_read_back() {
        let mut picture = Vec::new();
        let mut writer = png::Encoder::new(&mut picture, 1, 1).write_header().unwrap();
        writer.write_image_data(&[7]).unwrap();
        writer.finish().unwrap();
        let stamped = stamped("png", &picture);
        let mut reader = png::Decoder::new(std::io::Cursor::new(stamped)).read_info().unwrap();
        let mut pixels = [0];
        reader.next_frame(&mut pixels).unwrap();
        let text = reader.info().utf8_text.iter().find(|text| text.keyword == NAME).unwrap().get_text().unwrap();
        assert!(text.contains("run 20260101-000000-0000") && pixels == [7]);
        assert_eq!(super::tests::stamped("png", b"\x89PNG"), b"\x89PNG");
    }
}
