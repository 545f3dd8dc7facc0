//! One network of a search space: its index, its name, and the part of a search that it belongs to.

use anyhow::{Result, ensure};
use ddpipe_nn::network::{Activation, Architecture, Norm, Pooling};
use serde::Serialize;

/// One network of a search space.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The index of the network in the whole search space, from 0.
    pub index: u64,
    /// The architecture of the network.
    pub architecture: Architecture,
}

/// The candidates of this part: those whose index in `candidates` modulo `parts` equals `part`. An error if `part` is
/// not below `parts`, or if there are more parts than candidates.
pub fn part_of(candidates: Vec<Candidate>, part: usize, parts: usize) -> Result<Vec<Candidate>> {
    ensure!(part < parts, "part = {part}, but parts are counted from 0 to parts - 1 = {}", parts.saturating_sub(1));
    let count = candidates.len();
    ensure!(parts <= count, "parts = {parts}, but there are {count} candidates; take fewer parts");
    Ok(candidates.into_iter().skip(part).step_by(parts).collect())
}

/// The name of a network: `w32 d3 instance relu average` for a ConvNet (width, depth, normalisation, activation,
/// pooling), `16-64 k5 instance relu average` for a CNN (channels of the blocks, kernel size, and the same settings).
pub fn name(architecture: &Architecture) -> String {
    let settings = |norm: &Norm, activation: &Activation, pooling: &Pooling| {
        [word(norm), word(activation), word(pooling)].join(" ")
    };
    match architecture {
        Architecture::ConvNet { width, depth, activation, norm, pooling } => {
            format!("w{width} d{depth} {}", settings(norm, activation, pooling))
        }
        Architecture::Cnn { channels, kernel, activation, norm, pooling } => {
            let channels: Vec<String> = channels.iter().map(i64::to_string).collect();
            format!("{} k{kernel} {}", channels.join("-"), settings(norm, activation, pooling))
        }
        other => word(other),
    }
}

/// A setting as it is written in a manifest.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::search::candidates::space::{Form, Lists, Space};

    #[test]
    fn parts_are_disjoint_and_leave_nothing_out() {
        let space = Space::new(Form::Grid, Lists::default()).unwrap();
        let all = space.candidates(Some(10), 0).unwrap();
        let parts: Vec<_> = (0..3).map(|part| part_of(all.clone(), part, 3).unwrap()).collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 3]);
        let mut together = parts.concat();
        together.sort_by_key(|candidate| candidate.index);
        assert_eq!(together, all);
        assert!(part_of(all.clone(), 3, 3).unwrap_err().to_string().contains("from 0 to parts - 1 = 2"));
        assert!(part_of(all, 0, 11).unwrap_err().to_string().contains("there are 10 candidates"));
    }
}
