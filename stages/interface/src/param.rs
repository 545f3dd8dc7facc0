//! One parameter: its type, range and help, and which values it accepts.

use crate::Value;
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
    /// Whether the work of a stage grows with this number as the number does: twice as many epochs take twice as long.
    /// What a stage will take is worked out from earlier ones with it. Only for an `integer`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub work: bool,
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
        if self.work && self.kind != ParamType::Integer {
            return fault("only an integer has `work`");
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
            (ParamType::String, value @ Value::String(_)) => Ok(value),
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
            ParamType::String => "a string",
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

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
