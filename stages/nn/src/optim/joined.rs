//! The parameters of a network as one vector, so that a step of an optimiser is as many operations for many of them as for
//! one. For devices that wait for small operations ([`Layout::Together`]); every value is computed as it would be by itself.

use super::Moments;
use crate::layout::Layout;
use tch::{TchError, Tensor};

/// The shapes of tensors that are joined to a vector.
pub(super) struct Joined(Vec<Vec<i64>>);

impl Joined {
    /// Of parameters that all have gradients, where joining them helps.
    pub fn of(parameters: &[Tensor], gradients: &[Tensor]) -> Option<Self> {
        let together = parameters.first().is_some_and(|first| Layout::of(first.device()) == Layout::Together);
        let helps = together && parameters.len() > 1 && gradients.iter().all(Tensor::defined);
        helps.then(|| Joined(parameters.iter().map(Tensor::size).collect()))
    }

    /// One vector of the values of all tensors, as the only entry; no entry if there are none.
    pub fn join(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
        if tensors.is_empty() {
            return Ok(Vec::new());
        }
        let flat = tensors.iter().map(|tensor| tensor.f_reshape([-1])).collect::<Result<Vec<_>, _>>()?;
        Ok(vec![Tensor::f_cat(&flat, 0)?])
    }

    /// The tensors that were joined, as views of their vector.
    pub fn split(&self, joined: &[Tensor]) -> Result<Vec<Tensor>, TchError> {
        let Some(joined) = joined.first() else { return Ok(Vec::new()) };
        let sizes: Vec<i64> = self.0.iter().map(|shape| shape.iter().product()).collect();
        let parts = joined.f_split_with_sizes(sizes, 0)?;
        parts.iter().zip(&self.0).map(|(part, shape)| part.f_view(shape.as_slice())).collect()
    }

    /// Moments with their tensors joined or split.
    pub fn moments(
        &self,
        moments: &Moments,
        way: impl Fn(&Self, &[Tensor]) -> Result<Vec<Tensor>, TchError>,
    ) -> Result<Moments, TchError> {
        Ok(Moments { first: way(self, &moments.first)?, second: way(self, &moments.second)?, steps: moments.steps })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::network::{Network, NetworkSpec, Overrides};
    use crate::optim::{Betas, Decayed, Descent, Memory, Rule};
    use crate::stream::stream;
    use tch::Device;

    /// Three steps along drawn gradients, and what is remembered afterwards.
    fn three_steps(layout: Layout, rule: Rule) -> Vec<Tensor> {
        let spec = NetworkSpec::named("lenet", &Overrides::default(), 1, [28, 28], 10).unwrap();
        let network = Network::new(&spec).unwrap();
        let mut parameters = network.init(stream(0, "test", 0).generator(), Device::Cpu).unwrap().trainable;
        let (descent, mut memory) = (Descent { rule, weight_decay: 0.01, decayed: Decayed::All }, Memory::default());
        for step in 0..3 {
            let mut drawn = stream(1, "test", step);
            let gradients: Vec<Tensor> = parameters.iter().map(|one| drawn.normal_tensor(&one.size())).collect();
            parameters = layout.on_cpu(|| descent.step(&network, 0.1, &parameters, &gradients, &mut memory)).unwrap();
        }
        parameters.into_iter().chain(memory.velocity).chain(memory.moments.first).chain(memory.moments.second).collect()
    }

    #[test]
    fn a_step_of_all_parameters_at_once_has_the_numbers_of_one_after_another() {
        let betas = Betas::default();
        let sgd = |nesterov| Rule::Sgd { momentum: 0.9, nesterov };
        for rule in [sgd(false), sgd(true), Rule::Adam(betas), Rule::AdamW(betas)] {
            let (own, joined) = (three_steps(Layout::Pieces, rule), three_steps(Layout::Together, rule));
            assert_eq!(own.len(), joined.len(), "{rule:?}");
            for (own, joined) in own.iter().zip(&joined) {
                assert!(own.size() == joined.size() && own.allclose(joined, 1e-6, 1e-7, false), "{rule:?}");
            }
        }
    }
}
