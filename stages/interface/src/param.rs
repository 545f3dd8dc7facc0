//! One parameter: its type, range and help, and which values it accepts.

use crate::{Setting, Value};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What the text of a parameter (or each of its texts) is the name of. The engine checks it before anything runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// A metric of at least one of the stages that are connected to this input.
    MetricOf(String),
    /// A metric of every stage that is connected to this input.
    MetricOfEach(String),
    /// A label of at least one of the stages that are connected to this input: `stage`, or one of their axes.
    LabelOf(String),
}

impl Names {
    /// The input.
    pub fn input(&self) -> &str {
        match self {
            Names::MetricOf(input) | Names::MetricOfEach(input) | Names::LabelOf(input) => input,
        }
    }
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`.
    Boolean,
    /// A text.
    String,
    /// One of `choices`.
    Choice,
    /// A list of whole numbers.
    Integers,
    /// A list of numbers.
    Floats,
    /// A list of texts.
    Strings,
}

/// One parameter of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// The value when a manifest gives none. Without a default and not optional, a manifest has to give one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Without a default, may be left out all the same; the stage then sees nothing.
    #[serde(default)]
    pub optional: bool,
    /// The allowed texts of a `choice` (or of each entry of `strings`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Smallest allowed number, inclusive (of each entry, for lists).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest allowed number, inclusive (of each entry, for lists).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Numbers must lie strictly above `min`.
    #[serde(default)]
    pub above_min: bool,
    /// Unit, for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// One line.
    pub help: String,
    /// Where the default comes from: a table or section of the paper, or the authors' code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What its text is the name of, for a `string` or `strings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Names>,
    /// Where it may be given: only where each of these parameters has one of these texts, in which `*` stands for any
    /// text. `{ arch = ["convnet*", "vit"] }` for a setting that no other network has.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub only_with: IndexMap<String, Vec<String>>,
    /// That `only_with` holds for its default too, because the stage refuses that where it would ignore others: then only
    /// `false` counts as not given. For a `boolean`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// The words that its text is made of, for a `string`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// What stands between two of the `words`; without it, the text is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_by: Option<String>,
    /// How large images have to be for some of its texts, for a `choice` of networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_image: Option<SmallestImage>,
    /// Whether the work of a stage grows with this number as the number does: twice as many epochs take twice as long.
    /// What a stage will take is worked out from earlier ones with it. Only for an `integer`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub work: bool,
    /// What each of its choices gives other parameters that a manifest does not give: the values of a named protocol, with
    /// their sources. For a `choice` that is optional.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub sets: IndexMap<String, IndexMap<String, Setting>>,
    /// The parameter in whose place it stands: where that one is given, no choice `sets` this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// The input that has to be connected where it has one of these texts: `{ teacher = "teacher" }` for labels that a
    /// teacher gives. For a `choice`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub needs_input: IndexMap<String, String>,
    /// How it makes a stage take less memory: `lower`, of an `integer`, or the text of a `choice`. Said when memory runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub less_memory: Option<String>,
}

/// How large the images have to be that a network gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallestImage {
    /// Height and width in pixels that fewer would not do for, whatever the images, by the network's name, in which one `*`
    /// stands for any text.
    pub pixels: IndexMap<String, u32>,
    /// The same of images with several channels, where it is more.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub colour: IndexMap<String, u32>,
    /// Parameters that change this: where one of them is given, nothing is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless: Vec<String>,
}

impl SmallestImage {
    /// The pixels that the network of this name needs of images with so many channels, where that is known.
    pub fn of(&self, name: &str, channels: Option<u32>) -> Option<u32> {
        let several = channels.is_some_and(|channels| channels > 1);
        let colour = self.colour.iter().filter(|_| several);
        colour.chain(&self.pixels).find(|(pattern, _)| fits(pattern, name)).map(|(_, pixels)| *pixels)
    }
}

impl Param {
    /// Says what contradicts itself, and brings the default to the declared type.
    pub(crate) fn checked(mut self) -> Result<Self, String> {
        let fault = |what: &str| Err(what.to_string());
        if self.kind == ParamType::Choice && self.choices.is_empty() {
            return fault("a choice needs `choices`");
        }
        if !self.choices.is_empty() && !matches!(self.kind, ParamType::Choice | ParamType::Strings) {
            return fault("only a choice or a list of strings has `choices`");
        }
        let numeric =
            matches!(self.kind, ParamType::Integer | ParamType::Float | ParamType::Integers | ParamType::Floats);
        if !numeric && (self.min.is_some() || self.max.is_some()) {
            return fault("only numbers have `min` and `max`");
        }
        if self.above_min && self.min.is_none() {
            return fault("`above_min` needs `min`");
        }
        if self.min.zip(self.max).is_some_and(|(min, max)| min > max) {
            return fault("`min` is above `max`");
        }
        if self.optional && self.default.is_some() {
            return fault("has a default and is optional; one of the two");
        }
        if self.names.is_some() && !matches!(self.kind, ParamType::String | ParamType::Strings) {
            return fault("only a string or a list of strings has `names`");
        }
        if self.smallest_image.is_some() && self.kind != ParamType::Choice {
            return fault("only a choice has `smallest_image`");
        }
        if !self.words.is_empty() && self.kind != ParamType::String {
            return fault("only a string has `words`");
        }
        if self.words.iter().any(|word| !crate::declaration::is_name(word)) {
            return fault("`words` have letters a-z, digits and _");
        }
        if self.joined_by.as_ref().is_some_and(|between| between.is_empty() || self.words.is_empty()) {
            return fault("`joined_by` is what stands between two `words`");
        }
        if self.strict && (self.kind != ParamType::Boolean || self.only_with.is_empty()) {
            return fault("only a boolean with `only_with` is `strict`");
        }
        if self.work && self.kind != ParamType::Integer {
            return fault("only an integer has `work`");
        }
        if let Some(text) = self.needs_input.keys().find(|text| !self.choices.contains(text)) {
            return fault(&format!("`needs_input` has {text:?}, which is none of its choices"));
        }
        let less = self.less_memory.as_ref();
        if less.is_some_and(|less| *less != "lower" && !self.choices.contains(less)) {
            return fault("`less_memory` is `lower` or one of its choices");
        }
        if let Some(default) = self.default.take() {
            self.default = Some(self.accept(default).map_err(|why| format!("its default: {why}"))?);
        }
        Ok(self)
    }

