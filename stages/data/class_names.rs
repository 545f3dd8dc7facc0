//! Names of classes that a user gives to data whose files have none.

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
