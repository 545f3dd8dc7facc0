//! Kinds that learn a data set in other ways than all at once.

pub mod continual;
