//! The search space: the list of its networks, their order, and the draw of those that a search trains. Pure lists and
//! numbers.

use crate::search::candidates::candidate::{Candidate, word};
use anyhow::{Result, bail, ensure};
use ddpipe_nn::network::{Activation, Architecture, Norm, Pooling};
use ddpipe_nn::stream::stream;
use serde::{Deserialize, Serialize};

/// The largest number of networks in a space. A larger space is an error, because no search trains that many networks.
const MOST: usize = 100_000;

/// The form of a search space: which architectures its networks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// ConvNets with every combination of the lists. The default lists give the 720 networks of Zhao et al. (ICLR
    /// 2021).
    Grid,
    /// CNNs in which each block has its own number of channels, with every combination of the lists.
    RandomCnn,
}

/// The values from which a space is combined; for a list that is `None` the default of the form is taken.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    /// Numbers of channels of a block.
    pub widths: Option<Vec<i64>>,
    /// Numbers of blocks.
    pub depths: Option<Vec<i64>>,
    /// Normalisation layers.
    pub norms: Option<Vec<Norm>>,
    /// Activation functions.
    pub activations: Option<Vec<Activation>>,
    /// Pooling layers.
    pub poolings: Option<Vec<Pooling>>,
    /// Kernel sizes of the convolutions in pixels; must be `None` for [`Form::Grid`], whose kernel size is fixed.
    pub kernels: Option<Vec<i64>>,
}

impl Lists {
    /// The default lists of a form; for the grid they are the published ones.
    fn of(form: Form) -> Self {
        let grid = form == Form::Grid;
        let pick = |all: &[i64], few: &[i64]| Some(if grid { all.to_vec() } else { few.to_vec() });
        let norms = [Norm::None, Norm::Batch, Norm::Layer, Norm::Instance, Norm::Group];
        let activations = [Activation::Sigmoid, Activation::Relu, Activation::LeakyRelu];
        let poolings = [Pooling::None, Pooling::Max, Pooling::Average];
        Lists {
            widths: pick(&[32, 64, 128, 256], &[16, 32, 64]),
            depths: pick(&[1, 2, 3, 4], &[1, 2, 3]),
            norms: Some(if grid { norms.to_vec() } else { vec![Norm::Instance] }),
            activations: Some(if grid { activations.to_vec() } else { vec![Activation::Relu] }),
            poolings: Some(if grid { poolings.to_vec() } else { vec![Pooling::Average] }),
            kernels: pick(&[3], &[3, 5]),
        }
    }
}

/// A search space: the list of all its networks, in order.
#[derive(Clone, Debug)]
pub struct Space {
    form: Form,
    networks: Vec<Architecture>,
}

impl Space {
    /// Lists all networks in nested loops, the last list fastest. For the grid the order of the loops is channels,
    /// depth, norm, activation, pooling; for random CNNs depth, channels of the first block to the last, kernel, norm,
    /// activation, pooling. An error if a list is empty or names a value twice, if the grid is given `kernels`, or if
    /// there are more than 100,000 networks.
    pub fn new(form: Form, lists: Lists) -> Result<Self> {
        ensure!(
            form != Form::Grid || lists.kernels.is_none(),
            "the grid takes no `kernels`; leave it out, or take space = \"random_cnn\""
        );
        let own = Lists::of(form);
        let widths = list("widths", lists.widths, own.widths)?;
        let depths = list("depths", lists.depths, own.depths)?;
        let norms = list("norms", lists.norms, own.norms)?;
        let activations = list("activations", lists.activations, own.activations)?;
        let poolings = list("poolings", lists.poolings, own.poolings)?;
        let kernels = list("kernels", lists.kernels, own.kernels)?;
        let shapes = match form {
            Form::Grid => equal_blocks(&widths, &depths)?,
            Form::RandomCnn => free_blocks(&widths, &depths)?,
        };
        let settings = kernels.len() * norms.len() * activations.len() * poolings.len();
        within(shapes.len().checked_mul(settings))?;
        let mut networks = Vec::new();
        for channels in shapes {
            for &kernel in &kernels {
                for &norm in &norms {
                    for &activation in &activations {
                        for &pooling in &poolings {
                            networks.push(match form {
                                Form::Grid => {
                                    let width = channels.first().copied().unwrap_or_default();
                                    let depth = channels.len() as i64;
                                    Architecture::ConvNet { width, depth, activation, norm, pooling }
                                }
                                Form::RandomCnn => {
                                    let channels = channels.clone();
                                    Architecture::Cnn { channels, kernel, activation, norm, pooling }
                                }
                            });
                        }
                    }
                }
            }
        }
        Ok(Space { form, networks })
    }

    /// The form of the space.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Number of networks in the space.
    pub fn size(&self) -> usize {
        self.networks.len()
    }

    /// All networks in order, or `amount` of them, drawn without replacement by this seed and sorted back into the
    /// order of the space. An error if `amount` is larger than the space.
    pub fn candidates(&self, amount: Option<usize>, seed: u64) -> Result<Vec<Candidate>> {
        let size = self.size();
        let mut chosen: Vec<i64> = (0..size as i64).collect();
        if let Some(amount) = amount {
            ensure!(
                amount <= size,
                "candidates = {amount}, but the space has {size} networks; lower it, or leave it out for all"
            );
            chosen = stream(seed, "candidates", 0).choose(&chosen, amount);
            chosen.sort_unstable();
        }
        let candidate =
            |index: i64| Candidate { index: index as u64, architecture: self.networks[index as usize].clone() };
        Ok(chosen.into_iter().map(candidate).collect())
    }
}

