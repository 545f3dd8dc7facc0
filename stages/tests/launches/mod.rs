//! Budgets of operations, reads and uploads: exact counts, on a CPU, of what a GPU would be told to do. `cargo bench --bench
//! launches` prints them at the published sizes.

mod budgets;
pub mod counting;
pub mod methods;
