//! Pictures that two sides made and that have other bytes, by the files in the cache.

use super::{Difference, Side};
use ddpipe_cache::{Cache, Output};
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;

/// The pictures of both sides.
pub(super) fn compare(cache: &Cache, a: &Side, b: &Side) -> Vec<Difference> {
    let (of_a, of_b) = (pictures(a), pictures(b));
    let path = |output: &&Output| match cache.blobs().contains(output.digest) {
        Ok(Some(_)) => shown(&cache.blobs().path(output.digest)),
        _ => "not in the cache any more".to_string(),
    };
    let mut found = Vec::new();
    for (name, new) in &of_b {
        let Some(old) = of_a.get(name) else { continue };
        if old.digest != new.digest {
            found.push(Difference { what: name.clone(), a: Some(path(old)), b: Some(path(new)) });
        }
    }
    found
}

/// `node.output`, with the output.
fn pictures(side: &Side) -> IndexMap<String, &Output> {
    let of_node = side.outcomes.iter().filter_map(|(node, outcome)| Some((node, outcome.record.as_ref()?)));
    let outputs = of_node.flat_map(|(node, record)| record.outputs.iter().map(move |output| (node, output)));
    let image = outputs.filter(|(_, (_, output))| output.artifact_type == ArtifactType::Image.name());
    image.map(|(node, (name, output))| (format!("{node}.{name}"), output)).collect()
}

/// Shorter where it is below the current folder.
fn shown(path: &std::path::Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
