//! What several stage kinds share.

pub mod augment;
pub mod forgetting;
pub mod images;
pub mod matching;
pub mod metrics;
pub mod moments;
pub mod network;
pub mod normalising;
pub mod picture;
pub mod problems;
pub mod resize;
pub mod stream;
pub mod table;
pub mod train;
pub mod trajectory;
