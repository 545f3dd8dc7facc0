//! From files to data sets: archives and folders of images, their resizing, the moments of their pixels and what they are
//! normalised with; and pictures of what came out. Knows neither methods nor networks.

pub mod images;
pub mod moments;
pub mod normalising;
pub mod origin;
pub mod picture;
pub mod problems;
pub mod resize;
