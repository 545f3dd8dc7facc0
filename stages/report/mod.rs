//! Kinds that show results: pictures, curves and tables.

pub mod curve;
pub mod grid;
pub mod sheet;
pub mod table;
