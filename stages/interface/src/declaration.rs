//! The declaration of a stage kind, read from its `stage.toml`. It is the only place that names a kind's inputs,
//! outputs and parameters: validation, defaults, help, the JSON Schema and the reference page are derived from it.

use crate::ArtifactType;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// One stage kind, as its `stage.toml` declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// Full name, `group.kind`, the same as the folder `group/kind`.
    pub name: String,
    /// One line.
    pub help: String,
    /// Raised when the same inputs and parameters would give other bytes; enters the key.
    pub version: u32,
    /// Whether the stage draws random numbers: only then does the seed enter the key.
    #[serde(default)]
    pub seeded: bool,
    /// Whether results computed on different devices are kept apart (enters the key).
    #[serde(default)]
    pub device_in_key: bool,
    /// Where the method was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<String>,
    /// The program of a kind that a project brings along; absent for the built-in kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// What the stage needs while it runs.
    #[serde(default)]
    pub resources: Resources,
    /// Named inputs.
    #[serde(default)]
    pub inputs: IndexMap<String, Input>,
    /// Named outputs; the first one is what a reference without an output name means.
    pub outputs: IndexMap<String, Output>,
    /// Named parameters.
    #[serde(default)]
    pub params: IndexMap<String, Param>,
}

/// What a stage needs while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// True for a stage that never touches a GPU (reading files, drawing tables): it runs on the CPU slot.
    #[serde(default)]
    pub cpu_only: bool,
}

/// One input of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The artifact types that may be connected.
    #[serde(rename = "type")]
    pub types: Vec<ArtifactType>,
    /// One line.
    pub help: String,
    /// May be left out.
    #[serde(default)]
    pub optional: bool,
    /// Takes a list of artifacts (`gather`), not one.
    #[serde(default)]
    pub many: bool,
    /// What is connected here does not run for this stage's sake unless the stage asks for it. Needs `many`.
    #[serde(default)]
    pub on_demand: bool,
}

/// One output of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The type of the artifact.
    #[serde(rename = "type")]
    pub artifact: ArtifactType,
    /// One line.
    pub help: String,
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

/// A parameter's value, in the types that TOML and JSON share. Untagged; a float is written with its point, so that
/// the canonical form of `1` and `1.0` differ and a parameter of type float always holds `Float`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    String(String),
    /// A list.
    List(Vec<Value>),
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
}

/// A declaration that cannot be used. The text starts in lower case and can follow "could not read …: ".
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// Not valid TOML, or not the form of a declaration.
    #[error("{0}")]
    Form(#[from] toml::de::Error),
    /// Well-formed, but contradicts itself.
    #[error("{0}")]
    Meaning(String),
}

impl Declaration {
    /// Reads and checks the text of a `stage.toml`.
    pub fn parse(text: &str) -> Result<Self, DeclarationError> {
        let mut declaration: Declaration = toml::from_str(text)?;
        for (name, param) in &mut declaration.params {
            let fault = |what: &str| DeclarationError::Meaning(format!("parameter {name:?}: {what}"));
            if param.kind == ParamType::Choice && param.choices.is_empty() {
                return Err(fault("a choice needs `choices`"));
            }
            if !is_name(name) {
                return Err(fault("a name has letters a-z, digits and _"));
            }
            if !param.choices.is_empty() && !matches!(param.kind, ParamType::Choice | ParamType::Strings) {
                return Err(fault("only a choice or a list of strings has `choices`"));
            }
            let numeric =
                matches!(param.kind, ParamType::Integer | ParamType::Float | ParamType::Integers | ParamType::Floats);
            if !numeric && (param.min.is_some() || param.max.is_some()) {
                return Err(fault("only numbers have `min` and `max`"));
            }
            if param.above_min && param.min.is_none() {
                return Err(fault("`above_min` needs `min`"));
            }
            if param.min.zip(param.max).is_some_and(|(min, max)| min > max) {
                return Err(fault("`min` is above `max`"));
            }
            if param.optional && param.default.is_some() {
                return Err(fault("has a default and is optional; one of the two"));
            }
            if let Some(default) = param.default.take() {
                let default = param.accept(default).map_err(|why| fault(&format!("its default: {why}")))?;
                param.default = Some(default);
            }
        }
        let parts: Vec<_> = declaration.name.split('.').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
            let fault = format!("name {:?}: expected group.kind in letters a-z, digits and _", declaration.name);
            return Err(DeclarationError::Meaning(fault));
        }
        let names = declaration.inputs.keys().chain(declaration.outputs.keys());
        if let Some(name) = names.into_iter().find(|name| !is_name(name)) {
            return Err(DeclarationError::Meaning(format!("{name:?}: a name has letters a-z, digits and _")));
        }
        if declaration.outputs.is_empty() {
            return Err(DeclarationError::Meaning("needs at least one output".into()));
        }
        if let Some((name, _)) = declaration.outputs.iter().find(|(_, output)| output.artifact == ArtifactType::Folder)
        {
            return Err(DeclarationError::Meaning(format!("output {name:?}: a stage makes files, not folders")));
        }
        if let Some((name, _)) = declaration.inputs.iter().find(|(_, input)| input.types.is_empty()) {
            return Err(DeclarationError::Meaning(format!("input {name:?}: needs at least one type")));
        }
        if let Some((name, _)) = declaration.inputs.iter().find(|(_, input)| input.on_demand && !input.many) {
            return Err(DeclarationError::Meaning(format!("input {name:?}: `on_demand` needs `many`")));
        }
        if declaration.command.is_some() && declaration.inputs.values().any(|input| input.on_demand) {
            return Err(DeclarationError::Meaning("a kind with a `command` cannot ask for inputs `on_demand`".into()));
        }
        Ok(declaration)
    }

    /// The output that a reference without an output name means: the first.
    pub fn main_output(&self) -> Option<(&str, &Output)> {
        self.outputs.first().map(|(name, output)| (name.as_str(), output))
    }
}

