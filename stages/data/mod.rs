//! From files to data sets: archives and folders of images, resizing, moments of pixels and normalisation; and pictures
//! of image tensors. Methods and networks are elsewhere.

mod class_names;
pub mod gzip;
pub mod images;
mod lettering;
pub mod mat;
pub mod normalisation;
pub mod numpy;
pub mod origin;
pub mod picture;
pub mod problems;
pub mod resize;
pub mod share;
pub mod table;
pub mod unpacking;

pub use class_names::{absent_classes, class_names};
