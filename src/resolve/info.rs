//! A stage as written, with its inputs and its own axes read: what resolving every stage begins with.

use super::matrix::{self, Axes};
use super::reference::Input;
use crate::diagnostic::Report;
use crate::manifest::StageTable;
use indexmap::IndexMap;

/// A stage as written, with its inputs and axes read.
pub struct StageInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// The stage's table as written.
    pub table: &'a StageTable,
    /// Its own axes; none when they are at fault.
    pub own: Option<Axes>,
    /// Its inputs, in the order written; none for those at fault.
    pub inputs: IndexMap<String, Option<Input>>,
}

impl<'a> StageInfo<'a> {
    /// Reads the inputs and axes of a stage.
    pub fn read(name: &'a str, table: &'a StageTable, report: &mut Report) -> Self {
        let inputs = table.inputs.iter().map(|(name, entry)| (name.clone(), Input::read(&entry.item, report)));
        let inputs = inputs.collect();
        StageInfo { name, table, own: matrix::axes(table, report), inputs }
    }
}
