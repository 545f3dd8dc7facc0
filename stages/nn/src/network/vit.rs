//! A small vision transformer after Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021: patches of 4x4,
//! learnt positions, pre-norm blocks of attention and a two-layer perceptron with GELU, and a class token. No dropout.
//! The definition is this project's own; no published state dict fits it.
//!
//! Shapes: B batch, T tokens (patches and the class token), D width, S channels of one head.

use super::{NetworkError, ParameterKind};
use crate::network::builder::Builder;
use crate::network::layer::{Kernel, TokenLayer};
use tch::{Kind, TchError, Tensor};

const PATCH: i64 = 4;
/// Channels of one attention head.
const HEAD: i64 = 32;
/// Hidden units of the perceptron per channel.
const EXPANSION: i64 = 4;
const EPS: f64 = 1e-6;

/// Lays the blocks and returns the classifier's name.
pub(super) fn build(builder: &mut Builder, width: i64, depth: i64) -> Result<&'static str, NetworkError> {
    for (what, value) in [("a width", width), ("a depth", depth)] {
        if value < 1 {
            return Err(NetworkError::OutOfRange { what, value });
        }
    }
    if width % HEAD != 0 {
        return Err(NetworkError::Heads { width, head: HEAD });
    }
    let [_, height, columns] = builder.shape();
    if height % PATCH != 0 || columns % PATCH != 0 {
        return Err(NetworkError::Patches { image: [height, columns], patch: PATCH });
    }
    builder.convolve("patches", width, Kernel { padding: 0, ..Kernel::new(PATCH, PATCH).with_bias() })?;
    let tokens = 1 + builder.shape()[1] * builder.shape()[2];
    builder.on_tokens([width, tokens, 1], 0, |builder, at| {
        builder.parameter("embedding", "class", &[width], ParameterKind::Embedding { width });
        builder.parameter("embedding", "positions", &[tokens, width], ParameterKind::Embedding { width });
        TokenLayer::Embed { at }
    });
    let hidden = EXPANSION * width;
    // Every token with every other, once for the scores and once for the mixture.
    let products = 2 * tokens * tokens * width;
    for block in 0..depth {
        let within = |layer: &str| format!("blocks.{block}.{layer}");
        let attention = |builder: &mut Builder| {
            norm(builder, &within("norm1"));
            let layers = [("qkv", 3 * width, width), ("out", width, width)];
            two_linear(builder, &within("attention"), layers, products, |at| TokenLayer::Attention { at });
            Ok(())
        };
        builder.residual(attention, |_| Ok(()))?;
        let perceptron = |builder: &mut Builder| {
            norm(builder, &within("norm2"));
            let layers = [("0", hidden, width), ("2", width, hidden)];
            two_linear(builder, &within("mlp"), layers, 0, |at| TokenLayer::Perceptron { at });
            Ok(())
        };
        builder.residual(perceptron, |_| Ok(()))?;
    }
    norm(builder, "norm");
    builder.on_tokens([width, 1, 1], 0, |_, _| TokenLayer::ClassToken);
    Ok("head")
}

fn norm(builder: &mut Builder, name: &str) {
    let shape = builder.shape();
    builder.on_tokens(shape, 0, |builder, at| {
        builder.parameter(name, "weight", &shape[..1], ParameterKind::NormWeight);
        builder.parameter(name, "bias", &shape[..1], ParameterKind::NormBias);
        TokenLayer::Norm { at }
    });
}

/// Two linear layers on every token, by name, outputs and inputs, and the multiply-adds of what is between them.
fn two_linear(
    builder: &mut Builder,
    name: &str,
    layers: [(&str, i64, i64); 2],
    between: i64,
    layer: impl FnOnce(usize) -> TokenLayer,
) {
    let shape @ [_, tokens, _] = builder.shape();
    let multiply_adds = layers.iter().map(|(_, outputs, inputs)| tokens * outputs * inputs).sum::<i64>() + between;
    builder.on_tokens(shape, multiply_adds, |builder, at| {
        for (end, outputs, fan_in) in layers {
            let name = format!("{name}.{end}");
            builder.parameter(&name, "weight", &[outputs, fan_in], ParameterKind::Weight { fan_in });
            builder.parameter(&name, "bias", &[outputs], ParameterKind::Bias { fan_in });
        }
        layer(at)
    });
}

