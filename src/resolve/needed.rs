//! Inputs that a choice needs (`needs_input`): labels of a teacher without a teacher are a fault before anything runs.

use super::StageInfo;
use super::concerned::Concerned;
use super::names::place;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report};
use crate::pipeline::Node;
use ddpipe_interface::Value;

/// Reports choices whose input is not connected.
pub fn check(infos: &[StageInfo<'_>], nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    let concerned = Concerned::of(catalog, |param| !param.needs_input.is_empty());
    for node in nodes {
        let Some((kind, params)) = concerned.kind(node) else { continue };
        for (name, param) in params.iter().copied() {
            let Some(Value::String(choice)) = node.params.get(name) else { continue };
            let Some(input) = param.needs_input.get(choice).filter(|input| !node.inputs.contains_key(*input)) else {
                continue;
            };
            // A choice by default stands nowhere.
            let Some(place) = place(infos, node, name, choice) else { continue };
            let message = format!(
                "parameter {name:?} of {}: {choice:?} needs input {input:?}, which is not connected",
                kind.name
            );
            let help = format!("connect it: inputs.{input} = \"STAGE\"");
            report.push_once(Diagnostic::at(&place, message).help(help));
        }
    }
}
