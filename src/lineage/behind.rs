//! The nodes behind a result, by stage, and what their parameters are together. Knows not how they were found.

use super::{Settings, Values, kind_of, params, stage_of};
use crate::catalog::Catalog;
use crate::history::shown;
use crate::selector::Selector;
use ddpipe_cache::{Record, SourceSeen};
use indexmap::{IndexMap, IndexSet};

/// The nodes of each stage, the nearest stage first.
#[derive(Debug, Default)]
pub(super) struct Behind<'a> {
    stages: IndexMap<&'a str, Vec<Node<'a>>>,
}

#[derive(Debug)]
struct Node<'a> {
    kind: &'a str,
    set: IndexMap<String, String>,
    axes: IndexMap<String, String>,
}

impl<'a> Behind<'a> {
    /// Adds the node of a record.
    pub fn add(&mut self, record: &'a Record) {
        let set = params(record).map(|(name, value)| (name.to_string(), shown(value))).collect();
        let axes = record.node.parse::<Selector>().map(|selector| selector.axes).unwrap_or_default();
        self.stages.entry(stage_of(&record.node)).or_default().push(Node { kind: kind_of(record), set, axes });
    }

    /// What was set in all of them. The axes and the kind of the first, which is the result itself, are told elsewhere.
    pub fn settings(self, sources: IndexMap<String, SourceSeen>, catalog: &Catalog) -> Settings {
        let mut settings = Settings { sources, ..Settings::default() };
        for (place, (stage, nodes)) in self.stages.into_iter().enumerate() {
            let read = place > 0;
            let kinds = Values::of(nodes.iter().map(|node| node.kind.to_string()));
            let names = |node: &'_ Node<'_>| -> Vec<String> {
                let axes = node.axes.keys().filter(|_| read);
                axes.chain(node.set.keys()).cloned().collect()
            };
            let names: IndexSet<String> = nodes.iter().flat_map(names).collect();
            for name in names {
                let value = |node: &Node<'_>| {
                    let told = node.set.get(&name).or_else(|| node.axes.get(&name)).cloned();
                    told.or_else(|| default_of(node.kind, &name, catalog))
                };
                settings.params.insert(format!("{stage}.{name}"), Values::of(nodes.iter().filter_map(value)));
            }
            if read {
                settings.params.entry(format!("{stage}.kind")).or_insert_with(|| kinds.clone());
            }
            settings.stages.insert(stage.to_string(), kinds);
        }
        settings
    }
}

/// The value of a parameter that a node of this kind does not set: `default` where it has none or the kind is not known,
/// and nothing where the kind has no such parameter.
pub fn default_of(kind: &str, param: &str, catalog: &Catalog) -> Option<String> {
    let Some(declared) = catalog.declaration(kind) else { return Some("default".to_string()) };
    let default = declared.params.get(param)?.default.as_ref();
    Some(default.map_or("default".to_string(), |value| shown(&value.to_string())))
}
