//! The library that kinds are made of: networks, augmentation, whitening.

mod architectures;
mod geometric;
mod gradients_per_image;
mod transformer;
mod whitening;
