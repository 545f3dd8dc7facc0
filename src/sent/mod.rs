//! What pilots get that share no folder with this machine. The manifest's files, the folders of the project's own kinds and the
//! source files go into the remote (`send.rs`) as a [`Spec`] (`spec.rs`), which is named by its digest and by nothing else; a
//! pilot lays them out in a folder of its node (`unpack.rs`), and is a run like any other then. What the processes of the run
//! write into its folder for each other is carried to and fro (`mirror.rs`). Knows no queue and no plan.

mod carried;
mod local;
mod mirror;
mod send;
mod spec;
mod unpack;

pub use local::folder;
pub use mirror::Mirror;
pub use send::{Parcel, SentTo};
pub use spec::{Spec, Trust};
pub use unpack::{Unpacked, fetch};
