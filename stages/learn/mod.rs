//! Kinds in which networks do not learn all classes of a data set at once.

pub mod continual;
