//! Parameters whose choices set others: `protocol = "dm"` gives the parameters of a training the values that one source has.
//! What a manifest gives itself stays. A kind declares this by `[params.NAME.sets.CHOICE]`; the engine puts the values in,
//! and a stage never sees the parameter that chose them.

use crate::{Declaration, Param, ParamType, Value};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The value that a choice gives another parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Where it comes from: a file and an option of the authors' code, or a table of the paper.
    pub source: String,
}

impl Declaration {
    /// Puts in what the chosen values set of parameters that are not `given`, where these may be given at all. The order of
    /// the parameters is that of the declaration afterwards.
    pub fn settle(&self, values: &mut IndexMap<String, Value>, given: impl Fn(&str) -> bool) {
        let mut placed: Vec<&str> = Vec::new();
        let replaced = |name: &str| self.params.get(name).and_then(|param| param.instead_of.as_deref());
        let free = |name: &str| !given(name) && !replaced(name).is_some_and(&given);
        for (selector, param) in &self.params {
            let Some(Value::String(choice)) = values.get(selector) else { continue };
            for (name, setting) in param.sets.get(choice).into_iter().flatten().filter(|(name, _)| free(name)) {
                values.insert(name.clone(), setting.value.clone());
                placed.push(name);
            }
        }
        if placed.is_empty() {
            return;
        }
        for name in placed {
            let Some(param) = self.params.get(name).filter(|param| !param.fits(values)) else { continue };
            match &param.default {
                Some(default) => values.insert(name.to_string(), default.clone()),
                None => values.shift_remove(name),
            };
        }
        values.sort_by_cached_key(|name, _| self.params.get_index_of(name));
    }

    /// The parameter and its choice that a value comes from, as far as can be told by the value: `protocol` and `dm`.
    pub fn set_by<'a>(&'a self, values: &'a IndexMap<String, Value>, name: &str) -> Option<(&'a str, &'a str)> {
        let own = values.get(name)?;
        self.params.iter().find_map(|(selector, param)| {
            let Some(Value::String(choice)) = values.get(selector) else { return None };
            (param.sets.get(choice)?.get(name)?.value == *own).then_some((selector.as_str(), choice.as_str()))
        })
    }

    /// The parameters that a stage is told: all but those that do nothing but set others.
    pub fn told(&self, values: &IndexMap<String, Value>) -> IndexMap<String, Value> {
        let told = values.iter().filter(|(name, _)| !self.is_selector(name));
        told.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Whether a parameter does nothing but set others: neither a stage nor a key has it.
    pub fn is_selector(&self, name: &str) -> bool {
        self.params.get(name).is_some_and(|param| !param.sets.is_empty())
    }
}

impl Param {
    /// Whether the others have the texts that it may be given with.
    fn fits(&self, values: &IndexMap<String, Value>) -> bool {
        self.only_with.keys().all(|other| match values.get(other) {
            Some(Value::String(text)) => self.goes_with(other, text),
            _ => true,
        })
    }
}

