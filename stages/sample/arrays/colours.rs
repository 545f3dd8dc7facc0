//! Colours a grey digit: ink of one random colour on paper of another. The three channels differ, and the colours do
//! not depend on the class.

use ddpipe_nn::stream::Stream;

/// The smallest distance of the colours of ink and paper: the sum of the absolute differences over the channels, which
/// lie in \[0,1\].
const CONTRAST: f32 = 0.9;

/// The red, the green and the blue plane of a picture, one after the other.
pub fn paint(stream: &mut Stream, picture: &[u8]) -> Vec<u8> {
    let (paper, ink) = loop {
        let mut colour = || [stream.uniform(), stream.uniform(), stream.uniform()];
        let (paper, ink) = (colour(), colour());
        if paper.iter().zip(ink).map(|(paper, ink)| (paper - ink).abs()).sum::<f32>() >= CONTRAST {
            break (paper, ink);
        }
    };
    let channel = |(paper, ink): (f32, f32)| {
        let mix = move |&pixel: &u8| (255.0 * paper + (ink - paper) * f32::from(pixel)).round() as u8;
        picture.iter().map(mix)
    };
    paper.into_iter().zip(ink).flat_map(channel).collect()
}
