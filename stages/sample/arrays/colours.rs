//! Paints a grey digit: ink of one colour on paper of another, so that the three channels differ and no class has a
//! colour of its own.

use ddpipe_nn::stream::Stream;

/// How far apart ink and paper are at least, over all channels.
const CONTRAST: f32 = 0.9;

/// Red, green and blue of a picture, one after the other.
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
