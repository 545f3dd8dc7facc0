//! `report.grid`: draws the images of a synthetic set or a data set, one class per row. The drawing itself is in
//! `data::picture`.

use crate::artifact::{Dataset, SyntheticSet};
use crate::context::{Context, Inputs, Outputs};
use crate::data::picture::{Grid, by_class, positions};
use anyhow::{Context as _, Result};
use ddpipe_interface::ArtifactType;
use serde::Deserialize;
use tch::Tensor;

/// The parameters: the number of images per class, the enlargement, and the border in pixels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    per_class: Option<usize>,
    scale: usize,
    border: usize,
}

/// The default number of images in a row: of a synthetic set, and of a data set.
const MOST_SYNTHETIC: usize = 20;
const MOST_REAL: usize = 10;

/// Runs the stage: draws the picture. The images of a synthetic set are drawn as they are stored.
pub fn run(_ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let input = inputs.one("images")?;
    let rows = match input.artifact {
        ArtifactType::Dataset => of_dataset(&inputs.dataset("images")?, params.per_class)?,
        _ => of_synthetic(&inputs.stored("images")?, params.per_class)?,
    };
    let grid = Grid { scale: params.scale, border: params.border, ..Grid::new(rows.columns, &rows.origin) };
    let grid = grid.with_row_names(rows.names);
    let picture = grid.png(&rows.images, None).with_context(|| input.name.clone())?;
    Ok(Outputs::default().bytes("picture", ArtifactType::Image, picture))
}

/// Images \[classes*columns,C,H,W\] in \[0,1\], `columns` of every class; white where a class has fewer.
struct Rows {
    images: Tensor,
    columns: usize,
    origin: String,
    /// The names of the classes, where they are known.
    names: Vec<String>,
}

fn of_synthetic(set: &SyntheticSet, per_class: Option<usize>) -> Result<Rows> {
    let count = set.images.size()[0];
    // Soft labels of a set whose classes differ in size do not say which image is of which.
    let even =
        || (set.classes > 0 && count % set.classes == 0).then(|| vec![count / set.classes; set.classes as usize]);
    let counts = set
        .counts()
        .or_else(even)
        .with_context(|| format!("{count} images cannot be shared out evenly among {} classes", set.classes))?;
    let positions = positions(&counts);
    let most = positions.iter().map(Vec::len).max().unwrap_or(0);
    let columns = per_class.unwrap_or(MOST_SYNTHETIC).min(most);
    let images = by_class(&set.images, &positions, columns, |images| set.normalisation.undo(&images));
    Ok(Rows { images, columns, origin: set.origin.clone(), names: set.class_names.clone() })
}

fn of_dataset(set: &Dataset, per_class: Option<usize>) -> Result<Rows> {
    let positions = set.positions_by_class()?;
    let most = positions.iter().map(Vec::len).max().unwrap_or(0);
    let columns = per_class.unwrap_or(MOST_REAL).min(most);
    // Raw pixels divided by `scale` are in \[0,1\] already; they need no normalisation.
    let images = by_class(&set.images, &positions, columns, |images| images / set.scale);
    Ok(Rows { images, columns, origin: set.origin.clone(), names: set.class_names.clone() })
}
