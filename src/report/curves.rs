//! The curves of a pipeline: those that stages leave in their documents, and those of the journal for nodes that are not done.
//! A panel for each curve of a stage, nodes of several seeds as one line with a band.

use super::subject::Subject;
use crate::pipeline::Node;
use crate::report::words::{counted, plain};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ddpipe_figure::{Axis, Chart, Look, Point, Scale, Series};
use indexmap::IndexMap;
use serde_json::Value;
use std::collections::HashMap;

/// So many lines share a panel; further ones are only in its numbers.
pub const LINES: usize = 8;
/// So many points of a line are drawn.
const POINTS: usize = 160;
/// So many panels are shown at once; the others can be opened.
const SHOWN: usize = 6;
/// So many panels there are at most.
const PANELS: usize = 40;
/// Where the largest value is so many times the smallest, the axis is logarithmic.
const WIDE: f64 = 30.0;
/// So many letters of numbers a panel offers.
const NUMBERS: usize = 60_000;

/// A panel.
pub struct Panel {
    /// The stage and the curve.
    pub title: String,
    /// The drawing, which is SVG.
    pub svg: String,
    /// Its numbers as CSV, as a `data:` address; empty where there are too many.
    pub csv: String,
    /// The name of that file.
    pub file: String,
    /// What is not drawn.
    pub note: String,
}

/// All panels, those shown at once first.
pub struct Curves {
    /// Those that are shown.
    pub shown: Vec<Panel>,
    /// Those that can be opened.
    pub others: Vec<Panel>,
    /// How many further ones there are.
    pub more: usize,
}

/// A curve: steps and values.
pub type Curve = Vec<(f64, f64)>;

/// The curves of one name of one stage.
#[derive(Default)]
struct Gathered {
    /// What a step is.
    unit: &'static str,
    /// The lines by title, each with the curves that it is the mean of.
    lines: IndexMap<String, Vec<Curve>>,
}

/// All panels.
pub fn of(subject: &Subject) -> Curves {
    let mut gathered: IndexMap<(String, String), Gathered> = IndexMap::new();
    for node in &subject.pipeline.nodes {
        for (name, unit, curves) in curves(subject, node) {
            let panel = gathered.entry((node.stage.clone(), name)).or_default();
            panel.unit = unit;
            panel.lines.entry(title(node)).or_default().extend(curves);
        }
    }
    gathered.retain(|_, panel| panel.lines.values().flatten().any(|curve| curve.len() > 1));
    // Losses of methods first, then what goes by epochs.
    gathered.sort_by(|one, a, other, b| {
        let rank = |key: &(String, String), panel: &Gathered| (panel.unit != "step", key.1 != "loss");
        rank(one, a).cmp(&rank(other, b))
    });
    let more = gathered.len().saturating_sub(PANELS);
    let mut panels: Vec<Panel> =
        gathered.into_iter().take(PANELS).map(|((stage, name), lines)| panel(&stage, &name, &lines)).collect();
    let others = panels.split_off(panels.len().min(SHOWN));
    Curves { shown: panels, others, more }
}

/// The axes of a node without its seed, as they stand in its address.
pub fn title(node: &Node) -> String {
    let axes = node.axes.iter().filter(|(name, _)| *name != "seed");
    axes.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(", ")
}

