//! Parts of declarations that several kinds share: `stages/params/NAME.toml` declares parameters and metrics once, and a
//! `stage.toml` (or another block) takes them with `use = ["NAME"]`. `[override.PARAM]` states what differs, `after` what
//! stands elsewhere. Everyone but this file sees declarations in full.

use crate::declaration::{DeclarationError, is_name};
use crate::metric::{self, Metric};
use crate::{Param, ParamType};
use indexmap::IndexMap;
use serde::Deserialize;
use std::sync::LazyLock;
use toml::{Spanned, Table, Value};

/// Name and text of every built-in block.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/blocks.rs"));

/// The parameters and metrics of a kind or of a block, in full.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// The parameters, in their order.
    pub params: IndexMap<String, Param>,
    /// The metrics, in their order.
    pub metrics: IndexMap<String, Metric>,
}

/// Parameters and metrics as a file states them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// The blocks taken.
    #[serde(default, rename = "use")]
    pub uses: Vec<Spanned<String>>,
    /// A parameter, and the one that it stands behind.
    #[serde(default)]
    pub after: IndexMap<Spanned<String>, String>,
    /// What differs from the blocks, by parameter: fields of [`Param`], and `without`, a list of fields that are left out.
    #[serde(default, rename = "override")]
    pub overrides: IndexMap<Spanned<String>, Table>,
    /// Its own parameters.
    #[serde(default)]
    pub params: IndexMap<Spanned<String>, Param>,
    /// Its own metrics.
    #[serde(default)]
    pub metrics: IndexMap<Spanned<String>, Metric>,
}

/// Blocks by name.
#[derive(Debug, Default)]
pub struct Blocks(IndexMap<String, Result<Parts, String>>);

impl Blocks {
    /// The blocks that ddpipe brings along.
    pub fn built_in() -> &'static Blocks {
        static BLOCKS: LazyLock<Blocks> = LazyLock::new(|| Blocks::of(BUILT_IN));
        &BLOCKS
    }

    /// Blocks of these names and texts. One that is at fault says so when it is used.
    pub fn of(texts: &[(&str, &str)]) -> Self {
        let mut blocks = Blocks::default();
        for (name, _) in texts {
            blocks.read(name, texts, &mut Vec::new());
        }
        blocks
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The block of this name; an error in words, which says which block is meant.
    pub fn get(&self, name: &str) -> Result<&Parts, String> {
        match self.0.get(name) {
            Some(Ok(parts)) => Ok(parts),
            Some(Err(why)) => Err(format!("block {name:?}: {why}")),
            None => {
                let names: Vec<&str> = self.names().collect();
                Err(format!("there is no block {name:?}; the blocks are {}", names.join(", ")))
            }
        }
    }

    fn read(&mut self, name: &str, texts: &[(&str, &str)], above: &mut Vec<String>) {
        if self.0.contains_key(name) {
            return;
        }
        let Some((_, text)) = texts.iter().find(|(other, _)| *other == name) else { return };
        if above.iter().any(|other| other == name) {
            self.0.insert(name.into(), Err(format!("uses itself: {} -> {name}", above.join(" -> "))));
            return;
        }
        above.push(name.into());
        let read = toml::from_str::<Written>(text).map_err(|error| error.message().to_string()).and_then(|written| {
            for used in &written.uses {
                self.read(used.get_ref(), texts, above);
            }
            written.resolve(self).map_err(|error| error.to_string())
        });
        above.pop();
        self.0.entry(name.into()).or_insert(read);
        self.0.sort_unstable_keys();
    }
}

