//! Line charts as SVG: axes with round ticks, lines with bands, a legend. One style for everything that ddpipe draws:
//! colours that colour-blind readers can tell apart, dashes beside colours, light and dark. Knows no stage and no file.
//!
//! ```
//! use ddpipe_figure::{Axis, Chart, Look, Point, Scale, Series};
//!
//! let points = (1..=100).map(|step| Point::at(step as f64, 1.0 / step as f64)).collect();
//! let chart = Chart {
//!     title: "Loss".into(),
//!     x: Axis { title: "iteration".into(), scale: Scale::Linear },
//!     y: Axis { title: "loss".into(), scale: Scale::Log },
//!     series: vec![Series { name: "dm".into(), points, look: Look::Line }],
//!     note: String::new(),
//! };
//! assert!(chart.svg().starts_with("<svg"));
//! ```

mod chart;
mod scale;
mod text;

pub use scale::Scale;
pub use text::escape;

/// A chart of lines over common axes.
#[derive(Clone, Debug)]
pub struct Chart {
    /// The title, also its text alternative.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
    /// A sentence below the legend: what the lines are. May be empty.
    pub note: String,
}

/// What an axis measures, and how.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The title, with the unit.
    pub title: String,
    /// Linear or logarithmic.
    pub scale: Scale,
}

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend. A chart of a single line without a name has no legend.
    pub name: String,
    /// Its points, by ascending x. Those that are not finite, or not positive on a logarithmic axis, interrupt the line.
    pub points: Vec<Point>,
    /// How it is drawn.
    pub look: Look,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// In a colour of its own.
    #[default]
    Line,
    /// Likewise, with a mark at each point: few measurements.
    Marked,
    /// Thin, grey and dashed: no measurement, but what one is compared with. Stands behind the others in the list, whose
    /// colours it does not change.
    Guide,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where on the horizontal axis.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// The lower and the upper end of a band around the value.
    pub band: Option<(f64, f64)>,
}

impl Point {
    /// A point without a band.
    pub fn at(x: f64, y: f64) -> Self {
        Point { x, y, band: None }
    }
}
