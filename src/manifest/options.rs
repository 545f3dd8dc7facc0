//! What options of a command lay over one stage: its parameters, and the axes that a gathering input folds. Places are
//! those of the option, so that a fault names what the user wrote. Knows no stage kind and no meaning of a parameter.

use super::document::{Entry, Item, Raw, Table, parse_value};
use super::overrides;
use crate::diagnostic::{Diagnostic, Place, Report, SourceText};
use std::sync::Arc;

/// One option that changes a stage.
#[derive(Clone, Debug)]
pub struct StageOption {
    /// How the option is called: `--rows`.
    pub option: String,
    /// The stage.
    pub stage: String,
    /// What it changes there.
    pub what: Changed,
    /// The value as written.
    pub text: String,
    /// How the value is read.
    pub form: Form,
}

/// What an option changes.
#[derive(Clone, Debug)]
pub enum Changed {
    /// A parameter.
    Param(String),
    /// A parameter that is left out, as if the manifest did not give it.
    Without(String),
    /// The axes that an input folds, which gathers.
    Over(String),
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Texts with commas between them: `method,arch`; nothing is an empty list. A TOML list is one too.
    Texts,
    /// A text.
    Text,
    /// A TOML value, or else a text.
    Value,
}

impl StageOption {
    /// Lays it over a document whose stage is there.
    pub(super) fn apply(&self, document: &mut Table, report: &mut Report) {
        let source = SourceText::argument(self.option.as_str(), self.text.as_str());
        let key = Place::new(&source, 0..self.text.len());
        let item = self.form.read(&source);
        match &self.what {
            Changed::Param(name) => {
                let path = ["stages", self.stage.as_str(), "params", name.as_str()];
                overrides::lay(document, nested(&path, &key, item));
            }
            Changed::Without(name) => {
                let params = below(document, &["stages", self.stage.as_str(), "params"]);
                params.and_then(|params| params.shift_remove(name));
            }
            Changed::Over(input) => match gather(document, &self.stage, input) {
                Some(gather) => drop(gather.insert("over".into(), Entry { key, item })),
                None => {
                    let message = format!("input {input:?} of stage {:?} does not gather", self.stage);
                    let help = "axes are folded where an input is { gather = \"stage\" }";
                    report.push(Diagnostic::at(&key, message).help(help));
                }
            },
        }
    }
}

/// A table in tables, whose innermost entry is this item.
fn nested(path: &[&str], key: &Place, item: Item) -> Table {
    match path {
        [] => Table::new(),
        [last] => Table::from([(last.to_string(), Entry { key: key.clone(), item })]),
        [first, rest @ ..] => {
            let inner = Item::new(key.clone(), Raw::Table(nested(rest, key, item)));
            Table::from([(first.to_string(), Entry { key: key.clone(), item: inner })])
        }
    }
}

/// The table of an input that gathers.
fn gather<'a>(document: &'a mut Table, stage: &str, input: &str) -> Option<&'a mut Table> {
    below(document, &["stages", stage, "inputs", input]).filter(|table| table.contains_key("gather"))
}

/// The table at the end of a path.
fn below<'a>(mut table: &'a mut Table, path: &[&str]) -> Option<&'a mut Table> {
    for name in path {
        table = table.get_mut(*name)?.item.as_table_mut()?;
    }
    Some(table)
}

impl Form {
    fn read(self, source: &Arc<SourceText>) -> Item {
        let text = source.text.as_str();
        let whole = Place::new(source, 0..text.len());
        let as_toml = || parse_value(source, 0);
        match self {
            Form::Text => Item::new(whole, Raw::String(text.to_string())),
            Form::Value => as_toml().unwrap_or_else(|| Item::new(whole, Raw::String(text.to_string()))),
            Form::Texts => {
                let list = as_toml().filter(|item| matches!(item.raw, Raw::List(_)));
                list.unwrap_or_else(|| Item::new(whole, Raw::List(texts(source))))
            }
        }
    }
}

/// The texts between commas, each at its place; blanks around them do not count.
fn texts(source: &Arc<SourceText>) -> Vec<Item> {
    let mut at = 0;
    let mut items = Vec::new();
    for piece in source.text.split(',') {
        let text = piece.trim();
        let start = at + (piece.len() - piece.trim_start().len());
        if !text.is_empty() {
            let place = Place::new(source, start..start + text.len());
            items.push(Item::new(place, Raw::String(text.to_string())));
        }
        at += piece.len() + 1;
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: Form, text: &str) -> Item {
        form.read(&SourceText::argument("--rows", text))
    }

    #[test]
    fn texts_stand_between_commas_and_know_their_places() {
        let Raw::List(items) = read(Form::Texts, "method, arch,").raw else { unreachable!() };
        let seen: Vec<_> = items.iter().map(|item| (item.to_value(), item.place.span.clone())).collect();
        assert_eq!(seen[0].1, 0..6);
        assert_eq!((seen[1].1.clone(), seen.len()), (8..12, 2));
        for (text, count) in [("", 0), ("[]", 0), ("[\"a\", \"b,c\"]", 2), ("ä,b", 2)] {
            let Raw::List(items) = read(Form::Texts, text).raw else { unreachable!() };
            assert_eq!(items.len(), count, "{text}");
        }
    }

    #[test]
    fn a_value_is_toml_or_else_a_text() {
        assert!(matches!(read(Form::Value, "3").raw, Raw::Integer(3)));
        assert!(matches!(read(Form::Value, "show").raw, Raw::String(text) if text == "show"));
        assert!(matches!(read(Form::Text, "3").raw, Raw::String(text) if text == "3"));
    }
}