impl Written {
    /// Puts the blocks in. Own parameters and metrics come first, then those of the blocks, each in the order written;
    /// then `after` moves.
    pub fn resolve(self, blocks: &Blocks) -> Result<Parts, DeclarationError> {
        let mut parts = Parts::default();
        for (name, param) in self.params {
            let param =
                param.checked().map_err(|why| fault(&name, format!("parameter {:?}: {why}", name.get_ref())))?;
            if !is_name(name.get_ref()) {
                let what = format!("parameter {:?}: a name has letters a-z, digits and _", name.get_ref());
                return Err(fault(&name, what));
            }
            parts.params.insert(name.into_inner(), param);
        }
        for (name, metric) in self.metrics {
            check_metric(name.get_ref()).map_err(|why| fault(&name, format!("metric {:?}: {why}", name.get_ref())))?;
            parts.metrics.insert(name.into_inner(), metric);
        }
        let own = parts.params.len();
        for name in &self.uses {
            let block = blocks.get(name.get_ref()).map_err(|why| fault(name, why))?;
            let twice = |what: &str, other: &str| {
                let used = name.get_ref();
                fault(name, format!("{what} {other:?} of block {used:?} is declared here or by another block already"))
            };
            for (other, param) in &block.params {
                if parts.params.insert(other.clone(), param.clone()).is_some() {
                    return Err(twice("parameter", other));
                }
            }
            for (other, metric) in &block.metrics {
                if parts.metrics.insert(other.clone(), metric.clone()).is_some() {
                    return Err(twice("metric", other));
                }
            }
        }
        for (name, changes) in self.overrides {
            let about = |why: String| fault(&name, format!("override of {:?}: {why}", name.get_ref()));
            match parts.params.get_full_mut(name.get_ref()) {
                Some((place, _, param)) if place >= own => *param = overridden(param, changes).map_err(about)?,
                Some(_) => return Err(about("it is a parameter of its own; change it there".into())),
                None if self.uses.is_empty() => return Err(about("no block is used".into())),
                None => {
                    let names: Vec<&str> = parts.params.keys().skip(own).map(String::as_str).collect();
                    return Err(about(format!("no block has this parameter; they have {}", names.join(", "))));
                }
            }
        }
        parts.params = ordered(parts.params, own, self.after)?;
        Ok(parts)
    }
}

/// Parameters of which the first `own` are a file's own, moved as `after` says: a parameter of a block alone, an own one
/// together with the own ones that follow it in the file, up to the next one that `after` names.
fn ordered(
    mut params: IndexMap<String, Param>,
    own: usize,
    after: IndexMap<Spanned<String>, String>,
) -> Result<IndexMap<String, Param>, DeclarationError> {
    let names: Vec<String> = params.keys().cloned().collect();
    let mut order: Vec<&String> = names.iter().collect();
    for (name, before) in &after {
        let about = |why: String| Err(fault(name, format!("after: {why}")));
        let Some(first) = names.iter().position(|other| other == name.get_ref()) else {
            return about(format!("there is no parameter {:?}", name.get_ref()));
        };
        let follows = |(place, other): &(usize, &String)| *place < own && !after.contains_key(other.as_str());
        let rest = names.iter().enumerate().skip(first + 1).take_while(follows).map(|(_, other)| other);
        let run: Vec<&String> = std::iter::once(&names[first]).chain(rest.filter(|_| first < own)).collect();
        let old = order.clone();
        order.retain(|other| !run.contains(other));
        let Some(place) = order.iter().position(|other| *other == before) else {
            return about(format!("there is no parameter {before:?} that {:?} could stand behind", name.get_ref()));
        };
        order.splice(place + 1..place + 1, run);
        if order == old {
            return about(format!("{:?} stands behind {before:?} already; leave it out", name.get_ref()));
        }
    }
    let place: Vec<String> = order.into_iter().cloned().collect();
    params.sort_by_cached_key(|name, _| place.iter().position(|other| other == name));
    Ok(params)
}

