//! The parameters of a stage, checked against the declarations of its kinds: names, types, ranges, defaults. A parameter
//! comes from `params` (there, one for each value of an axis, if so written), from an axis of the stage's own matrix with
//! its name, from a choice that sets it (`protocol = "dm"`), or from its default.

use super::by_axis::{Lacking, by_axis, choose};
use super::info::StageInfo;
use super::matrix::{Axes, unknown_axis};
use super::reference::fill;
use crate::diagnostic::{Diagnostic, Place, Report, did_you_mean};
use crate::manifest::document::{Item, Raw};
use ddpipe_interface::{Declaration, Param, ParamType, Value};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;

/// The parameters of a kind as far as axes do not decide about them.
#[derive(Clone)]
struct Constant {
    values: Arc<IndexMap<String, Value>>,
    varying: Arc<[String]>,
}

/// A kind, and the texts of those values that depend on axes.
type Varied = (String, Vec<Option<String>>);

/// Checks values, remembers the answers, and reports each fault once.
pub struct Params<'a> {
    stage: &'a StageInfo<'a>,
    own: &'a Axes,
    /// The own axes that set a parameter.
    setting: Vec<&'a str>,
    /// By kind, the values that do not depend on axes, and the names of those that do.
    constant: HashMap<String, Constant>,
    /// All values: nodes with the same ones share them.
    shared: HashMap<Varied, Arc<IndexMap<String, Value>>>,
    /// By kind, parameter and text of the value.
    accepted: HashMap<(String, String, String), Option<Value>>,
}

impl<'a> Params<'a> {
    /// For one stage. `setting` are the own axes that are not referred to otherwise.
    pub fn new(stage: &'a StageInfo<'a>, own: &'a Axes, setting: Vec<&'a str>) -> Self {
        Params { stage, own, setting, constant: HashMap::new(), shared: HashMap::new(), accepted: HashMap::new() }
    }

    /// Reports parameters that no kind knows, those given twice, and for each kind those that are missing.
    /// With `open`, not all kinds are known, and an unknown name may belong to one of those.
    pub fn check_names(&self, kinds: &[&Declaration], open: bool, report: &mut Report) {
        for (name, entry) in &self.stage.table.params {
            if !open && !kinds.iter().any(|kind| kind.params.contains_key(name)) {
                let known = kinds.iter().flat_map(|kind| kind.params.keys().map(String::as_str));
                let near = did_you_mean(name, known.clone());
                let message = format!("{}{near}", lacking(kinds, "parameter", name));
                let fault = Diagnostic::at(&entry.key, message);
                let known: Vec<_> = known.collect();
                report.push(match known.is_empty() {
                    true => fault.help("it takes no parameters"),
                    false if near.is_empty() => fault.help(format!("its parameters are {}", known.join(", "))),
                    false => fault,
                });
            }
            if let Some(axis) = self.own.get(name).filter(|_| self.setting.contains(&name.as_str())) {
                let message = format!("parameter {name:?} is given twice: here and by the axis of that name");
                report.push(Diagnostic::at(&entry.key, message).and(&axis.key, "the axis"));
            }
        }
        for kind in kinds {
            let table = self.stage.table;
            let at_fault = |name: &str| self.stage.own.is_none() && table.matrix.contains_key(name);
            let given = |name: &str| table.params.contains_key(name) || self.setting.contains(&name) || at_fault(name);
            for (name, param) in &kind.params {
                if param.default.is_none() && !param.optional && !given(name) {
                    let message = format!("stage {:?} needs parameter {name:?} of {}", self.stage.name, kind.name);
                    let help = format!("{name}: {} ({})", param.help, param.expectation());
                    report.push(Diagnostic::at(&self.stage.table.key, message).help(help));
                }
            }
        }
    }

