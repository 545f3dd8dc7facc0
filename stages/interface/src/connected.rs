//! What parameters of a declaration name beside themselves: inputs whose metrics or labels they hold (`names`), inputs that a choice
//! needs (`needs_input`), and parameters that they go with (`only_with`).

use crate::{Declaration, ParamType};

/// Says which parameter names an input or a parameter that is not there, or not of its sort.
pub(crate) fn check(declaration: &Declaration) -> Result<(), String> {
    for (name, names) in declaration.params.iter().filter_map(|(name, param)| Some((name, param.names.as_ref()?))) {
        if !declaration.inputs.get(names.input()).is_some_and(|input| input.many) {
            let input = names.input();
            return Err(format!("parameter {name:?}: `names` has to state an input that takes many, not {input:?}"));
        }
    }
    for (name, param) in &declaration.params {
        let text = |other: &&String| {
            let other = declaration.params.get(*other).map(|other| other.kind);
            !matches!(other, Some(ParamType::String | ParamType::Choice))
        };
        if let Some(input) = param.needs_input.values().find(|input| !declaration.inputs.contains_key(*input)) {
            return Err(format!("parameter {name:?}: `needs_input` names {input:?}, which is no input"));
        }
        if let Some(other) = param.only_with.keys().find(text) {
            return Err(format!("parameter {name:?}: `only_with` names {other:?}, which is no parameter with a text"));
        }
    }
    Ok(())
}
