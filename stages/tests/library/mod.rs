//! The library that kinds are made of: networks, augmentation, whitening.

mod architectures;
mod geometric;
mod per_sample_gradients;
mod together;
mod transformer;
mod whitening;
