//! Kinds that split data into training and test images: as published, or by holding images out.

pub mod held_out;
pub mod mhist;