    /// Brings a value to the declared type, or says what is wrong with it (lower case, without the parameter's name).
    /// A whole number is taken where a float is declared; nothing else is converted.
    pub fn accept(&self, value: Value) -> Result<Value, String> {
        let wrong = |value: &Value| format!("expected {}, found {}", self.expectation(), value.describe());
        match (self.kind, value) {
            (ParamType::Boolean, value @ Value::Boolean(_)) => Ok(value),
            (ParamType::Integer, Value::Integer(number)) => {
                self.in_range(number as f64).map(|()| Value::Integer(number))
            }
            (ParamType::Float, Value::Integer(number)) => {
                self.in_range(number as f64).map(|()| Value::Float(number as f64))
            }
            (ParamType::Float, Value::Float(number)) => self.in_range(number).map(|()| Value::Float(number)),
            (ParamType::String, Value::String(text)) => self.of_words(&text).map(|()| Value::String(text)),
            (ParamType::Choice, Value::String(text)) => self.one_of(&text).map(|()| Value::String(text)),
            (ParamType::Integers | ParamType::Floats | ParamType::Strings, Value::List(values)) => {
                let entry = Param { kind: self.entry_type(), ..self.clone() };
                let accepted: Result<Vec<_>, String> = values.into_iter().map(|value| entry.accept(value)).collect();
                accepted.map(Value::List)
            }
            (_, value) => Err(wrong(&value)),
        }
    }

    /// What a value has to be, in words: `an integer of at least 1`.
    pub fn expectation(&self) -> String {
        let what = match self.kind {
            ParamType::Integer => "an integer",
            ParamType::Float => "a number",
            ParamType::Boolean => "true or false",
            ParamType::String => match (self.words.as_slice(), &self.joined_by) {
                ([], _) => "a string",
                (words, Some(between)) => return format!("some of {}, joined by {between:?}", quoted(words)),
                (words, None) => return format!("one of {}", quoted(words)),
            },
            ParamType::Choice => return format!("one of {}", quoted(&self.choices)),
            ParamType::Integers => "a list of integers",
            ParamType::Floats => "a list of numbers",
            ParamType::Strings => "a list of strings",
        };
        match self.range() {
            Some(range) => format!("{what} {range}"),
            None => what.to_string(),
        }
    }

    /// The allowed range, in words, where there is one: `from 1 to 10`.
    pub fn range(&self) -> Option<String> {
        match (self.min, self.max) {
            (Some(min), Some(max)) if self.above_min => Some(format!("above {min} and at most {max}")),
            (Some(min), Some(max)) => Some(format!("from {min} to {max}")),
            (Some(min), None) if self.above_min => Some(format!("above {min}")),
            (Some(min), None) => Some(format!("of at least {min}")),
            (None, Some(max)) => Some(format!("of at most {max}")),
            (None, None) => None,
        }
    }

    /// The first part of a text that is none of `words`, where there are any.
    pub fn unknown_word<'t>(&self, text: &'t str) -> Option<&'t str> {
        let known = |part: &&str| self.words.iter().any(|word| word == part);
        if self.words.is_empty() {
            return None;
        }
        match &self.joined_by {
            Some(between) => text.split(between.as_str()).find(|part| !known(part)),
            None => Some(text).filter(|text| !known(text)),
        }
    }

    fn of_words(&self, text: &str) -> Result<(), String> {
        match self.unknown_word(text) {
            Some("") => Err(format!("{text:?} lacks a word; expected {}", self.expectation())),
            Some(part) => Err(format!("{part:?} is not known; expected {}", self.expectation())),
            None => Ok(()),
        }
    }

    /// Whether it may be given where parameter `other` has this text.
    pub fn goes_with(&self, other: &str, text: &str) -> bool {
        self.only_with.get(other).is_none_or(|allowed| allowed.iter().any(|pattern| fits(pattern, text)))
    }

    fn entry_type(&self) -> ParamType {
        match self.kind {
            ParamType::Integers => ParamType::Integer,
            ParamType::Floats => ParamType::Float,
            ParamType::Strings if self.choices.is_empty() => ParamType::String,
            ParamType::Strings => ParamType::Choice,
            other => other,
        }
    }

    fn in_range(&self, number: f64) -> Result<(), String> {
        let low = self.min.is_some_and(|min| number < min || (self.above_min && number <= min));
        let high = self.max.is_some_and(|max| number > max);
        if low || high || !number.is_finite() {
            return Err(format!("{number} is out of range; expected {}", self.expectation()));
        }
        Ok(())
    }

    fn one_of(&self, text: &str) -> Result<(), String> {
        if self.choices.iter().any(|choice| choice == text) {
            return Ok(());
        }
        Err(format!("{text:?} is not known; expected one of {}", quoted(&self.choices)))
    }
}

/// Whether a text fits a pattern with at most one `*`, which stands for any text, also for none.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
