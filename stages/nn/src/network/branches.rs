//! Layers within layers: residual sums, gates and stages, added by closures that continue a [`Builder`]. Their parameters
//! stand in the list of parameters in the order in which they are added, which need not be that of the forward pass.

use super::NetworkError;
use crate::network::builder::Builder;
use crate::network::layer::Layer;

impl Builder {
    /// Layers that are returned instead of added; the shape stays.
    pub fn aside(
        &mut self,
        build: impl FnOnce(&mut Self) -> Result<(), NetworkError>,
    ) -> Result<Vec<Layer>, NetworkError> {
        let start = self.shape;
        let layers = self.apart(build)?;
        self.shape = start;
        Ok(layers)
    }

    /// Layers that are returned instead of added; the shape is theirs.
    fn apart(&mut self, build: impl FnOnce(&mut Self) -> Result<(), NetworkError>) -> Result<Vec<Layer>, NetworkError> {
        let before = std::mem::take(&mut self.layers);
        build(self)?;
        Ok(std::mem::replace(&mut self.layers, before))
    }

    /// What is here times the factors that these layers make of it, one for each channel.
    pub fn gate(&mut self, factors: impl FnOnce(&mut Self) -> Result<(), NetworkError>) -> Result<(), NetworkError> {
        let factors = self.aside(factors)?;
        self.push(Layer::Gate(factors));
        Ok(())
    }

    /// Layers of which attention sees the output alone.
    pub fn stage(&mut self, build: impl FnOnce(&mut Self) -> Result<(), NetworkError>) -> Result<(), NetworkError> {
        let stage = self.apart(build)?;
        self.push(Layer::Stage(stage));
        Ok(())
    }

    /// The sum of two ways from here, which have to arrive at the same shape.
    pub fn residual(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), NetworkError>,
        shortcut: impl FnOnce(&mut Self) -> Result<(), NetworkError>,
    ) -> Result<(), NetworkError> {
        let body = self.aside(body)?;
        let shortcut = self.apart(shortcut)?;
        self.push(Layer::Residual { body, shortcut });
        Ok(())
    }

    /// The sum of a way from here and of a shortcut that was laid aside.
    pub fn residual_around(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), NetworkError>,
        shortcut: Vec<Layer>,
    ) -> Result<(), NetworkError> {
        let body = self.apart(body)?;
        self.push(Layer::Residual { body, shortcut });
        Ok(())
    }
}
