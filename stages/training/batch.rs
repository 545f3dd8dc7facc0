//! A batch of training examples.

use tch::{TchError, Tensor};

/// Images with labels, and optionally other data for each image.
#[derive(Debug)]
pub struct Batch {
    /// Normalised images \[B,C,H,W\], float32.
    pub images: Tensor,
    /// Labels: classes \[B\] int64, or probabilities or regression targets \[B,K\].
    pub labels: Tensor,
    /// Other data with a row per image, \[B,…\]: a teacher's logits, for example.
    pub extra: Option<Tensor>,
    /// The factors of [`Network::dropout`](ddpipe_nn::network::Network::dropout), \[B,D\] each; none without dropout.
    pub dropout: Vec<Tensor>,
}

impl Batch {
    /// A batch of images with labels and no other data.
    pub fn new(images: Tensor, labels: Tensor) -> Self {
        Batch { images, labels, extra: None, dropout: Vec::new() }
    }

    /// Number of images B.
    pub fn len(&self) -> i64 {
        self.images.size()[0]
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch in parts of these sizes, in order. Tensors are shared.
    pub fn split(&self, sizes: &[i64]) -> Result<Vec<Batch>, TchError> {
        let parts = |tensor: &Tensor| tensor.f_split_with_sizes(sizes, 0);
        let images = parts(&self.images)?.into_iter();
        let mut extra = self.extra.as_ref().map(parts).transpose()?.map(Vec::into_iter);
        let factors = self.dropout.iter().map(|factors| Ok(parts(factors)?.into_iter()));
        let mut factors = factors.collect::<Result<Vec<_>, TchError>>()?;
        let labelled = images.zip(parts(&self.labels)?);
        Ok(labelled
            .map(|(images, labels)| Batch {
                images,
                labels,
                extra: extra.as_mut().and_then(Iterator::next),
                dropout: factors.iter_mut().filter_map(Iterator::next).collect(),
            })
            .collect())
    }
}
