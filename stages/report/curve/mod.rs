//! `report.curve`: one curve of many runs as SVG and CSV. The drawing is in the crate `ddpipe-figure`.

mod line;

use crate::context::{Context, Inputs, Outputs};
use crate::report::sheet::csv;
use crate::report::sheet::document;
use anyhow::Result;
use ddpipe_figure::{Axis, Chart, Look, Point, Scale, Series};
use ddpipe_interface::ArtifactType;
use line::Line;
use serde::Deserialize;

/// The parameters: which curve is drawn, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    value: String,
    log: bool,
    caption: Option<String>,
}

/// Runs the stage: sorts the curves into lines, takes means over folded axes, and draws.
pub fn run(_ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let results = inputs.many("curves");
    let documents = document::all(inputs, "curves")?;
    let (by, lines) = line::lines(results, &documents, &params.value)?;
    let caption = params.caption.clone().unwrap_or_else(|| match by.as_slice() {
        [] => params.value.clone(),
        by => format!("{} by {}", params.value, by.join(" and ")),
    });
    let over = crate::report::sheet::folded(results);
    let folded = lines.iter().flat_map(|line| &line.points).any(|(_, cell)| cell.n > 1);
    let note = if folded { format!("mean and standard deviation over {}", over.join(" and ")) } else { String::new() };
    let scale = if params.log { Scale::Log } else { Scale::Linear };
    let chart = Chart {
        title: caption,
        x: Axis { title: "step".into(), scale: Scale::Linear },
        y: Axis { title: params.value.clone(), scale },
        series: lines.iter().map(series).collect(),
        note,
    };
    Ok(Outputs::default().bytes("picture", ArtifactType::Image, chart.svg().into_bytes()).bytes(
        "csv",
        ArtifactType::Files,
        table(&lines, &by).into_bytes(),
    ))
}

fn series(line: &Line) -> Series {
    let point = |(step, cell): &(u64, crate::report::sheet::Cell)| {
        let band = cell.std.map(|std| (cell.mean - std, cell.mean + std));
        Point { x: *step as f64, y: cell.mean, band }
    };
    Series { name: line.title.clone(), points: line.points.iter().map(point).collect(), look: Look::Line }
}

/// The lines as CSV.
fn table(lines: &[Line], by: &[String]) -> String {
    let mut text = format!("{},step,mean,std,n\r\n", csv::quoted(&by.join(", ")));
    for line in lines {
        let title = csv::quoted(&line.title);
        for (step, cell) in &line.points {
            let std = cell.std.map_or(String::new(), |std| std.to_string());
            text += &format!("{title},{step},{},{std},{}\r\n", cell.mean, cell.n);
        }
    }
    text
}
