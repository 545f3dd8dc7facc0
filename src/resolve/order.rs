//! The order in which stages are expanded: after all stages that they read, otherwise as written. Finds cycles, on the
//! level of stages, before anything is expanded.

use crate::diagnostic::{Diagnostic, Place, Report};
use indexmap::{IndexMap, IndexSet};

/// What each stage reads: the stage, and where it says so.
pub type Dependencies = IndexMap<String, IndexMap<String, Place>>;

/// So many cycles are described; each description takes time by its length.
const MAX_CYCLES: usize = 100;

/// The order, and the stages that lie on a cycle. Each cycle is reported once, as a path.
pub fn stages(dependencies: &Dependencies, report: &mut Report) -> (Vec<String>, IndexSet<String>) {
    let mut order = IndexSet::new();
    let mut cyclic = IndexSet::new();
    let mut cycles = 0;
    for start in dependencies.keys() {
        // Each entry is a stage on the way down and how many of its dependencies have been looked at.
        let mut open: IndexMap<&str, usize> = IndexMap::new();
        if !order.contains(start) {
            open.insert(start, 0);
        }
        while let Some((&name, next)) = open.last_mut() {
            let Some((below, place)) = dependencies.get(name).and_then(|reads| reads.get_index(*next)) else {
                order.insert(name.to_string());
                open.pop();
                continue;
            };
            *next += 1;
            if let Some(first) = open.get_index_of(below.as_str()) {
                cycles += 1;
                if cycles > MAX_CYCLES {
                    continue;
                }
                let path: Vec<_> = open.keys().skip(first).copied().chain([below.as_str()]).collect();
                cyclic.extend(path.iter().map(|name| name.to_string()));
                report.push(Diagnostic::at(place, format!("the stages need each other: {}", path.join(" -> "))));
            } else if !order.contains(below.as_str()) && dependencies.contains_key(below.as_str()) {
                open.insert(below, 0);
            }
        }
    }
    (order.into_iter().collect(), cyclic)
}