fn list<T: PartialEq + Serialize>(name: &str, given: Option<Vec<T>>, own: Option<Vec<T>>) -> Result<Vec<T>> {
    let list = given.or(own).unwrap_or_default();
    ensure!(!list.is_empty(), "`{name}` is empty; name at least one, or leave it out");
    for (index, value) in list.iter().enumerate() {
        ensure!(!list[..index].contains(value), "`{name}` names {} twice", word(value));
    }
    Ok(list)
}

fn within(size: Option<usize>) -> Result<()> {
    match size {
        Some(size) if size <= MOST => Ok(()),
        _ => bail!("the space has more than {MOST} networks; shorten its lists"),
    }
}

/// The channels of every block of each ConvNet of the grid: each width with each depth, all blocks equally wide.
fn equal_blocks(widths: &[i64], depths: &[i64]) -> Result<Vec<Vec<i64>>> {
    within(depths.iter().all(|&depth| depth <= MOST as i64).then_some(widths.len() * depths.len()))?;
    let depth = |width: i64| depths.iter().map(move |&depth| vec![width; depth.max(0) as usize]);
    Ok(widths.iter().flat_map(|&width| depth(width)).collect())
}

/// The channels of every block of each random CNN: for each depth, every combination of widths.
fn free_blocks(widths: &[i64], depths: &[i64]) -> Result<Vec<Vec<i64>>> {
    let mut shapes: Vec<Vec<i64>> = Vec::new();
    for &depth in depths {
        let here = u32::try_from(depth).ok().and_then(|depth| widths.len().checked_pow(depth));
        within(here.and_then(|here| here.checked_add(shapes.len())))?;
        within((depth <= MOST as i64).then_some(0))?;
        let mut longer: Vec<Vec<i64>> = vec![Vec::new()];
        for _ in 0..depth {
            let wider = |shape: &Vec<i64>| widths.iter().map(|&width| [shape.as_slice(), &[width]].concat()).collect();
            longer = longer.iter().flat_map(|shape| -> Vec<Vec<i64>> { wider(shape) }).collect();
        }
        shapes.extend(longer);
    }
    Ok(shapes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::search::candidates::candidate::name;

    fn fault(form: Form, lists: Lists) -> String {
        Space::new(form, lists).unwrap_err().to_string()
    }

    #[test]
    fn random_cnns_are_every_combination_of_channels_and_kernels() {
        let space = Space::new(Form::RandomCnn, Lists::default()).unwrap();
        assert_eq!(space.size(), (3 + 9 + 27) * 2);
        let names: Vec<String> = space.networks.iter().map(name).collect();
        assert_eq!(names[0], "16 k3 instance relu average");
        assert_eq!(names[1], "16 k5 instance relu average");
        assert_eq!(names[6], "16-16 k3 instance relu average");
        assert_eq!(names[8], "16-32 k3 instance relu average");
        assert_eq!(names[77], "64-64-64 k5 instance relu average");
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
    }

    #[test]
    fn a_draw_is_in_order_without_replacement_and_the_seed_decides_it() {
        let space = Space::new(Form::Grid, Lists::default()).unwrap();
        let indices = |seed| -> Vec<u64> {
            space.candidates(Some(24), seed).unwrap().iter().map(|candidate| candidate.index).collect()
        };
        let drawn = indices(0);
        assert!(drawn.is_sorted_by(|a, b| a < b) && drawn.len() == 24, "{drawn:?}");
        assert_eq!(drawn, indices(0));
        assert_ne!(drawn, indices(1));
        let all = space.candidates(None, 3).unwrap();
        assert_eq!(all, space.candidates(Some(720), 4).unwrap());
        let text = space.candidates(Some(721), 0).unwrap_err().to_string();
        assert!(text.contains("the space has 720 networks"), "{text}");
    }

    #[test]
    fn lists_that_mean_nothing_are_refused() {
        let text = fault(Form::Grid, Lists { kernels: Some(vec![3]), ..Lists::default() });
        assert!(text.contains("the grid takes no `kernels`"), "{text}");
        let text = fault(Form::Grid, Lists { norms: Some(vec![]), ..Lists::default() });
        assert!(text.contains("`norms` is empty"), "{text}");
        let text = fault(Form::RandomCnn, Lists { poolings: Some(vec![Pooling::Max; 2]), ..Lists::default() });
        assert!(text.contains("`poolings` names max twice"), "{text}");
        for depth in [12, 40, i64::MAX] {
            let text = fault(Form::RandomCnn, Lists { depths: Some(vec![depth]), ..Lists::default() });
            assert!(text.contains("more than 100000 networks"), "{depth}: {text}");
        }
        let narrow = Lists { widths: Some(vec![16]), depths: Some(vec![i64::MAX]), ..Lists::default() };
        assert!(fault(Form::RandomCnn, narrow.clone()).contains("more than"));
        assert!(fault(Form::Grid, narrow).contains("more than"));
    }
}
