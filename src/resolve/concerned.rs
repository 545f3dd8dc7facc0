//! Which kinds a check of nodes has to look at: most kinds have no parameter that it is about, and most nodes share their
//! parameters with others, so that a pipeline of very many nodes is checked in the time of a few. Knows no fault.

use crate::catalog::Catalog;
use crate::pipeline::Node;
use ddpipe_interface::{Declaration, Param, Value};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A kind with some of its parameters.
type With<'a> = (&'a Declaration, Vec<(&'a String, &'a Param)>);

/// The kinds that have parameters of some sort, with these parameters.
pub struct Concerned<'a>(HashMap<&'a str, With<'a>>);

impl<'a> Concerned<'a> {
    /// The kinds of the catalog that have parameters which `is_one` says yes to.
    pub fn of(catalog: &'a Catalog, is_one: impl Fn(&Param) -> bool) -> Self {
        let with = catalog.iter().filter_map(|(name, kind)| {
            let params: Vec<_> = kind.declaration.params.iter().filter(|(_, param)| is_one(param)).collect();
            (!params.is_empty()).then_some((name, (kind.declaration.as_ref(), params)))
        });
        Concerned(with.collect())
    }

    /// The kind of a node and those parameters of it; none where it has none.
    pub fn kind(&self, node: &Node) -> Option<(&'a Declaration, &[(&'a String, &'a Param)])> {
        self.0.get(node.kind.as_str()).map(|(kind, params)| (*kind, params.as_slice()))
    }
}

/// Parameters that were looked at and are without fault.
#[derive(Default)]
pub struct Sound(HashSet<*const IndexMap<String, Value>>);

impl Sound {
    /// Whether this node shares its parameters with one that is without fault.
    pub fn has(&self, node: &Node) -> bool {
        self.0.contains(&Arc::as_ptr(&node.params))
    }

    /// Notes that nothing is wrong with the parameters of this node.
    pub fn add(&mut self, node: &Node) {
        self.0.insert(Arc::as_ptr(&node.params));
    }
}
