//! Draws a [`Chart`].

use crate::scale::Range;
use crate::text::{escape, shortened, width};
use crate::{Chart, Look, Point, Series};
use std::fmt::Write as _;

/// The width of a chart and the height of its plot, in pixels.
const WIDTH: f64 = 720.0;
const PLOT_HEIGHT: f64 = 320.0;
/// Left of the plot: the title of the axis and the ticks' texts. Right of it, above it, below it.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BELOW: f64 = 48.0;
/// The size of texts, and the height of a line of the legend.
const SIZE: f64 = 12.0;
const LINE: f64 = 18.0;

/// Colours of Okabe and Ito, without yellow, which is too light on white; after them the dashes change.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f"];
const DASHES: [&str; 4] = ["", "6 3", "2 2", "8 3 2 3"];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:14px;font-weight:600}\
.note{fill:#555}.frame{stroke:#888;fill:none}.grid{stroke:#ddd}.back{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.note{fill:#aaa}.grid{stroke:#444}.back{fill:#1b1b1b}}";

impl Chart {
    /// The chart as an SVG document.
    pub fn svg(&self) -> String {
        let (height, body) = self.body();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
             <rect class=\"back\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n",
            title = escape(&self.title)
        )
    }

    /// The chart as a part of an HTML page, without a style of its own: the page says how the classes `title`, `tick`, `axis`,
    /// `note`, `legend`, `grid` and `frame` look.
    pub fn inline(&self) -> String {
        let (height, body) = self.body();
        format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
             aria-label=\"{title}\">\n{body}</svg>\n",
            title = escape(&self.title)
        )
    }

    /// The height of the chart, and what is drawn.
    fn body(&self) -> (f64, String) {
        let all = || self.series.iter().flat_map(|series| &series.points);
        let with_bands = all().flat_map(|point| [Some(point.y), point.band.map(|it| it.0), point.band.map(|it| it.1)]);
        let x = self.x.scale.range(all().map(|point| point.x), true);
        let y = self.y.scale.range(with_bands.flatten(), false);
        let legend = self.legend();
        let height = TOP + PLOT_HEIGHT + BELOW + legend.height + if self.note.is_empty() { 0.0 } else { LINE };
        let mut svg = String::new();
        let title = shortened(&self.title, 14.0, WIDTH - 2.0 * RIGHT);
        text(&mut svg, "title", WIDTH / 2.0, 24.0, "middle", &title);
        self.axes(&mut svg, &x, &y);
        for (index, series) in self.series.iter().enumerate() {
            self.draw(&mut svg, series, index, &x, &y);
        }
        if !all().any(|point| self.shows(point)) {
            text(&mut svg, "note", (LEFT + WIDTH - RIGHT) / 2.0, TOP + PLOT_HEIGHT / 2.0, "middle", "no points");
        }
        svg.push_str(&legend.svg);
        if !self.note.is_empty() {
            let note = shortened(&self.note, SIZE, WIDTH - 2.0 * RIGHT);
            text(&mut svg, "note", RIGHT, height - 8.0, "start", &note);
        }
        (height, svg)
    }

    fn shows(&self, point: &Point) -> bool {
        self.x.scale.shows(point.x) && self.y.scale.shows(point.y)
    }

    fn axes(&self, svg: &mut String, x: &Range, y: &Range) {
        let (left, right, top, bottom) = (LEFT, WIDTH - RIGHT, TOP, TOP + PLOT_HEIGHT);
        let mut last_end = f64::NEG_INFINITY;
        for (value, label) in &x.ticks {
            let at = across(x, *value);
            line(svg, "grid", at, top, at, bottom);
            // Labels that would run into each other are left out.
            let half = width(label, SIZE) / 2.0;
            if at - half > last_end + 6.0 {
                text(svg, "tick", at, bottom + 16.0, "middle", label);
                last_end = at + half;
            }
        }
        for (value, label) in &y.ticks {
            let at = up(y, *value);
            line(svg, "grid", left, at, right, at);
            text(svg, "tick", left - 6.0, at + 4.0, "end", label);
        }
        let (wide, high) = (right - left, bottom - top);
        let _ = writeln!(svg, "<rect class=\"frame\" x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{high}\"/>");
        text(svg, "axis", (left + right) / 2.0, bottom + 36.0, "middle", &shortened(&self.x.title, SIZE, wide));
        let middle = (top + bottom) / 2.0;
        let title = escape(&shortened(&self.y.title, SIZE, high));
        let _ = writeln!(
            svg,
            "<text class=\"axis\" x=\"16\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle})\">\
             {title}</text>"
        );
    }

    fn draw(&self, svg: &mut String, series: &Series, index: usize, x: &Range, y: &Range) {
        let (colour, dash, wide) = look(series, index);
        for piece in series.points.split(|point| !self.shows(point)).filter(|piece| !piece.is_empty()) {
            let banded: Vec<(f64, f64, f64)> = piece
                .iter()
                .filter_map(|point| {
                    let (low, high) = point.band?;
                    // A band may reach below what a logarithmic axis can show.
                    let low = if self.y.scale.shows(low) { up(y, low) } else { TOP + PLOT_HEIGHT };
                    self.y.scale.shows(high).then(|| (across(x, point.x), low, up(y, high)))
                })
                .collect();
            if banded.len() > 1 {
                let there = banded.iter().map(|(at, _, high)| (*at, *high));
                let back = banded.iter().rev().map(|(at, low, _)| (*at, *low));
                let path = path(there.chain(back));
                let _ = writeln!(svg, "<path d=\"{path}Z\" fill=\"{colour}\" fill-opacity=\"0.18\"/>");
            }
            let marked = if piece.len() == 1 || series.look == Look::Marked { piece } else { &[] };
            for point in marked {
                let (at, high) = (across(x, point.x), up(y, point.y));
                let _ = writeln!(svg, "<circle cx=\"{at:.1}\" cy=\"{high:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
            if piece.len() == 1 {
                continue;
            }
            let path = path(piece.iter().map(|point| (across(x, point.x), up(y, point.y))));
            let _ = writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{wide}\" stroke-dasharray=\"{dash}\"/>"
            );
        }
    }

    fn legend(&self) -> Legend {
        let named = self.series.len() > 1 || self.series.iter().any(|series| !series.name.is_empty());
        let mut legend = Legend { svg: String::new(), height: 0.0 };
        if !named {
            return legend;
        }
        let most = WIDTH - 2.0 * RIGHT - 40.0;
        let names: Vec<String> = self.series.iter().map(|series| shortened(&series.name, SIZE, most)).collect();
        // As many columns as the longest name allows.
        let widest = names.iter().map(|name| width(name, SIZE)).fold(0.0, f64::max) + 52.0;
        let columns = ((WIDTH - 2.0 * RIGHT) / widest).floor().clamp(1.0, names.len() as f64) as usize;
        let top = TOP + PLOT_HEIGHT + BELOW;
        for (index, name) in names.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            let (at, y) = (RIGHT + column as f64 * widest, top + row as f64 * LINE + 10.0);
            let (colour, dash, wide) = look(&self.series[index], index);
            let _ = writeln!(
                legend.svg,
                "<path d=\"M{at:.1} {mid:.1}h28\" stroke=\"{colour}\" stroke-width=\"{wide}\" stroke-dasharray=\"{dash}\"/>",
                mid = y - 4.0
            );
            text(&mut legend.svg, "legend", at + 34.0, y, "start", name);
        }
        legend.height = names.len().div_ceil(columns) as f64 * LINE;
        legend
    }
}

