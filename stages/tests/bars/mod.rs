//! Small inputs for the stages that match synthetic to real images: three classes of noisy bars, and noise to start from.

use crate::host::{byte_set, tensors};
use ddpipe_nn::stream::stream;
use ddpipe_stages::artifact::{Normalisation, SyntheticSet, TensorFile};
use ddpipe_stages::context::Outputs;
use tch::{Device, Kind, Tensor};

pub const CLASSES: i64 = 3;
pub const IPC: i64 = 2;

/// Noisy images \[N,1,16,16\] as bytes with a bright bar per class. Classes are of different sizes, and mixed.
pub fn real() -> TensorFile {
    let counts = [20, 5, 12];
    let labels: Vec<i64> = (0..CLASSES).flat_map(|class| vec![class; counts[class as usize]]).collect();
    let order = Tensor::from_slice(&stream(5, "order", 0).permutation(labels.len() as i64));
    let labels = Tensor::from_slice(&labels).index_select(0, &order);
    let images = stream(5, "real", 0).uniform_tensor(&[labels.numel() as i64, 1, 16, 16], 0.0, 100.0);
    for (image, class) in Vec::<i64>::try_from(&labels).unwrap().into_iter().enumerate() {
        let _ = images.get(image as i64).narrow(1, 4 * class + 1, 3).g_add_scalar_(120.0);
    }
    let images = images.to_kind(Kind::Uint8);
    let origin = "sample data: bars".to_string();
    byte_set(images, labels, CLASSES, normalisation(), origin).to_file()
}

pub fn normalisation() -> Normalisation {
    Normalisation::new(vec![0.2], vec![0.25])
}

/// Noise to start from.
pub fn start() -> TensorFile {
    let images = stream(6, "start", 0).normal_tensor(&[CLASSES * IPC, 1, 16, 16]);
    let labels = Tensor::arange(CLASSES, (Kind::Int64, Device::Cpu)).repeat_interleave_self_int(IPC, None, None);
    let origin = "sample data: noise".to_string();
    SyntheticSet {
        images,
        labels,
        classes: CLASSES,
        ipc: IPC,
        normalisation: normalisation(),
        origin,
        class_names: Vec::new(),
        lr: None,
        targets: false,
        decoder: None,
    }
    .to_file()
}

/// The images that a run made.
pub fn images(outputs: &Outputs) -> Tensor {
    tensors(outputs, "synthetic").get("images").unwrap().shallow_clone()
}
