//! A view as the lines of a frame that fits a terminal: a header, one counter for the whole run, and one line per running
//! stage. No line takes the last column, and there are fewer lines than rows. Pure.

use super::view::{Left, Stage, View};
use super::words::{columns, count, cut, guess, loss, padded, rate, shortened, unit, whole};
use crate::terminal::{Colour, Style};
use crate::visible::visible;
use std::time::Duration;

/// Columns of a bar.
const BAR: usize = 24;
/// A terminal of fewer columns has room for the counter.
const NARROWEST: usize = 20;
/// A name has so many columns at least, if it has as many letters.
const NAME: usize = 16;
/// Wider lines are hard to read.
const WIDEST: usize = 120;

/// The frame's lines for a terminal of so many columns and rows.
pub fn frame(view: &View, style: Style, (wide, high): (usize, usize)) -> Vec<String> {
    let wide = wide.saturating_sub(1).clamp(1, WIDEST);
    if wide < NARROWEST {
        return vec![counter(view, style, wide)];
    }
    let mut lines = Vec::new();
    if view.begun.is_some() {
        lines.push(header(view, style, wide));
        lines.push(counter(view, style, wide));
    }
    let room = high.saturating_sub(1 + lines.len()).max(1);
    let downloads = view.downloads.iter().map(|(file, (done, total))| download(file, *done, *total, style, wide));
    let mut rows: Vec<String> = downloads.collect();
    let stages: Vec<(&String, &Stage)> = view.running.iter().collect();
    let all = rows.len() + stages.len();
    // One row is for the number of those that have none.
    let shown = if all > room { room.saturating_sub(1) } else { all };
    rows.truncate(shown);
    let shown = &stages[..shown.saturating_sub(rows.len()).min(stages.len())];
    rows.extend(stage_lines(shown, view, style, wide));
    if all > rows.len() {
        let more = format!("  and {} more", all - rows.len());
        rows.push(style.paint(Colour::Dim, &cut(&more, wide, style.gap())));
    }
    lines.extend(rows);
    lines.truncate(high.saturating_sub(1).max(1));
    lines
}

/// `sweep  36 nodes, 4 on record            run 20261128-0423`.
fn header(view: &View, style: Style, wide: usize) -> String {
    let Some(begun) = &view.begun else { return String::new() };
    let nodes = format!("{}, {} on record", count(begun.nodes, "node"), begun.fresh);
    let run = format!("run {}", begun.run);
    let name = visible(&begun.pipeline);
    let rest = columns(&nodes) + 2;
    let name = shortened(&name, wide.saturating_sub(rest).max(NAME.min(wide)), style.gap());
    let left = cut(&format!("{name}  {nodes}"), wide, style.gap());
    let gap = wide.saturating_sub(columns(&left) + columns(&run));
    match gap {
        0 | 1 => left,
        gap => format!("{left}{}{}", " ".repeat(gap), style.paint(Colour::Dim, &run)),
    }
}

/// `  [12/32]  1 min 10 s, about 2 min left`.
fn counter(view: &View, style: Style, wide: usize) -> String {
    let (done, all) = view.done();
    let left = match view.left() {
        Left::About(seconds) => format!("about {} left", guess(seconds)),
        Left::AtLeast(seconds) => format!("at least {} left", guess(seconds)),
        Left::Unknown => "time left unknown".to_string(),
    };
    cut(&format!("  [{done}/{all}]  {}, {left}", whole(view.now().as_secs_f64())), wide, style.gap())
}

