//! In which parameters things differ: runs, or results. Columns that tell the same apart are one column. Knows no run and no
//! record.

use crate::started::ResolvedNode;
use indexmap::{IndexMap, IndexSet};

/// A parameter and its value for each of several things, in their order; none where a thing has no such parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// `stage.param`.
    pub name: String,
    /// The values as shown.
    pub values: Vec<Option<String>>,
}

/// The parameters of the nodes of a run, as `stage.param`; where the nodes of a stage differ, all their values.
pub fn of_nodes(nodes: &[ResolvedNode]) -> IndexMap<String, String> {
    let mut found: IndexMap<String, IndexSet<String>> = IndexMap::new();
    for node in nodes {
        let stage = node.node.split('[').next().unwrap_or(&node.node);
        for (name, value) in node.params.iter() {
            found.entry(format!("{stage}.{name}")).or_default().insert(shown(&value.to_string()));
        }
        found.entry(format!("{stage}.seed")).or_default().insert(node.seed.to_string());
    }
    let joined = |(name, values): (String, IndexSet<String>)| {
        let values: Vec<String> = values.into_iter().collect();
        (name, values.join(" "))
    };
    found.into_iter().map(joined).collect()
}

/// The settings in which several things differ, in the order in which they are met. Of those that tell the same things
/// apart, the first.
pub fn differing(things: &[IndexMap<String, String>]) -> Vec<Column> {
    let names: IndexSet<&String> = things.iter().flat_map(IndexMap::keys).collect();
    let mut seen: IndexSet<Vec<usize>> = IndexSet::new();
    let mut columns = Vec::new();
    for name in names {
        let values: Vec<Option<String>> = things.iter().map(|thing| thing.get(name).cloned()).collect();
        let groups = groups(&values);
        if groups.iter().any(|group| *group != 0) && seen.insert(groups) {
            columns.push(Column { name: name.clone(), values });
        }
    }
    columns
}

/// For each value, which of the different values it is: things that are told apart in the same way have the same groups.
fn groups(values: &[Option<String>]) -> Vec<usize> {
    let mut known: IndexSet<&Option<String>> = IndexSet::new();
    values.iter().map(|value| known.insert_full(value).0).collect()
}

/// A canonical value for people: a text without its quotes.
pub fn shown(value: &str) -> String {
    match serde_json::from_str::<String>(value) {
        Ok(text) => text,
        Err(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(settings: &[(&str, &str)]) -> IndexMap<String, String> {
        settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn settings_that_tell_the_same_apart_are_one_column() {
        let things = [
            thing(&[("a.ipc", "1"), ("a.lr", "3"), ("b.title", "one"), ("b.same", "x")]),
            thing(&[("a.ipc", "5"), ("a.lr", "3"), ("b.title", "five"), ("b.same", "x")]),
            thing(&[("a.ipc", "5"), ("b.title", "five"), ("b.same", "x")]),
        ];
        let columns: Vec<Column> = differing(&things);
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["a.ipc", "a.lr"]);
        assert_eq!(columns[1].values, [Some("3".to_string()), Some("3".to_string()), None]);
    }
}
