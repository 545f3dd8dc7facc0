//! Kinds that show results: pictures and tables.

pub mod grid;
pub mod sheet;
pub mod table;