/// The lines of the running stages, in common columns.
fn stage_lines(stages: &[(&String, &Stage)], view: &View, style: Style, wide: usize) -> Vec<String> {
    let names: Vec<String> = stages.iter().map(|(name, _)| visible(name).into_owned()).collect();
    let longest = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let text = |words: Words| stages.iter().map(move |(_, stage)| Said::of(stage, view.now(), words));
    let wanted = |words: Words, bar: usize| text(words).map(|said| said.columns(bar)).max().unwrap_or(0);
    // The richest form that fits, with so many columns for names at least.
    let forms = [
        (longest, Words::All, BAR),
        (longest, Words::All, BAR / 2),
        (longest, Words::NoUnit, BAR / 2),
        (longest.min(2 * NAME), Words::NoUnit, BAR / 3),
        (longest.min(3 * NAME / 2), Words::NoRate, BAR / 3),
        (longest.min(NAME), Words::Steps, BAR / 3),
    ];
    let fits = |(least, words, bar): &(usize, Words, usize)| 2 + least + 2 + wanted(*words, *bar) <= wide;
    let (least, words, bar) = forms.into_iter().find(fits).unwrap_or((longest.min(NAME), Words::Steps, 0));
    let room = wide.saturating_sub(4 + wanted(words, bar)).max(least.min(wide / 2));
    let name_wide = longest.min(room);
    let line = |(name, said): (&String, Said)| {
        let name = padded(&shortened(name, name_wide, style.gap()), name_wide);
        let rest = wide.saturating_sub(2 + columns(&name) + 2);
        format!("  {name}  {}", said.line(bar, style, rest))
    };
    names.iter().zip(text(words)).map(line).collect()
}

/// How much is said of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    All,
    NoUnit,
    NoRate,
    Steps,
}

/// What is said of a stage behind its name.
struct Said {
    share: Option<f64>,
    text: String,
}

impl Said {
    fn of(stage: &Stage, now: Duration, words: Words) -> Self {
        let since = |then: Duration| whole(now.saturating_sub(then).as_secs_f64());
        if let Some(last) = stage.finishing() {
            return Said { share: None, text: format!("finishing, {}", since(last)) };
        }
        let Some((step, total, _)) = stage.steps else {
            return Said { share: None, text: format!("runs, {}", since(stage.since)) };
        };
        let mut parts = vec![format!("{step}/{total}")];
        if words == Words::All && !stage.unit.is_empty() {
            parts[0].push_str(&format!(" {}", visible(&unit(&stage.unit, total))));
        }
        if words != Words::Steps {
            parts.extend(stage.loss.map(|value| format!("loss {}", loss(value))));
            if words != Words::NoRate {
                parts.extend(stage.per_second(now).map(rate));
            }
        }
        parts.extend(stage.left(now, None).map(|seconds| format!("{} left", guess(seconds))));
        Said { share: Some(step as f64 / total.max(1) as f64), text: parts.join("  ") }
    }

    fn columns(&self, bar: usize) -> usize {
        let bar = if self.share.is_some() && bar > 0 { bar + 1 } else { 0 };
        bar + columns(&self.text)
    }

    fn line(&self, bar: usize, style: Style, wide: usize) -> String {
        match self.share.filter(|_| bar > 0 && bar + 1 < wide) {
            Some(share) => {
                let full = ((share.clamp(0.0, 1.0) * bar as f64).round() as usize).min(bar);
                let (done, open) = (style.sign("━", "#").repeat(full), style.sign("─", "-").repeat(bar - full));
                let done = style.paint(Colour::Green, &done);
                let open = style.paint(Colour::Dim, &open);
                format!("{done}{open} {}", cut(&self.text, wide - bar - 1, style.gap()))
            }
            None => cut(&self.text, wide, style.gap()),
        }
    }
}