    /// All parameters of a node of this kind. With `lenient`, references to axes that are missing are passed over.
    pub fn values(
        &mut self,
        kind: &Declaration,
        axes: &IndexMap<String, Value>,
        lenient: bool,
        report: &mut Report,
    ) -> Arc<IndexMap<String, Value>> {
        let Constant { values: constant, varying } = self.constant_of(kind, report);
        if varying.is_empty() {
            return constant;
        }
        let mut found: Vec<(&String, Value)> = Vec::with_capacity(varying.len());
        let mut left: Vec<&String> = Vec::new();
        let stage = self.stage;
        for (name, param) in varying.iter().filter_map(|name| kind.params.get_key_value(name)) {
            let value = match stage.table.params.get(name) {
                Some(entry) if depends(&entry.item) => {
                    let missing = |axis: &str, place: &Place| {
                        let known = axes.keys().map(String::as_str);
                        Diagnostic::at(place, unknown_axis(&format!("stage {:?}", stage.name), axis, known))
                    };
                    let (value, item) = match choose(&entry.item, &|axis| axes.get(axis)) {
                        Ok(item) => (fill(item, &|axis| axes.get(axis)), item),
                        Err(Lacking::Axis(axis, place)) => (Err(Some((axis, place))), &entry.item),
                        Err(Lacking::Value { near, .. })
                            if near.is_empty() && (param.optional || param.default.is_some()) =>
                        {
                            // Left at its default, as if it were not given.
                            left.push(name);
                            continue;
                        }
                        Err(Lacking::Value { why, near }) => {
                            let message = format!("parameter {name:?} of {}: {why}{near}", kind.name);
                            report.push_once(entry.item.fault(message).help("`else = …` stands for all others"));
                            continue;
                        }
                    };
                    match value {
                        Ok(value) => {
                            self.accept(kind, name, param, value, &|| &item.place, item.origin.as_ref(), report)
                        }
                        Err(Some((axis, place))) if !lenient => {
                            report.push_once(missing(&axis, &place));
                            None
                        }
                        Err(None) if !item.is_faulty() => {
                            report.push_once(misplaced(kind, name, param, item));
                            None
                        }
                        Err(_) => None,
                    }
                }
                None if self.setting.contains(&name.as_str()) => {
                    let Some(value) = axes.get(name) else { continue };
                    let own = self.own;
                    let written = || {
                        let axis = own.get(name);
                        let found = axis.and_then(|axis| axis.values.iter().find(|(other, _)| other == value));
                        found.map_or(&stage.table.key, |(_, place)| place)
                    };
                    self.accept(kind, name, param, value.clone(), &written, None, report)
                }
                _ => continue,
            };
            found.extend(value.map(|value| (name, value)));
        }
        let given = |name: &str| stage.table.params.contains_key(name) || self.setting.contains(&name);
        let text = |name: &String| found.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_string());
        let texts = varying.iter().map(text).collect();
        let shared = self.shared.entry((kind.name.clone(), texts));
        let whole = shared.or_insert_with(|| {
            let mut values = (*constant).clone();
            values.extend(found.into_iter().map(|(name, value)| (name.clone(), value)));
            let default = |name: &&String| Some(((*name).clone(), kind.params.get(*name)?.default.clone()?));
            values.extend(left.iter().filter_map(default));
            values.sort_by_cached_key(|name, _| kind.params.get_index_of(name));
            kind.settle(&mut values, |name| given(name) && !left.iter().any(|other| *other == name));
            Arc::new(values)
        });
        whole.clone()
    }

    /// The values of a kind that do not depend on axes, worked out once, and the names of those that do.
    fn constant_of(&mut self, kind: &Declaration, report: &mut Report) -> Constant {
        if let Some(known) = self.constant.get(&kind.name) {
            return known.clone();
        }
        let varies = |name: &&String| match self.stage.table.params.get(*name) {
            Some(entry) => depends(&entry.item),
            None => self.setting.contains(&name.as_str()),
        };
        let varying: Arc<[String]> = kind.params.keys().filter(varies).cloned().collect();
        let mut values = self.constants(kind, report);
        if varying.is_empty() {
            kind.settle(&mut values, |name| self.stage.table.params.contains_key(name));
        }
        let constant = Constant { values: Arc::new(values), varying };
        self.constant.insert(kind.name.clone(), constant.clone());
        constant
    }

    fn constants(&mut self, kind: &Declaration, report: &mut Report) -> IndexMap<String, Value> {
        let mut values = IndexMap::new();
        for (name, param) in &kind.params {
            let value = match self.stage.table.params.get(name) {
                Some(entry) if depends(&entry.item) => None,
                Some(entry) => match entry.item.to_value() {
                    Some(value) => {
                        let item = &entry.item;
                        self.accept(kind, name, param, value, &|| &item.place, item.origin.as_ref(), report)
                    }
                    None if entry.item.is_faulty() => None,
                    None => {
                        report.push(misplaced(kind, name, param, &entry.item));
                        None
                    }
                },
                None => param.default.clone(),
            };
            values.extend(value.map(|value| (name.clone(), value)));
        }
        values
    }

    /// `place` is asked for only where the value is at fault: it may have to be searched for.
    #[allow(clippy::too_many_arguments)]
    fn accept<'p>(
        &mut self,
        kind: &Declaration,
        name: &str,
        param: &Param,
        value: Value,
        place: &dyn Fn() -> &'p Place,
        origin: Option<&Place>,
        report: &mut Report,
    ) -> Option<Value> {
        let key = (kind.name.clone(), name.to_string(), value.to_string());
        if let Some(known) = self.accepted.get(&key) {
            return known.clone();
        }
        let near = near_choice(param, &value);
        let accepted = match param.accept(value) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!("parameter {name:?} of {}: {why}{near}", kind.name);
                let mut fault = Diagnostic::at(place(), message).help(format!("{name}: {}", param.help));
                if let Some(origin) = origin {
                    fault = fault.and(origin, "the value comes from here");
                }
                report.push(fault);
                None
            }
        };
        self.accepted.insert(key, accepted.clone());
        accepted
    }
}

