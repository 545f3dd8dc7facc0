//! The parameters that patterns select: texts with `*` for any text, matched with the names in a network's state dict.
//! What freezing does is in `ddpipe_nn::network`.

use anyhow::{Result, bail};
use ddpipe_nn::network::Network;

/// The pattern for everything but the last linear layer, whose name differs between architectures.
const BACKBONE: &str = "backbone";

/// The number of similar names that an error about a pattern shows.
const SHOWN: usize = 5;

/// Which trainable parameters these patterns select, one entry for each in the order of [`Network::trainable`]. A
/// pattern selects a parameter (`stem.conv.weight`) or all parameters of a module (`stages.0`), with `*` for any text;
/// `backbone` is everything but the last linear layer. A pattern that matches no parameter is an error.
pub fn frozen(network: &Network, patterns: &[String]) -> Result<Vec<bool>> {
    let names: Vec<&str> = network.trainable().map(|spec| spec.name.as_str()).collect();
    let mut meant = vec![false; names.len()];
    for pattern in patterns {
        let matched: Vec<usize> = match pattern.as_str() {
            BACKBONE => (0..names.len().saturating_sub(2)).collect(),
            _ => (0..names.len()).filter(|&place| means(pattern, names[place])).collect(),
        };
        if matched.is_empty() {
            bail!(
                "the pattern {pattern:?} means no parameter of this network; near are {}; \"backbone\" means all but the \
                 last linear layer",
                near(pattern, &names).join(", ")
            );
        }
        matched.into_iter().for_each(|place| meant[place] = true);
    }
    Ok(meant)
}

/// Whether the pattern matches the parameter or a module that contains it.
fn means(pattern: &str, name: &str) -> bool {
    let modules = name.match_indices('.').map(|(end, _)| &name[..end]);
    modules.chain([name]).any(|path| fits(pattern, path))
}

/// Whether the text matches the pattern, in which each `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(end)
}

/// The names most similar to a pattern: by the number of common pieces between dots, then by the length of the common
/// start.
fn near<'a>(pattern: &str, names: &[&'a str]) -> Vec<&'a str> {
    let pieces: Vec<&str> = pattern.split(['.', '*']).filter(|piece| !piece.is_empty()).collect();
    let common = |name: &str| {
        let shared = name.split('.').filter(|piece| pieces.contains(piece)).count();
        let letters = name.bytes().zip(pattern.bytes()).take_while(|(ours, theirs)| ours == theirs).count();
        std::cmp::Reverse((shared, letters))
    };
    let mut sorted = names.to_vec();
    sorted.sort_by_key(|name| common(name));
    sorted.truncate(SHOWN);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_parameters_and_modules() {
        let name = "stages.1.blocks.0.norm1.weight";
        for pattern in [
            name,
            "stages",
            "stages.1",
            "stages.*",
            "*",
            "stages.*.blocks.0",
            "*.norm1",
            "*norm*.weight",
            "*.weight",
            "stages.1.*.*",
            "stages**",
            "st*s.1",
        ] {
            assert!(means(pattern, name), "{pattern}");
        }
        for pattern in
            ["stages.10", "stage", "blocks", "*.bias", "stages.0.*", "norm1.*", "*.norm1.weight.*", "", "*1*1*1"]
        {
            assert!(!means(pattern, name), "{pattern}");
        }
        assert!(!means("stages.1", "stages.10.blocks.0.norm1.weight"));
        // What stands before a star and after it may not overlap.
        assert!(!fits("ab*ba", "aba") && fits("ab*ba", "abba") && fits("a*b*c", "a-b-c") && !fits("a*b*bc", "abc"));
    }
}
