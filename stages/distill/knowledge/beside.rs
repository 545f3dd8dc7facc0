//! Values that are trained beside a network's own, of a regressor or of embeddings. They stand behind the network's in the
//! state of a training, whose part of a checkpoint knows the network's alone; this adds the others.

use crate::context::Checkpoint;
use crate::training::State;
use anyhow::Result;
use ddpipe_nn::optim::Memory;

/// What a checkpoint has of each value: itself, and what the optimiser remembers of it.
const VALUE: &str = "beside";
const VELOCITY: &str = "beside.velocity";
const FIRST_MOMENT: &str = "beside.moment1";
const SECOND_MOMENT: &str = "beside.moment2";

/// Adds the values behind the network's `own`, under these names.
pub fn store(checkpoint: &mut Checkpoint, names: &[&str], own: usize, state: &State) {
    let Memory { velocity, moments } = &state.memory;
    let lists = [
        (VALUE, &state.parameters.trainable),
        (VELOCITY, velocity),
        (FIRST_MOMENT, &moments.first),
        (SECOND_MOMENT, &moments.second),
    ];
    for (kind, values) in lists {
        for (name, value) in names.iter().zip(values.get(own..).unwrap_or_default()) {
            checkpoint.put(format!("{kind}.{name}"), value);
        }
    }
}

/// Puts the values of these names behind the network's of a state that was read from the checkpoint.
pub fn resume(checkpoint: &Checkpoint, names: &[&str], state: &mut State) -> Result<()> {
    let Memory { velocity, moments } = &mut state.memory;
    let lists = [
        (VALUE, &mut state.parameters.trainable),
        (VELOCITY, velocity),
        (FIRST_MOMENT, &mut moments.first),
        (SECOND_MOMENT, &mut moments.second),
    ];
    for (kind, values) in lists {
        // Empty is what the optimiser does not keep, or has not begun.
        let names: &[&str] = if values.is_empty() { &[] } else { names };
        for name in names {
            values.push(checkpoint.get(&format!("{kind}.{name}"))?.shallow_clone());
        }
    }
    Ok(())
}