/// A value of a form that no parameter has.
fn misplaced(kind: &Declaration, name: &str, param: &Param, item: &Item) -> Diagnostic {
    let (expected, found) = (param.expectation(), item.describe());
    item.fault(format!("parameter {name:?} of {}: expected {expected}, found {found}", kind.name))
}

/// Whether a value depends on axes.
fn depends(item: &Item) -> bool {
    match &item.raw {
        Raw::Table(_) => by_axis(item).is_some(),
        Raw::Template(_) => true,
        Raw::List(items) => items.iter().any(depends),
        _ => false,
    }
}

/// `kind distill.dm has no parameter "lamda"`, or the same of several kinds.
pub fn lacking(kinds: &[&Declaration], noun: &str, name: &str) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name.as_str()).collect();
    match names.as_slice() {
        [one] => format!("kind {one} has no {noun} {name:?}"),
        _ => format!("none of the kinds {} has {noun} {name:?}", names.join(", ")),
    }
}

/// The nearest allowed text, where the value, or an entry of the list, is not one of those.
fn near_choice(param: &Param, value: &Value) -> String {
    if let (ParamType::String, Value::String(text)) = (param.kind, value) {
        let unknown = param.unknown_word(text).unwrap_or_default();
        return did_you_mean(unknown, param.words.iter().map(String::as_str));
    }
    let unknown = |value: &Value| match value {
        Value::String(text) if !param.choices.contains(text) => Some(text.clone()),
        _ => None,
    };
    let text = match (param.kind, value) {
        (ParamType::Choice, value) => unknown(value),
        (ParamType::Strings, Value::List(values)) => values.iter().find_map(unknown),
        _ => None,
    };
    text.map_or(String::new(), |text| did_you_mean(&text, param.choices.iter().map(String::as_str)))
}