/// Carries out one layer.
pub(super) fn forward(layer: TokenLayer, weights: &[Tensor], x: &Tensor) -> Result<Tensor, TchError> {
    let linear = |x: &Tensor, at: usize| x.f_linear(&weights[at], Some(&weights[at + 1]));
    match layer {
        TokenLayer::Embed { at } => {
            let patches_BTD = x.f_flatten(2, 3)?.f_transpose(1, 2)?;
            let (batch, width) = (x.size()[0], x.size()[1]);
            let class_B1D = weights[at].f_expand([batch, 1, width], false)?;
            Tensor::f_cat(&[class_B1D, patches_BTD], 1)?.f_add(&weights[at + 1])
        }
        TokenLayer::Norm { at } => {
            x.f_layer_norm(weights[at].size(), Some(&weights[at]), Some(&weights[at + 1]), EPS, true)
        }
        TokenLayer::Attention { at } => {
            let (batch, tokens, width) = x.size3()?;
            let heads = [batch, tokens, 3, width / HEAD, HEAD];
            let qkv = linear(x, at)?.f_reshape(heads)?.f_permute([2, 0, 3, 1, 4])?;
            let (q, k, v) = (qkv.f_get(0)?, qkv.f_get(1)?, qkv.f_get(2)?);
            let scores_BHTT = q.f_matmul(&k.f_transpose(2, 3)?)?.f_div_scalar((HEAD as f64).sqrt())?;
            let mixed_BHTS = scores_BHTT.f_softmax(-1, None::<Kind>)?.f_matmul(&v)?;
            linear(&mixed_BHTS.f_transpose(1, 2)?.f_reshape([batch, tokens, width])?, at + 2)
        }
        TokenLayer::Perceptron { at } => linear(&linear(x, at)?.f_gelu("none")?, at + 2),
        TokenLayer::ClassToken => x.f_select(1, 0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tch::Device;

    /// Attention head by head and token by token, as the equation says.
    #[test]
    fn attention_is_the_softmax_of_scaled_products_of_each_head() {
        let (tokens, width) = (5, 2 * HEAD);
        let ramp = |shape: &[i64], rate: f64| {
            let count: i64 = shape.iter().product();
            (Tensor::arange(count, (Kind::Double, Device::Cpu)) * rate).sin().view(shape)
        };
        let x = ramp(&[1, tokens, width], 0.7);
        let weights = [
            ramp(&[3 * width, width], 1.3) * 0.2,
            ramp(&[3 * width], 0.9),
            ramp(&[width, width], 0.37),
            ramp(&[width], 1.1),
        ];
        let got = forward(TokenLayer::Attention { at: 0 }, &weights, &x).unwrap();

        let qkv = x.get(0).matmul(&weights[0].tr()) + &weights[1];
        let mixed = Tensor::zeros([tokens, width], (Kind::Double, Device::Cpu));
        for head in 0..2 {
            let part = |which: i64| qkv.narrow(1, which * width + head * HEAD, HEAD);
            let (q, k, v) = (part(0), part(1), part(2));
            for token in 0..tokens {
                let scores = (k.matmul(&q.get(token)) / (HEAD as f64).sqrt()).exp();
                let share = &scores / scores.sum(Kind::Double);
                mixed.get(token).narrow(0, head * HEAD, HEAD).copy_(&v.tr().matmul(&share));
            }
        }
        let expected = mixed.matmul(&weights[2].tr()) + &weights[3];
        assert!(f64::try_from((got.get(0) - expected).abs().max()).unwrap() < 1e-12);
    }
}