/// A parameter with some of its fields changed.
fn overridden(param: &Param, mut changes: Table) -> Result<Param, String> {
    let old = fields(param)?;
    let mut new = old.clone();
    let without = changes.remove("without").map(toml::Value::try_into::<Vec<String>>);
    for field in without.transpose().map_err(in_words)?.unwrap_or_default() {
        if new.remove(&field).is_none() {
            return Err(format!("`without` names {field:?}, which the block does not state"));
        }
    }
    // The two exclude each other, so that one takes the place of the other.
    if changes.contains_key("default") && old.get("optional") == Some(&Value::Boolean(true)) {
        new.remove("optional");
    }
    if changes.get("optional") == Some(&Value::Boolean(true)) {
        new.remove("default");
    }
    new.extend(changes.clone());
    let param = new.try_into::<Param>().map_err(in_words)?.checked()?;
    let new = fields(&param)?;
    match changes.keys().find(|field| old.get(*field) == new.get(*field)) {
        Some(field) => Err(format!("{field:?} is the same in the block; leave it out")),
        None if old == new => Err("it changes nothing; leave it out".into()),
        None => Ok(param),
    }
}

fn fields(param: &Param) -> Result<Table, String> {
    Table::try_from(param).map_err(|error| error.to_string())
}

fn in_words(error: toml::de::Error) -> String {
    error.message().to_string()
}

fn fault(name: &Spanned<String>, what: String) -> DeclarationError {
    DeclarationError::Meaning { what, span: Some(name.span()) }
}

/// The name of a metric: letters, digits, `_` and `.`, one `*`, or one `${param}`.
fn check_metric(name: &str) -> Result<(), String> {
    let letters = |text: &str| text.split('.').all(|part| part.is_empty() || is_name(part));
    let plain = match (metric::parts(name), name.split_once('*')) {
        (Some((before, param, after)), None) => letters(before) && is_name(param) && letters(after),
        (None, Some((before, after))) => letters(before) && letters(after),
        (None, None) => !name.is_empty() && letters(name),
        (Some(_), Some(_)) => false,
    };
    if !plain {
        return Err("a name has letters a-z, digits, _ and points, and at most one * or one ${param}".into());
    }
    if metric::of_every_stage().contains_key(name) {
        return Err("every stage has it; leave it out".into());
    }
    Ok(())
}