struct Legend {
    svg: String,
    height: f64,
}

/// The colour, the dashes and the width of the line with this number.
fn look(series: &Series, index: usize) -> (&'static str, &'static str, f64) {
    match series.look {
        Look::Guide => ("#888", "4 4", 1.0),
        Look::Line | Look::Marked => {
            (COLOURS[index % COLOURS.len()], DASHES[index / COLOURS.len() % DASHES.len()], 1.8)
        }
    }
}

fn across(x: &Range, value: f64) -> f64 {
    LEFT + x.place(value) * (WIDTH - RIGHT - LEFT)
}

fn up(y: &Range, value: f64) -> f64 {
    TOP + (1.0 - y.place(value)) * PLOT_HEIGHT
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    path
}

fn line(svg: &mut String, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
    let _ = writeln!(svg, "<path class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"/>");
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, anchor: &str, words: &str) {
    let words = escape(words);
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

#[cfg(test)]
mod tests {
    use crate::{Axis, Chart, Look, Point, Scale, Series};

    fn chart(scale: Scale, series: Vec<Series>) -> Chart {
        let axis = |title: &str, scale| Axis { title: title.into(), scale };
        let note = "mean and deviation over seed".into();
        Chart { title: "<loss>".into(), x: axis("iteration", Scale::Linear), y: axis("loss", scale), series, note }
    }

    fn series(name: &str, points: &[(f64, f64)]) -> Series {
        Series { name: name.into(), points: points.iter().map(|(x, y)| Point::at(*x, *y)).collect(), look: Look::Line }
    }

    #[test]
    fn lines_have_a_legend_and_names_arrive_as_text() {
        let svg =
            chart(Scale::Linear, vec![series("a & b", &[(0.0, 1.0), (1.0, 2.0)]), series("c", &[(0.0, 2.0)])]).svg();
        assert!(svg.contains("aria-label=\"&lt;loss&gt;\"") && svg.contains(">a &amp; b</text>"), "{svg}");
        assert!(svg.contains("M72.0 ") && svg.contains("L700.0 ") && svg.contains("<circle"), "{svg}");
        assert!(svg.contains("over seed</text>"));
    }

    #[test]
    fn what_cannot_be_shown_interrupts_the_line() {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, 0.0), (3.0, 2.0), (4.0, f64::NAN), (5.0, 4.0), (6.0, 8.0)];
        let svg = chart(Scale::Log, vec![series("", &points)]).svg();
        assert_eq!(svg.matches("stroke-width").count(), 2, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(chart(Scale::Log, Vec::new()).svg().contains("no points"));
    }

    #[test]
    fn a_part_of_a_page_has_no_style_of_its_own() {
        let chart = chart(Scale::Linear, vec![series("a", &[(0.0, 1.0), (1.0, 2.0)])]);
        let (whole, part) = (chart.svg(), chart.inline());
        assert!(whole.contains("<style>") && !part.contains("<style>") && !part.contains("xmlns"), "{part}");
        let drawn = |svg: &str| svg[svg.find("<text").expect("a title")..].to_string();
        assert_eq!(drawn(&whole), drawn(&part));
    }

    #[test]
    fn a_guide_takes_no_colour_and_marks_are_circles() {
        let marked = Series { look: Look::Marked, ..series("a", &[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]) };
        let guide = Series { look: Look::Guide, ..series("b", &[(0.0, 0.0), (2.0, 2.0)]) };
        let svg = chart(Scale::Linear, vec![marked, guide]).svg();
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert!(
            svg.contains("stroke=\"#888\" stroke-width=\"1\" stroke-dasharray=\"4 4\"") && !svg.contains("#d55e00"),
            "{svg}"
        );
    }

    #[test]
    fn a_band_is_drawn_around_its_line() {
        let point = |x: f64| Point { x, y: 2.0, band: Some((-1.0, 3.0)) };
        let line = Series { name: String::new(), points: vec![point(0.0), point(1.0)], look: Look::Line };
        for scale in [Scale::Linear, Scale::Log] {
            let svg = chart(scale, vec![line.clone()]).svg();
            assert!(svg.contains("fill-opacity") && !svg.contains("NaN"), "{svg}");
        }
    }
}