/// The curves of a node: name, what a step is, and the single curves.
pub fn curves(subject: &Subject, node: &Node) -> Vec<(String, &'static str, Vec<Curve>)> {
    let mut found: IndexMap<(String, &'static str), Vec<Curve>> = IndexMap::new();
    for (_, document) in subject.documents(node.id).iter() {
        for (name, points) in document["curves"].as_object().into_iter().flatten() {
            let point = |point: &Value| Some((point[0].as_f64()?, point[1].as_f64().unwrap_or(f64::NAN)));
            let points = points.as_array().into_iter().flatten().filter_map(point).collect();
            found.entry((name.clone(), "step")).or_default().push(points);
        }
        // A list of epochs, or one such list for each network.
        let epochs = document["epochs"].as_array().map_or(&[][..], Vec::as_slice);
        let runs: Vec<&[Value]> = match epochs.first() {
            Some(Value::Array(_)) => epochs.iter().filter_map(|run| run.as_array().map(Vec::as_slice)).collect(),
            Some(_) => vec![epochs],
            None => Vec::new(),
        };
        for run in runs {
            for name in ["loss", "train_accuracy", "accuracy"] {
                let point = |it: &Value| Some((it["epoch"].as_f64()? + 1.0, it[name].as_f64()?));
                let points: Curve = run.iter().filter_map(point).collect();
                if points.len() > 1 {
                    found.entry((name.to_string(), "epoch")).or_default().push(points);
                }
            }
        }
    }
    if subject.record(node.id).is_none()
        && let Some((_, work)) = subject.told(node.id)
    {
        found.extend(work.curves.iter().map(|(name, points)| ((name.clone(), "step"), vec![points.clone()])));
    }
    found.into_iter().map(|((name, unit), curves)| (name, unit, curves)).collect()
}

fn panel(stage: &str, name: &str, gathered: &Gathered) -> Panel {
    let series = |(title, curves): (&String, &Vec<Curve>)| Series {
        name: title.clone(),
        points: mean(curves),
        look: Look::Line,
    };
    let all: Vec<Series> = gathered.lines.iter().map(series).collect();
    let several = gathered.lines.values().map(Vec::len).max().unwrap_or(1);
    let finite = || all.iter().flat_map(|line| &line.points).map(|point| point.y).filter(|value| value.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    let scale = if low > 0.0 && high / low > WIDE { Scale::Log } else { Scale::Linear };
    let words = name.replace('_', " ");
    let y = if scale == Scale::Log { format!("{words} (logarithmic)") } else { words.clone() };
    let note = if several > 1 {
        let where_to = if scale == Scale::Log { ", no lower than the lowest of them" } else { "" };
        format!("mean of up to {several} curves and one standard deviation around it{where_to}")
    } else {
        String::new()
    };
    let left_out = all.len().saturating_sub(LINES);
    let shown = |(line, curves): (&Series, &Vec<Curve>)| {
        let line = if scale == Scale::Log { above_the_lowest(line.clone(), curves) } else { line.clone() };
        thinned(line)
    };
    let chart = Chart {
        title: format!("{stage}: {words}"),
        x: Axis { title: gathered.unit.into(), scale: Scale::Linear },
        y: Axis { title: y, scale },
        series: all.iter().take(LINES).zip(gathered.lines.values()).map(shown).collect(),
        note,
    };
    Panel::new(chart, gathered.unit, &all, &format!("{stage}-{name}"), left_out)
}

impl Panel {
    /// A chart and the numbers of all its lines, over this unit, of which so many lines are not drawn.
    pub fn new(chart: Chart, unit: &str, all: &[Series], file: &str, left_out: usize) -> Self {
        let csv = csv(unit, all);
        let fits = csv.len() <= NUMBERS;
        Panel {
            title: chart.title.clone(),
            svg: chart.inline(),
            csv: if fits { format!("data:text/csv;base64,{}", STANDARD.encode(&csv)) } else { String::new() },
            file: format!("{}.csv", plain_name(file)),
            note: match (left_out, fits) {
                (0, true) => String::new(),
                (0, false) => "its numbers are too many for this file; `ddpipe show` has them".to_string(),
                (left_out, true) => format!("{} more in the numbers", counted(left_out, "line")),
                (left_out, false) => {
                    format!("{} more in the documents that `ddpipe show` has", counted(left_out, "line"))
                }
            },
        }
    }
}

/// The mean of some curves with a band of one standard deviation; a single one as it is.
fn mean(curves: &[Curve]) -> Vec<Point> {
    if let [one] = curves {
        return one.iter().map(|(x, y)| Point::at(*x, *y)).collect();
    }
    let mut at: IndexMap<u64, Vec<f64>> = IndexMap::new();
    for (x, y) in curves.iter().flatten() {
        at.entry(x.to_bits()).or_default().push(*y);
    }
    let point = |(x, values): (u64, Vec<f64>)| {
        let mean = crate::baseline::statistics::mean(&values);
        let deviation = crate::baseline::statistics::deviation(&values);
        let band = (values.len() > 1).then_some((mean - deviation, mean + deviation));
        Point { x: f64::from_bits(x), y: mean, band }
    };
    let mut points: Vec<Point> = at.into_iter().map(point).collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    points
}

/// A line whose band reaches no lower than the lowest of its curves: below the mean of a few losses a standard deviation may
/// lead to zero, which a logarithmic axis shows as a fall to the bottom.
fn above_the_lowest(mut line: Series, curves: &[Curve]) -> Series {
    let mut lowest: HashMap<u64, f64> = HashMap::new();
    for (x, y) in curves.iter().flatten() {
        lowest.entry(x.to_bits()).and_modify(|low| *low = low.min(*y)).or_insert(*y);
    }
    for Point { x, band, .. } in &mut line.points {
        if let (Some((low, _)), Some(lowest)) = (band, lowest.get(&x.to_bits())) {
            *low = low.max(*lowest);
        }
    }
    line
}

/// A line with fewer points: of each stretch the lowest and the highest, so that no peak is lost.
fn thinned(line: Series) -> Series {
    if line.points.len() <= POINTS {
        return line;
    }
    let stretch = line.points.len().div_ceil(POINTS / 2);
    let mut points = Vec::with_capacity(POINTS + 2);
    for piece in line.points.chunks(stretch) {
        let by = |one: &&Point, other: &&Point| one.y.total_cmp(&other.y);
        let ends = piece.iter().min_by(by).into_iter().chain(piece.iter().max_by(by));
        let mut ends: Vec<Point> = ends.copied().collect();
        ends.sort_by(|one, other| one.x.total_cmp(&other.x));
        ends.dedup_by(|one, other| one.x == other.x);
        points.extend(ends);
    }
    Series { points, ..line }
}

/// The numbers of some lines.
fn csv(unit: &str, lines: &[Series]) -> String {
    let mut text = format!("line,{unit},value,deviation\r\n");
    for line in lines {
        let name = field(&line.name);
        for Point { x, y, band } in &line.points {
            let deviation = band.map_or(String::new(), |(low, high)| ((high - low) / 2.0).to_string());
            text.push_str(&format!("{name},{x},{y},{deviation}\r\n"));
            if text.len() > NUMBERS {
                return text;
            }
        }
    }
    text
}

/// A text as a field of CSV; one that a spreadsheet would take for a formula is text.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// A name that every file system takes.
fn plain_name(text: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_".contains(letter) { letter } else { '_' };
    text.chars().take(60).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_line_keeps_its_peaks() {
        let points = (0..10_000).map(|x| Point::at(f64::from(x), if x == 5003 { 9.0 } else { 1.0 })).collect();
        let line = thinned(Series { name: String::new(), points, look: Look::Line });
        assert!(line.points.len() <= POINTS && line.points.iter().any(|point| point.y == 9.0));
    }

    #[test]
    fn a_spreadsheet_gets_no_formula() {
        assert_eq!(field("=1+1"), "\"'=1+1\"");
        assert_eq!(field("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(plain_name("../=x<y>"), "____x_y_");
    }

    #[test]
    fn on_a_logarithmic_axis_a_band_ends_at_the_lowest_curve() {
        let curves = vec![vec![(1.0, 0.1)], vec![(1.0, 0.1)], vec![(1.0, 10.0)]];
        let line = Series { name: String::new(), points: mean(&curves), look: Look::Line };
        assert!(line.points[0].band.is_some_and(|(low, _)| low < 0.0));
        let band = above_the_lowest(line, &curves).points[0].band;
        assert!(band.is_some_and(|(low, high)| low == 0.1 && high > 9.0), "{band:?}");
    }

    #[test]
    fn several_curves_are_one_line_with_a_band() {
        let points = mean(&[vec![(2.0, 1.0), (1.0, 3.0)], vec![(1.0, 5.0)]]);
        assert_eq!(points.iter().map(|point| (point.x, point.y)).collect::<Vec<_>>(), [(1.0, 4.0), (2.0, 1.0)]);
        assert!(points[0].band.is_some() && points[1].band.is_none());
    }
}
