//! Stages that show results to people: pictures and tables.

pub mod grid;
pub mod sheet;
pub mod table;
