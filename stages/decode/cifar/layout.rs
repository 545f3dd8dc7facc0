//! How CIFAR-10 and CIFAR-100 are laid out: names of the files, label bytes of a record, numbers of classes.

use serde::Deserialize;

/// Channels, height and width of every image.
pub const IMAGE: [i64; 3] = [3, 32, 32];

/// Bytes of an image: all of red, all of green, all of blue, each row by row.
pub const PIXELS: usize = 3 * 32 * 32;

/// Which of the two data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Set {
    /// One label byte before each image.
    Cifar10,
    /// Two: the coarse label, then the fine one.
    Cifar100,
}

/// What a label byte means.
#[derive(Debug)]
pub struct LabelByte {
    /// For messages.
    pub name: &'static str,
    /// It lies in 0 to this, less one.
    pub classes: u8,
}

impl Set {
    /// The set's name.
    pub fn name(self) -> &'static str {
        match self {
            Set::Cifar10 => "CIFAR-10",
            Set::Cifar100 => "CIFAR-100",
        }
    }

    /// Its value of parameter `set`.
    pub fn param(self) -> &'static str {
        match self {
            Set::Cifar10 => "cifar10",
            Set::Cifar100 => "cifar100",
        }
    }

    /// The other one, for hints.
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

    /// Bytes of a record.
    pub fn record(self) -> usize {
        self.labels().len() + PIXELS
    }

    /// The training files in the archive, in order, and the test file behind them.
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

    /// Images of the largest file as published; no file of the archive may hold more.
    pub fn largest(self) -> usize {
        match self {
            Set::Cifar10 => 10_000,
            Set::Cifar100 => 50_000,
        }
    }
}