fn download(file: &str, done: u64, total: Option<u64>, style: Style, wide: usize) -> String {
    let show = crate::size::show;
    let bytes = match total {
        Some(total) => format!("{} of {}", show(done), show(total)),
        None => show(done),
    };
    let room = wide.saturating_sub(columns(&bytes) + 4).max(NAME.min(wide));
    let file = shortened(&visible(file), room, style.gap());
    cut(&format!("  {file}  {bytes}"), wide, style.gap())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::event::{Event, Outcome, Status};

    pub fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    pub fn begun(nodes: usize, fresh: usize) -> Event {
        Event::Begun { pipeline: "sweep".into(), run: "20261128-042311-ab12".into(), nodes, fresh }
    }

    pub fn started(node: &str) -> Event {
        let (kind, slot) = ("distill.dm".into(), "cpu".into());
        Event::Started { node: node.into(), kind, slot, reasons: vec![crate::reason::Reason::Forced], continues: None }
    }

    pub fn progress(node: &str, step: u64, total: u64, unit: &str) -> Event {
        Event::Progress { node: node.into(), step, total, loss: Some(22.61), unit: unit.into() }
    }

    pub fn expected(jobs: usize, seconds: &[(&str, Option<f64>)]) -> Event {
        let seconds = seconds.iter().map(|(node, seconds)| (node.to_string(), *seconds)).collect();
        Event::Expected { jobs, seconds }
    }

    pub fn finished(node: &str, status: Status) -> Event {
        Event::Finished(Outcome { status, ..Outcome::of(node) })
    }

    const PLAIN: Style = Style { colour: false, unicode: true };

    fn view(nodes: &[&str]) -> View {
        let mut view = View::default();
        view.note(&begun(36, 4), at(0.0));
        let seconds: Vec<_> = nodes.iter().map(|node| (*node, Some(140.0))).collect();
        view.note(&expected(2, &seconds), at(0.0));
        for node in nodes {
            view.note(&started(node), at(0.0));
            (0..=12).for_each(|step| view.note(&progress(node, step, 30, "iteration"), at(step as f64)));
        }
        view
    }

    #[test]
    fn eighty_columns_show_all_that_counts() {
        let view = view(&["distill[lr_img=1.0,seed=0]"]);
        assert_eq!(
            frame(&view, PLAIN, (80, 24)),
            [
                "sweep  36 nodes, 4 on record                           run 20261128-042311-ab12",
                "  [0/32]  12 s, about 20 s left",
                "  distill[lr_img=1.0,seed=0]  ━━━━━─────── 12/30  loss 22.6  1.0/s  20 s left",
            ]
            .map(|line| line.to_string())
        );
    }

    #[test]
    fn no_line_wraps_and_no_frame_is_higher_than_its_terminal() {
        let long = "distill_with_a_rather_long_name_that_some_people_like_to_give[lr_img=1.0,networks=300]";
        let names: Vec<String> = (0..60).map(|number| format!("{long}{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (few, many) = (view(&[long, "short"]), view(&names));
        for style in [PLAIN, Style::default()] {
            for wide in 1..=200 {
                for high in [1, 2, 3, 5, 24] {
                    for view in [&few, &many] {
                        let lines = frame(view, style, (wide, high));
                        assert!(lines.len() <= high.saturating_sub(1).max(1), "{high} rows: {lines:#?}");
                        let widest = lines.iter().map(|line| columns(line)).max().unwrap();
                        assert!(widest < wide.max(2), "{wide} columns: {lines:#?}");
                        assert!(style.unicode || lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
                    }
                }
            }
        }
        let lines = frame(&many, PLAIN, (80, 24));
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (23, "  and 40 more"));
        // Narrow or wide, the name can be told and the steps are there.
        for wide in [60, 80, 140, 200] {
            let lines = frame(&few, PLAIN, (wide, 24));
            assert!(lines[2].starts_with("  distill") && lines[2].contains("12/30"), "{wide}: {lines:#?}");
        }
        assert!(frame(&few, PLAIN, (140, 24))[2].contains("loss 22.6"));
    }

    #[test]
    fn what_is_not_known_is_not_shown_as_known() {
        let mut view = View::default();
        view.note(&begun(2, 0), at(0.0));
        view.note(&started("a"), at(0.0));
        view.note(&started("b"), at(0.0));
        view.note(&progress("b", 3, 3, "steps"), at(4.0));
        view.tick(at(6.5));
        let lines = frame(&view, PLAIN, (80, 24));
        assert_eq!(lines[1..], ["  [0/2]  6 s, time left unknown", "  a  runs, 6 s", "  b  finishing, 2 s"]);
    }
}
