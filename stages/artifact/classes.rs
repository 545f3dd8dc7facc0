//! Whether two sets have the same classes: by name, where both have names.

use anyhow::{Result, bail};

/// An error where two sets call a class differently: `whose` is `the images of "test"`, `of` what they go with.
pub fn same_classes(whose: &str, names: &[String], of: &str, others: &[String]) -> Result<()> {
    if names.is_empty() || others.is_empty() {
        return Ok(());
    }
    let unlike = (0..).zip(names.iter().zip(others)).find(|(_, (name, other))| name != other);
    let Some((class, (name, other))) = unlike else { return Ok(()) };
    bail!(
        "class {class} is {name:?} in {whose} and {other:?} in {of}; read both with the same classes (one stage for both parts of a \
         data set numbers them alike, and so do equal `class_names`)"
    );
}
