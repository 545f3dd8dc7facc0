//! What can be wrong with a description of a network or with weights offered to it.

/// Why a network cannot be built or weights do not fit. The text starts in lower case.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// No architecture of that name.
    #[error("the architecture {0:?} is not known; known are {known}", known = super::architecture::known())]
    UnknownArchitecture(String),
    /// A setting that the architecture does not have.
    #[error("{arch} takes no `{setting}`; leave it out")]
    NotASetting {
        /// The architecture's name.
        arch: String,
        /// The setting.
        setting: &'static str,
    },
    /// The depth in the name and the depth beside it differ.
    #[error("{arch:?} says depth {named}, and `depth` says {given}; write `convnet` or leave `depth` out")]
    TwoDepths {
        /// The name as given.
        arch: String,
        /// The depth in it.
        named: i64,
        /// The other one.
        given: i64,
    },
    /// A size that no network can have.
    #[error("{what} of {value} is out of range; expected at least 1")]
    OutOfRange {
        /// The name of the size.
        what: &'static str,
        /// Its value.
        value: i64,
    },
    /// A convolution that cannot keep the size of the images.
    #[error("a kernel of {0}x{0} has no middle; take an odd size such as 3 or 5")]
    EvenKernel(i64),
    /// The image has no pixel left before the last layer.
    #[error(
        "images of {}x{} are too small at layer {layer}, where {}x{} is left of them; take fewer layers or larger images",
        image[0], image[1], left[0], left[1]
    )]
    ImageTooSmall {
        /// The layer that would make an empty image.
        layer: String,
        /// Rows and columns of the images.
        image: [i64; 2],
        /// Rows and columns that reach that layer.
        left: [i64; 2],
    },
    /// An instance norm of maps of one pixel, which makes every one of them zero.
    #[error(
        "the maps that layer {layer} normalises have one pixel, so an instance norm makes all of them zero and nothing is \
         learnt; take another `norm` (batch, group), fewer layers or larger images"
    )]
    ConstantNorm {
        /// The layer.
        layer: String,
    },
    /// Channels that cannot be shared among the groups of a group norm.
    #[error("a width of {width} is not divisible into the {groups} groups of the group norm")]
    Groups {
        /// Channels.
        width: i64,
        /// Groups.
        groups: i64,
    },
    /// A transformer's width that its heads cannot share.
    #[error("a width of {width} is not a multiple of {head}, the channels of an attention head")]
    Heads {
        /// Channels.
        width: i64,
        /// Channels of one head.
        head: i64,
    },
    /// Images that patches do not cover.
    #[error("images of {}x{} cannot be cut into patches of {patch}x{patch}; take sizes that {patch} divides", image[0], image[1])]
    Patches {
        /// Rows and columns.
        image: [i64; 2],
        /// Rows and columns of a patch.
        patch: i64,
    },
    /// Weights without one of the network's tensors.
    #[error("the model has no tensor {0:?}; was it trained with another architecture?")]
    MissingTensor(String),
    /// Weights with a tensor that the network does not have.
    #[error("the model has a tensor {0:?} that this architecture lacks; was it trained with another one?")]
    SurplusTensor(String),
    /// A tensor of the wrong shape.
    #[error("tensor {name:?} has shape {got:?}, this architecture needs {expected:?}")]
    Shape {
        /// The name of the tensor.
        name: String,
        /// Its shape.
        got: Vec<i64>,
        /// What it should be.
        expected: Vec<i64>,
    },
    /// libtorch refused.
    #[error(transparent)]
    Torch(#[from] tch::TchError),
}
