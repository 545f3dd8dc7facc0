//! A report as a reader who trusts nothing sees it: which elements and attributes it has, where its links lead, and its text.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

/// Elements and attributes that reports have. Whatever else appears came out of a text.
const ELEMENTS: &str = "a article body br button caption code dd del details div dl dt em figcaption figure footer h1 h2 h3 head \
    header html img ins li link main meta nav ol p path pre rect script section span strong style summary svg table tbody td text \
    tfoot th thead title tr ul circle";
const ATTRIBUTES: &str = "alt aria-hidden aria-label aria-labelledby charset class content cx cy d data-label data-order download fill \
    fill-opacity height href http-equiv id lang name points r role rx scope src stroke stroke-dasharray stroke-width tabindex \
    text-anchor title transform viewBox width x y";

/// An HTML page.
pub struct Page {
    /// The whole file.
    pub html: String,
}

impl Page {
    /// A page that holds what every page must: no element or attribute that is not ours, one script, nothing that asks for
    /// anything, and links that lead somewhere.
    #[track_caller]
    pub fn of(html: String) -> Self {
        let page = Page { html };
        page.check();
        page
    }

    #[track_caller]
    fn check(&self) {
        let (elements, attributes): (BTreeSet<&str>, BTreeSet<&str>) =
            (ELEMENTS.split_whitespace().collect(), ATTRIBUTES.split_whitespace().collect());
        let (mut scripts, mut ids, mut links) = (0, BTreeSet::new(), Vec::new());
        for tag in self.tags() {
            assert!(elements.contains(tag.name.as_str()), "<{}> is not one of a report", tag.name);
            scripts += usize::from(tag.name == "script");
            for (name, value) in &tag.attributes {
                assert!(attributes.contains(name.as_str()), "<{} {name}=…> is not one of a report", tag.name);
                match name.as_str() {
                    "id" => assert!(ids.insert(value.clone()), "two elements are {value}"),
                    "href" if value.starts_with("data:text/csv;base64,") => {}
                    "href" => links.push(value.clone()),
                    "src" => assert!(value.starts_with("data:image/"), "{value}"),
                    _ => {}
                }
            }
        }
        assert_eq!(scripts, 1);
        let policy = "default-src 'none'; img-src data:; style-src 'sha256-";
        assert!(self.html.contains(&policy.replace('\'', "&#39;")), "no policy: {}", &self.html[..600]);
        for link in links {
            assert!(link.strip_prefix('#').is_some_and(|id| ids.contains(id)), "{link} leads nowhere");
        }
        let hidden =
            |letter: &char| letter.is_control() && !"\n\t".contains(*letter) || "\u{202e}\u{200b}".contains(*letter);
        assert_eq!(self.html.chars().find(hidden), None);
    }

    /// The begins of all elements, outside of style and script.
    fn tags(&self) -> Vec<Tag> {
        let mut tags = Vec::new();
        let mut rest = self.html.as_str();
        while let Some(at) = rest.find('<') {
            rest = &rest[at + 1..];
            if rest.starts_with(['/', '!']) {
                continue;
            }
            let (tag, behind) = Tag::read(rest);
            rest = behind;
            if tag.name == "style" || tag.name == "script" {
                let end = format!("</{}>", tag.name);
                rest = &rest[rest.find(&end).unwrap()..];
            }
            tags.push(tag);
        }
        tags
    }

    /// What can be read, without markup; blanks and breaks are one blank.
    pub fn text(&self) -> String {
        let body = &self.html[self.html.find("<body>").unwrap()..self.html.rfind("<script>").unwrap()];
        let mut text = String::new();
        for piece in body.split('<') {
            text.push_str(piece.split_once('>').map_or("", |(_, text)| text));
            text.push(' ');
        }
        let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#34;", "\"");
        plain
            .replace("&#39;", "'")
            .replace("&amp;", "&")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// It says this.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        let text = self.text();
        assert!(text.contains(words), "no {words:?} in\n{text}");
        self
    }

    /// It does not say this.
    #[track_caller]
    pub fn is_silent_about(&self, words: &str) -> &Self {
        let text = self.text();
        assert!(!text.contains(words), "{words:?} in\n{text}");
        self
    }

    /// The text of the element with this name in links, up to the end of its block.
    pub fn at(&self, id: &str) -> String {
        let begin = self.html.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}"));
        let end = self.html[begin..].find("</details>").map_or(self.html.len(), |end| begin + end);
        Page { html: format!("<body><p {}<script>", &self.html[begin..end]) }.text()
    }
}

/// The begin of an element.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// Reads what stands behind `<`, and gives the rest.
    fn read(text: &str) -> (Tag, &str) {
        let end = text.find(|letter: char| letter.is_whitespace() || "/>".contains(letter)).unwrap();
        let mut tag = Tag { name: text[..end].to_string(), attributes: Vec::new() };
        let mut rest = &text[end..];
        loop {
            rest = rest.trim_start();
            if let Some(behind) = rest.strip_prefix("/>").or_else(|| rest.strip_prefix('>')) {
                return (tag, behind);
            }
            let end = rest.find(|letter: char| letter.is_whitespace() || "=/>".contains(letter)).unwrap();
            let name = rest[..end].to_string();
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(quoted) = rest.strip_prefix("=\"") {
                let (inside, behind) = quoted.split_once('"').unwrap();
                (value, rest) = (inside.to_string(), behind);
            }
            assert!(!name.is_empty(), "<{} {}", tag.name, &rest[..rest.len().min(80)]);
            tag.attributes.push((name, value));
        }
    }
}
