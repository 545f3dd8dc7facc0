//! The classes of data whose files have none: names that a user gives, and classes of which there is no image.

use anyhow::{Result, ensure};

/// The parameter `class_names`: one name for each class, or none at all.
pub fn class_names(given: Option<Vec<String>>, classes: i64) -> Result<Vec<String>> {
    let names = given.unwrap_or_default();
    ensure!(
        names.is_empty() || i64::try_from(names.len()) == Ok(classes),
        "`class_names` has {} names for {classes} classes",
        names.len()
    );
    Ok(names)
}

/// What to say about classes of which no image is there; nothing where all have one. `from_1` is what to do where only the
/// first class lacks, as where labels are numbered from 1.
pub fn absent_classes(labels: &[i64], classes: i64, from_1: &str) -> Option<String> {
    let mut seen = vec![false; usize::try_from(classes).unwrap_or(0)];
    for label in labels {
        if let Some(seen) = usize::try_from(*label).ok().and_then(|label| seen.get_mut(label)) {
            *seen = true;
        }
    }
    let absent: Vec<usize> = seen.iter().enumerate().filter(|(_, seen)| !**seen).map(|(class, _)| class).collect();
    let first: Vec<String> = absent.iter().take(5).map(usize::to_string).collect();
    match absent.as_slice() {
        [] => None,
        [0] => Some(format!("class 0 has no image; {from_1}")),
        [one] => Some(format!("class {one} has no image")),
        many if many.len() > first.len() => Some(format!(
            "{} classes have no image: {} and {} more",
            many.len(),
            first.join(", "),
            many.len() - first.len()
        )),
        many => Some(format!("{} classes have no image: {}", many.len(), first.join(", "))),
    }
}
