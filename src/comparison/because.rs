//! Why a node's action differs from another one, in words: a parameter with its values before and after, defaults included; of
//! an input what is connected there. Knows no record and no plan.

use crate::history::shown;
use crate::reason::{Reason, differences};
use crate::started::ResolvedNode;
use ddpipe_interface::Declaration;

/// Descriptions of a node's action on two sides.
#[derive(Clone, Copy, Debug)]
pub struct Because<'a> {
    /// The first action.
    pub old: &'a [(String, String)],
    /// The second one.
    pub new: &'a [(String, String)],
    /// The node as it was resolved for the first one, where that is known.
    pub old_node: Option<&'a ResolvedNode>,
    /// The node as it was resolved for the second one.
    pub new_node: Option<&'a ResolvedNode>,
    /// Its kind as it is now.
    pub kind: Option<&'a Declaration>,
}

/// A value of a parameter, for people, that is the default.
pub fn at_default(value: &str) -> String {
    format!("{} (default)", shown(value))
}

impl Because<'_> {
    /// The differences in words.
    pub fn words(&self) -> Vec<String> {
        differences(self.old, self.new, self.kind).into_iter().map(|reason| self.word(reason)).collect()
    }

    fn word(&self, reason: Reason) -> String {
        match reason {
            Reason::ParamChanged { name, old, new } => {
                // Descriptions leave out parameters at their default, which is a matter of the kind's version: the nodes know
                // what it was.
                let entry = format!("param {name}");
                let side = |entries: &[(String, String)], node: Option<&ResolvedNode>, said: String| {
                    let described = entries.iter().any(|(name, _)| *name == entry);
                    let value = node.and_then(|node| node.params.get(&name)).filter(|_| !described);
                    value.map_or(said, |value| at_default(&value.to_string()))
                };
                let (old, new) = (side(self.old, self.old_node, old), side(self.new, self.new_node, new));
                Reason::ParamChanged { name, old, new }.to_string()
            }
            Reason::InputChanged { name, cause } => {
                let connected = self.new_node.or(self.old_node).and_then(|node| node.inputs.get(&name));
                let reason = Reason::InputChanged { name, cause };
                match connected.map(Vec::as_slice) {
                    Some([from]) => format!("{reason} ({from})"),
                    Some([from, rest @ ..]) => format!("{reason} ({from} and {} more)", rest.len()),
                    _ => reason.to_string(),
                }
            }
            other => other.to_string(),
        }
    }
}
