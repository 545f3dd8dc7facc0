//! Layers within layers: residual sums, gates and stages, laid by closures that continue a [`Plan`]. Their parameters
//! stand in the plan's list in the order in which they are laid, which need not be that of the forward pass.

use super::NetworkError;
use crate::network::layer::Layer;
use crate::network::plan::Plan;

impl Plan {
    /// Layers from here that are handed over instead of laid; the shape stays.
    pub fn aside(
        &mut self,
        lay: impl FnOnce(&mut Self) -> Result<(), NetworkError>,
    ) -> Result<Vec<Layer>, NetworkError> {
        let start = self.shape;
        let layers = self.apart(lay)?;
        self.shape = start;
        Ok(layers)
    }

    /// Layers from here that are handed over instead of laid; the shape is theirs.
    fn apart(&mut self, lay: impl FnOnce(&mut Self) -> Result<(), NetworkError>) -> Result<Vec<Layer>, NetworkError> {
        let before = std::mem::take(&mut self.layers);
        lay(self)?;
        Ok(std::mem::replace(&mut self.layers, before))
    }

    /// What is here times the factors that these layers make of it, one for each channel.
    pub fn gate(&mut self, factors: impl FnOnce(&mut Self) -> Result<(), NetworkError>) -> Result<(), NetworkError> {
        let factors = self.aside(factors)?;
        self.layers.push(Layer::Gate(factors));
        Ok(())
    }

    /// Layers of which attention sees the output alone.
    pub fn stage(&mut self, lay: impl FnOnce(&mut Self) -> Result<(), NetworkError>) -> Result<(), NetworkError> {
        let stage = self.apart(lay)?;
        self.layers.push(Layer::Stage(stage));
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
        self.layers.push(Layer::Residual { body, shortcut });
        Ok(())
    }

    /// The sum of a way from here and of a shortcut that was laid aside.
    pub fn residual_around(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), NetworkError>,
        shortcut: Vec<Layer>,
    ) -> Result<(), NetworkError> {
        let body = self.apart(body)?;
        self.layers.push(Layer::Residual { body, shortcut });
        Ok(())
    }
}
