//! What engine and worker say to each other, in both directions: as a stream of frames, and as one whole frame.

use ddpipe_interface::protocol::{FromWorker, ToWorker, encode, read_message};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a worker hears.
pub fn to_worker(data: &[u8]) {
    heard::<ToWorker>(data);
}

/// What the engine hears.
pub fn from_worker(data: &[u8]) {
    heard::<FromWorker>(data);
}

fn heard<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let mut stream = data;
    while let Ok(Some(message)) = read_message::<T>(&mut stream) {
        said_again(&message);
    }
    let mut frame = (data.len() as u32).to_le_bytes().to_vec();
    frame.extend_from_slice(data);
    if let Ok(Some(message)) = read_message::<T>(&mut frame.as_slice()) {
        said_again(&message);
    }
}

/// What was understood can be said, and is then understood as the same. A number that JSON does not have is none.
fn said_again<T: Serialize + DeserializeOwned>(message: &T) {
    let said = encode(message).unwrap();
    if let Ok(Some(again)) = read_message::<T>(&mut said.as_slice()) {
        assert!(encode(&again).unwrap() == said, "{}", String::from_utf8_lossy(&said));
    }
}