impl Param {
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

impl Value {
    /// The value's type and text, for messages: `the string "abc"`.
    pub fn describe(&self) -> String {
        match self {
            Value::Boolean(value) => value.to_string(),
            Value::Integer(number) => format!("the integer {number}"),
            Value::Float(number) => format!("the number {number:?}"),
            Value::String(text) => format!("the string {text:?}"),
            Value::List(values) => format!("a list of {}", values.len()),
        }
    }
}

/// The canonical text of a value, as keys and plans use it: JSON, floats in the shortest form that reads back.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number:?}"),
            Value::String(text) => write!(f, "{text:?}"),
            Value::List(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{value}")?;
                }
                f.write_str("]")
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    !name.is_empty() && name.chars().all(letter)
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "name = \"distill.dm\"\nhelp = \"h\"\nversion = 1\n";

    fn parse(rest: &str) -> Result<Declaration, String> {
        Declaration::parse(&format!("{HEAD}{rest}")).map_err(|error| error.to_string())
    }

    fn param(text: &str) -> Param {
        let outputs = "[outputs]\nz = { type = \"model\", help = \"h\" }\na = { type = \"metrics\", help = \"h\" }\n";
        let declaration = parse(&format!("{outputs}[params]\nx = {{ help = \"h\", {text} }}"));
        declaration.unwrap().params.swap_remove("x").unwrap()
    }

    #[test]
    fn the_first_output_written_is_the_main_one() {
        let text = "[outputs]\nz = { type = \"model\", help = \"h\" }\na = { type = \"metrics\", help = \"h\" }\n";
        assert_eq!(parse(text).unwrap().main_output().unwrap().0, "z");
    }

    #[test]
    fn a_whole_number_is_taken_as_a_float_and_nothing_else_is_converted() {
        let float = param("type = \"float\", default = 1, min = 0, above_min = true");
        assert_eq!(float.default, Some(Value::Float(1.0)));
        assert_eq!(float.accept(Value::Integer(3)), Ok(Value::Float(3.0)));
        assert!(float.accept(Value::String("3".into())).is_err());
        assert!(float.accept(Value::Integer(0)).unwrap_err().contains("above 0"));
        assert!(float.accept(Value::Float(f64::INFINITY)).is_err());
        let integer = param("type = \"integer\", max = 5, optional = true");
        assert!(integer.accept(Value::Float(3.0)).is_err());
        assert!(integer.accept(Value::Integer(6)).unwrap_err().contains("at most 5"));
    }

    #[test]
    fn the_entries_of_a_list_are_checked() {
        let strings = param("type = \"strings\", choices = [\"a\", \"b\"], default = [\"a\"]");
        let list = |texts: &[&str]| Value::List(texts.iter().map(|text| Value::String(text.to_string())).collect());
        assert_eq!(strings.accept(list(&["b", "a"])), Ok(list(&["b", "a"])));
        assert!(strings.accept(list(&["c"])).is_err());
        let floats = param("type = \"floats\", min = 0, default = [1, 0.5]");
        assert_eq!(floats.default, Some(Value::List(vec![Value::Float(1.0), Value::Float(0.5)])));
    }

    #[test]
    fn contradictions_are_refused() {
        let outputs = "[outputs]\nz = { type = \"model\", help = \"h\" }\n";
        for (text, fault) in [
            ("x = { type = \"choice\", help = \"h\" }", "needs `choices`"),
            ("x = { type = \"integer\", help = \"h\", choices = [\"a\"] }", "only a choice"),
            ("x = { type = \"string\", help = \"h\", min = 1 }", "only numbers"),
            ("x = { type = \"integer\", help = \"h\", above_min = true }", "needs `min`"),
            ("x = { type = \"integer\", help = \"h\", min = 2, max = 1 }", "above `max`"),
            ("x = { type = \"integer\", help = \"h\", min = 2, default = 1 }", "its default"),
            ("x = { type = \"integer\", help = \"h\", optional = true, default = 1 }", "one of the two"),
            ("X = { type = \"integer\", help = \"h\" }", "letters a-z"),
        ] {
            let error = parse(&format!("{outputs}[params]\n{text}")).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
        let single = format!("{outputs}[inputs]\nx = {{ type = [\"model\"], help = \"h\", on_demand = true }}");
        assert!(parse(&single).unwrap_err().contains("needs `many`"));
        let own = format!("command = [\"x\"]\n{}", single.replace("on_demand", "many = true, on_demand"));
        assert!(parse(&own).unwrap_err().contains("with a `command`"));
        assert!(parse("outputs = {}").unwrap_err().contains("at least one output"));
        assert!(Declaration::parse(&format!("{}{outputs}", HEAD.replace("distill.dm", "a.b.c"))).is_err());
    }
}
