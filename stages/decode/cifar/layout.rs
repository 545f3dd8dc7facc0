//! The layout of CIFAR-10 and CIFAR-100: names of the files, label bytes of a record, numbers of classes.

use serde::Deserialize;

/// Channels, height and width of every image.
pub const IMAGE: [i64; 3] = [3, 32, 32];

/// The number of bytes of an image: the red, the green and the blue plane, each row by row.
pub const PIXELS: usize = 3 * 32 * 32;

/// One of the two data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Set {
    /// CIFAR-10: one label byte before each image.
    Cifar10,
    /// CIFAR-100: two label bytes before each image, the coarse label and the fine one.
    Cifar100,
}

/// The meaning of a label byte.
#[derive(Debug)]
pub struct LabelByte {
    /// The name of the label, for messages.
    pub name: &'static str,
    /// The number of classes K; the label is in 0 to K-1.
    pub classes: u8,
}

impl Set {
    /// The name of the data set.
    pub fn name(self) -> &'static str {
        match self {
            Set::Cifar10 => "CIFAR-10",
            Set::Cifar100 => "CIFAR-100",
        }
    }

    /// The value of parameter `set` for this data set.
    pub fn param(self) -> &'static str {
        match self {
            Set::Cifar10 => "cifar10",
            Set::Cifar100 => "cifar100",
        }
    }

    /// The other data set, for hints in errors.
    pub fn other(self) -> Set {
        match self {
            Set::Cifar10 => Set::Cifar100,
            Set::Cifar100 => Set::Cifar10,
        }
    }

    /// The label bytes before the pixels of a record.
    pub fn labels(self) -> &'static [LabelByte] {
        match self {
            Set::Cifar10 => &[LabelByte { name: "label", classes: 10 }],
            Set::Cifar100 => {
                &[LabelByte { name: "coarse label", classes: 20 }, LabelByte { name: "fine label", classes: 100 }]
            }
        }
    }

    /// The number of bytes of a record: label bytes and pixels.
    pub fn record(self) -> usize {
        self.labels().len() + PIXELS
    }

    /// The paths in the archive: the training files in order, then the test file.
    pub fn files(self) -> &'static [&'static str] {
        match self {
            Set::Cifar10 => &[
                "cifar-10-batches-bin/data_batch_1.bin",
                "cifar-10-batches-bin/data_batch_2.bin",
                "cifar-10-batches-bin/data_batch_3.bin",
                "cifar-10-batches-bin/data_batch_4.bin",
                "cifar-10-batches-bin/data_batch_5.bin",
                "cifar-10-batches-bin/test_batch.bin",
            ],
            Set::Cifar100 => &["cifar-100-binary/train.bin", "cifar-100-binary/test.bin"],
        }
    }

    /// The number of images of the largest file as published; no file of the archive may hold more.
    pub fn largest(self) -> usize {
        match self {
            Set::Cifar10 => 10_000,
            Set::Cifar100 => 50_000,
        }
    }
}