/// The parameters that names of metrics depend on have to be texts that are always there.
pub(crate) fn check_references(
    params: &IndexMap<String, Param>,
    metrics: &IndexMap<String, Metric>,
) -> Result<(), String> {
    for name in metrics.keys() {
        let Some((_, param, _)) = metric::parts(name) else { continue };
        let text = params.get(param).filter(|param| !param.optional);
        if !text.is_some_and(|param| matches!(param.kind, ParamType::String | ParamType::Choice)) {
            return Err(format!(
                "metric {name:?}: {param:?} has to be a parameter that holds a text, and not optional"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const RATE: &str = r#"
        [params.lr]
        type    = "float"
        default = 0.1
        unit    = "1"
        help    = "Learning rate."
        source  = "a paper"
        [params.epochs]
        type = "integer"
        default = 20
        help = "Passes."
        [metrics.seconds]
        help = "How long it took."
    "#;
    const SGD: &str = r#"
        use   = ["rate"]
        after = { momentum = "lr" }
        [params.momentum]
        type = "float"
        default = 0.9
        help = "Momentum."
        [params.decay]
        type = "float"
        default = 0
        help = "Weight decay."
    "#;

    fn resolve(text: &str) -> Result<Parts, String> {
        let blocks =
            Blocks::of(&[("sgd", SGD), ("rate", RATE), ("self", "use = [\"self\"]"), ("bad", "use = [\"none\"]")]);
        let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
        written.resolve(&blocks).map_err(|error| error.to_string())
    }

    fn order(text: &str) -> Vec<String> {
        resolve(text).unwrap().params.into_keys().collect()
    }

    const OWN: &str = "[params.a]\ntype = \"boolean\"\nhelp = \"A.\"\n[params.b]\ntype = \"boolean\"\nhelp = \"B.\"\n";

    #[test]
    fn own_parameters_come_first_and_blocks_use_blocks() {
        assert_eq!(order(&format!("use = [\"rate\"]\n{OWN}")), ["a", "b", "lr", "epochs"]);
        assert_eq!(order("use = [\"sgd\"]"), ["lr", "momentum", "decay", "epochs"]);
        assert_eq!(resolve("use = [\"sgd\"]").unwrap().metrics.len(), 1);
    }

    #[test]
    fn after_moves_own_parameters_with_those_that_follow_and_others_alone() {
        let moved = |after: &str| order(&format!("use = [\"rate\"]\nafter = {{ {after} }}\n{OWN}"));
        assert_eq!(moved("a = \"lr\""), ["lr", "a", "b", "epochs"]);
        assert_eq!(moved("b = \"lr\""), ["a", "lr", "b", "epochs"]);
        assert_eq!(moved("b = \"lr\", a = \"epochs\""), ["lr", "b", "epochs", "a"]);
        assert_eq!(moved("lr = \"a\""), ["a", "lr", "b", "epochs"]);
        let refused = |after: &str| resolve(&format!("use = [\"rate\"]\nafter = {{ {after} }}\n{OWN}")).unwrap_err();
        assert!(refused("c = \"lr\"").contains("no parameter \"c\""));
        assert!(refused("a = \"c\"").contains("no parameter \"c\""));
        assert!(refused("a = \"b\"").contains("no parameter \"b\""));
        assert!(refused("lr = \"b\"").contains("already"));
    }

    #[test]
    fn an_override_changes_what_it_states_and_nothing_else() {
        let lr = |change: &str| {
            let parts = resolve(&format!("use = [\"rate\"]\n[override.lr]\n{change}"));
            parts.map(|mut parts| parts.params.shift_remove("lr").unwrap())
        };
        let block = lr("help = \"Another.\"").unwrap();
        assert_eq!((block.help.as_str(), block.default), ("Another.", Some(crate::Value::Float(0.1))));
        let without = lr("without = [\"source\", \"unit\"]\nmin = 0").unwrap();
        assert_eq!((without.source, without.unit, without.min), (None, None, Some(0.0)));
        assert_eq!(lr("optional = true").unwrap().default, None);
        assert_eq!(lr("default = 1").unwrap().default, Some(crate::Value::Float(1.0)));
        for (change, fault) in [
            ("default = 0.1", "\"default\" is the same in the block"),
            ("above_min = false", "\"above_min\" is the same in the block"),
            ("", "changes nothing"),
            ("without = [\"max\"]", "which the block does not state"),
            ("hlep = \"x\"", "unknown field `hlep`"),
            ("default = \"x\"", "its default"),
            ("min = 1", "its default"),
        ] {
            let error = lr(change).unwrap_err();
            assert!(error.contains("override of \"lr\"") && error.contains(fault), "{change}: {error}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (text, fault) in [
            ("use = [\"none\"]", "there is no block \"none\"; the blocks are bad, rate, self, sgd"),
            ("use = [\"bad\"]", "block \"bad\": there is no block \"none\""),
            ("use = [\"self\"]", "uses itself: self -> self"),
            ("use = [\"rate\", \"sgd\"]", "parameter \"lr\" of block \"sgd\" is declared here or by another block"),
            ("use = [\"rate\"]\n[metrics.seconds]\nhelp = \"x\"", "metric \"seconds\" of block \"rate\""),
            ("use = [\"rate\"]\n[override.momentum]\ndefault = 1", "no block has this parameter; they have lr, epochs"),
            ("[override.lr]\ndefault = 1", "no block is used"),
            ("[metrics.peak_memory_bytes]\nhelp = \"x\"", "every stage has it"),
            ("[metrics.\"a*b*\"]\nhelp = \"x\"", "at most one *"),
        ] {
            let error = resolve(text).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
        let own = format!("use = [\"rate\"]\n{OWN}[override.a]\nhelp = \"x\"");
        assert!(resolve(&own).unwrap_err().contains("a parameter of its own"));
    }

    #[test]
    fn the_built_in_blocks_are_sound() {
        let blocks = Blocks::built_in();
        assert!(blocks.names().count() > 20);
        blocks.names().for_each(|name| assert!(blocks.get(name).is_ok(), "{:?}", blocks.get(name)));
    }
}