/// Says which settings contradict the parameters that they are of, and brings their values to the declared types.
pub(crate) fn check(params: &mut IndexMap<String, Param>) -> Result<(), String> {
    let others = params.clone();
    for (name, param) in &others {
        if let Some(other) = param.instead_of.as_ref().filter(|other| !others.contains_key(*other)) {
            return Err(format!("parameter {name:?}: `instead_of` names {other:?}, which is no parameter"));
        }
    }
    for (selector, param) in params.iter_mut().filter(|(_, param)| !param.sets.is_empty()) {
        let about = |what: String| format!("parameter {selector:?}: {what}");
        if param.kind != ParamType::Choice || !param.optional {
            return Err(about("only a choice that is optional `sets` others".into()));
        }
        for (choice, settings) in &mut param.sets {
            if !param.choices.contains(choice) {
                return Err(about(format!("`sets` names {choice:?}, which is none of its choices")));
            }
            let values: IndexMap<String, Value> =
                settings.iter().map(|(name, setting)| (name.clone(), setting.value.clone())).collect();
            for (name, setting) in settings {
                let about = |what: String| format!("parameter {selector:?}: {choice:?} sets {name:?}: {what}");
                let other = others.get(name).ok_or_else(|| about("there is no such parameter".into()))?;
                if !other.sets.is_empty() {
                    return Err(about("it sets others itself".into()));
                }
                if other.default.is_none() && !other.optional {
                    return Err(about("a manifest has to give it".into()));
                }
                if !other.fits(&values) {
                    return Err(about("it may not be given with what is set of others".into()));
                }
                setting.value = other.accept(setting.value.clone()).map_err(about)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KIND: &str = r#"
        name = "own.kind"
        help = "h"
        version = 1
        [outputs]
        z = { type = "metrics", help = "h" }
        [params.rule]
        type = "choice"
        choices = ["sgd", "adam"]
        default = "sgd"
        help = "h"
        [params.momentum]
        type = "float"
        default = 0.5
        only_with = { rule = ["sgd"] }
        help = "h"
        [params.epochs]
        type = "integer"
        default = 10
        min = 1
        help = "h"
        [params.width]
        type = "integer"
        optional = true
        instead_of = "rule"
        help = "h"
        [params.protocol]
        type = "choice"
        choices = ["one", "two", "none"]
        optional = true
        help = "h"
    "#;
    const SETS: &str = r#"
        [params.protocol.sets.one]
        momentum = { value = 1, source = "s" }
        epochs = { value = 20, source = "s" }
        width = { value = 7, source = "s" }
        [params.protocol.sets.two]
        rule = { value = "adam", source = "s" }
    "#;

    fn settled(given: &[(&str, Value)]) -> IndexMap<String, Value> {
        let kind = Declaration::parse(&format!("{KIND}{SETS}")).unwrap();
        let default = |(name, param): (&String, &Param)| Some((name.clone(), param.default.clone()?));
        let mut values: IndexMap<String, Value> = kind.params.iter().filter_map(default).collect();
        values.extend(given.iter().map(|(name, value)| (name.to_string(), value.clone())));
        kind.settle(&mut values, |name| given.iter().any(|(own, _)| *own == name));
        values
    }

    #[test]
    fn a_choice_sets_what_is_not_given_and_may_be() {
        let text = |text: &str| Value::String(text.into());
        let one = settled(&[("protocol", text("one"))]);
        assert_eq!(one["momentum"], Value::Float(1.0));
        assert_eq!((&one["epochs"], &one["width"]), (&Value::Integer(20), &Value::Integer(7)));
        assert_eq!(one.keys().collect::<Vec<_>>(), ["rule", "momentum", "epochs", "width", "protocol"]);
        let given = settled(&[("protocol", text("one")), ("epochs", Value::Integer(10)), ("rule", text("adam"))]);
        assert_eq!((&given["epochs"], &given["momentum"]), (&Value::Integer(10), &Value::Float(0.5)));
        assert!(!given.contains_key("width"), "it stands in the place of what is given");
        assert_eq!(settled(&[("protocol", text("two"))])["rule"], text("adam"));
        assert_eq!(settled(&[("protocol", text("none"))])["epochs"], Value::Integer(10));
        assert_eq!(settled(&[])["epochs"], Value::Integer(10));
    }

    #[test]
    fn settings_are_checked_where_they_are_declared() {
        for (sets, fault) in [
            ("[params.protocol.sets.three]", "names \"three\", which is none of its choices"),
            ("[params.protocol.sets.one]\nepoch = { value = 1, source = \"s\" }", "sets \"epoch\": there is no such"),
            (
                "[params.protocol.sets.one]\nepochs = { value = 0, source = \"s\" }",
                "sets \"epochs\": 0 is out of range",
            ),
            (
                "[params.protocol.sets.one]\nmomentum = { value = 0, source = \"s\" }\nrule = { value = \"adam\", source = \"s\" }",
                "may not be given with",
            ),
            ("[params.protocol.sets.one]\nprotocol = { value = \"two\", source = \"s\" }", "it sets others itself"),
            ("[params.rule.sets.sgd]\nepochs = { value = 1, source = \"s\" }", "only a choice that is optional"),
            ("[params.protocol.sets.one]\nepochs = { value = 1 }", "missing field `source`"),
        ] {
            let error = Declaration::parse(&format!("{KIND}{sets}")).unwrap_err().to_string();
            assert!(error.contains(fault), "{sets}: {error}");
        }
    }
}
