//! Where the time went: what ran when in lanes, and per stage what this run took, what was saved because it was on record, and
//! what a run from nothing would take, as the records say it.

use super::behind::stage_href;
use super::standing::Standing;
use super::subject::Subject;
use super::words::Link;
use crate::progress::duration;
use crate::size;
use ddpipe_figure::escape;
use indexmap::IndexMap;
use std::fmt::Write as _;

/// The width of the drawing, and the height of a lane.
const WIDTH: f64 = 1100.0;
const LANE: f64 = 26.0;
/// Left of the lanes.
const LEFT: f64 = 64.0;
/// More bars are not drawn: the longest ones are.
const BARS: usize = 3000;
/// A label needs so much room for each letter.
const LETTER: f64 = 6.6;
/// Colours of Okabe and Ito; further stages are grey.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];
const OTHER: &str = "#8a8f96";
/// So many stages have a row of their own.
const STAGES: usize = 14;
/// Steps of the axis in seconds.
const STEPS: [f64; 19] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0,
    43200.0,
];

/// Where the time went.
pub struct Time {
    /// What ran when, as SVG; empty where nothing ran.
    pub lanes: String,
    /// The stages that take longest.
    pub stages: Vec<Cost>,
    /// The others together.
    pub others: Option<Cost>,
    /// The sums: this run, saved, from nothing.
    pub sums: [String; 3],
}

/// What a stage took.
pub struct Cost {
    /// The stage.
    pub stage: Link,
    /// The colour of its bars.
    pub colour: &'static str,
    /// How many nodes it has.
    pub nodes: usize,
    /// What it took in this run.
    pub ran: String,
    /// What was saved because it was on record.
    pub saved: String,
    /// What it takes from nothing.
    pub whole: String,
    /// The same in seconds.
    pub seconds: f64,
    /// The most memory that a node of it needed.
    pub memory: String,
}

#[derive(Default)]
struct Sum {
    nodes: usize,
    ran: f64,
    saved: f64,
    whole: f64,
    memory: u64,
}

/// Where the time went; none where nothing is known of it.
pub fn of(subject: &Subject) -> Option<Time> {
    let mut sums: IndexMap<&str, Sum> = IndexMap::new();
    for node in &subject.pipeline.nodes {
        let facts = subject.facts(node.id);
        let sum = sums.entry(&node.stage).or_default();
        sum.nodes += 1;
        sum.ran += facts.seconds;
        if let Some(record) = &facts.record {
            let seconds = record.provenance.seconds;
            sum.whole += seconds;
            sum.saved += if facts.standing == Standing::OnRecord { seconds } else { 0.0 };
            sum.memory = sum.memory.max(record.provenance.peak_memory.unwrap_or(0));
        }
    }
    sums.retain(|_, sum| sum.whole > 0.0 || sum.ran > 0.0);
    if sums.is_empty() {
        return None;
    }
    sums.sort_by(|_, one, _, other| other.whole.max(other.ran).total_cmp(&one.whole.max(one.ran)));
    let total = |of: &dyn Fn(&Sum) -> f64| duration(sums.values().map(of).sum());
    let total = [total(&|sum| sum.ran), total(&|sum| sum.saved), total(&|sum| sum.whole)];
    let time = |seconds: f64| if seconds > 0.0 { duration(seconds) } else { "–".to_string() };
    let cost = |(at, (stage, sum)): (usize, (&&str, &Sum))| Cost {
        stage: Link { text: stage.to_string(), href: stage_href(subject.pipeline, stage) },
        colour: COLOURS.get(at).copied().unwrap_or(OTHER),
        nodes: sum.nodes,
        ran: time(sum.ran),
        saved: time(sum.saved),
        whole: time(sum.whole),
        seconds: sum.whole,
        memory: if sum.memory > 0 { size::show(sum.memory) } else { "–".into() },
    };
    let shown = if sums.len() > STAGES + 1 { STAGES } else { sums.len() };
    let stages: Vec<Cost> = sums.iter().take(shown).enumerate().map(cost).collect();
    let rest = sums.values().skip(shown).fold(Sum::default(), |all, sum| Sum {
        nodes: all.nodes + sum.nodes,
        ran: all.ran + sum.ran,
        saved: all.saved + sum.saved,
        whole: all.whole + sum.whole,
        memory: all.memory.max(sum.memory),
    });
    let name = format!("{} other stages", sums.len() - shown);
    let others = (rest.nodes > 0).then(|| Cost {
        stage: Link { text: name.clone(), href: "#nodes".into() },
        ..cost((COLOURS.len(), (&name.as_str(), &rest)))
    });
    Some(Time { lanes: lanes(subject, &stages), stages, others, sums: total })
}

/// A bar.
struct Bar<'a> {
    node: &'a crate::pipeline::Node,
    from: f64,
    to: f64,
}

fn lanes(subject: &Subject, stages: &[Cost]) -> String {
    let now = subject.journal.seconds;
    let mut bars: Vec<Bar> = subject
        .pipeline
        .nodes
        .iter()
        .filter_map(|node| {
            let work = subject.journal.works.get(&node.address)?;
            let (from, to) = (work.begun?, work.ended.unwrap_or(now));
            // Its record may have been written while the slot was at work on the next one.
            let seconds = work.outcome.as_ref().map_or(f64::INFINITY, |outcome| outcome.seconds);
            Some(Bar { node, from, to: to.min(from + seconds) })
        })
        .collect();
    bars.sort_by(|one, other| (other.to - other.from).total_cmp(&(one.to - one.from)));
    bars.truncate(BARS);
    bars.sort_by(|one, other| one.from.total_cmp(&other.from));
    let Some(end) = bars.iter().map(|bar| bar.to).reduce(f64::max).filter(|end| *end > 0.0) else {
        return String::new();
    };
    let slot = |bar: &Bar| subject.journal.works.get(&bar.node.address).map_or("", |work| work.slot.as_str());
    // Lanes of one slot lie together; in each, one node after the other.
    let mut busy: IndexMap<&str, Vec<f64>> = IndexMap::new();
    let mut placed: Vec<(&Bar, &str, usize)> = Vec::with_capacity(bars.len());
    for bar in &bars {
        let until = busy.entry(slot(bar)).or_default();
        let lane = until.iter().position(|until| *until <= bar.from + 1e-3).unwrap_or(until.len());
        if lane == until.len() {
            until.push(0.0);
        }
        until[lane] = bar.to;
        placed.push((bar, slot(bar), lane));
    }
    busy.sort_keys();
    let first =
        |slot: &str| busy.iter().take_while(|(name, _)| **name != slot).map(|(_, lanes)| lanes.len()).sum::<usize>();
    let count: usize = busy.values().map(Vec::len).sum();
    let high = count as f64 * LANE + 26.0;
    let scale = (WIDTH - LEFT - 8.0) / end;
    let mut svg = format!(
        "<svg class=\"drawing\" viewBox=\"0 0 {WIDTH} {high}\" width=\"{WIDTH}\" height=\"{high}\" role=\"group\" \
         aria-label=\"What ran when, in {}\">\n",
        if count == 1 { "one lane".to_string() } else { format!("{count} lanes") }
    );
    let step = STEPS.iter().copied().find(|step| end / step <= 9.0).unwrap_or_else(|| end / 8.0);
    let mut tick = 0.0;
    while tick <= end {
        let at = LEFT + tick * scale;
        let bottom = high - 22.0;
        let _ = write!(svg, "<path class=\"grid\" d=\"M{at:.1} 0V{bottom:.1}\"/>");
        let _ = writeln!(
            svg,
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            high - 6.0,
            label(tick)
        );
        tick += step;
    }
    for (name, lanes) in &busy {
        let y = (first(name) as f64 + lanes.len() as f64 / 2.0) * LANE + 4.0;
        let _ = writeln!(svg, "<text x=\"0\" y=\"{y:.1}\">{}</text>", escape(name));
    }
    for (bar, slot, lane) in placed {
        let colour = stages.iter().find(|cost| cost.stage.text == bar.node.stage).map_or(OTHER, |cost| cost.colour);
        let (x, wide) = (LEFT + bar.from * scale, ((bar.to - bar.from) * scale).max(0.8));
        let y = (first(slot) + lane) as f64 * LANE + 2.0;
        let address = bar.node.address();
        let _ = write!(
            svg,
            "<a href=\"#n{}\"{}><title>{}, {}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{}\" rx=\"2\" fill=\"{colour}\" fill-opacity=\"0.75\"/>",
            bar.node.id.0,
            // Short ones would be many stops of the tab key; the list of nodes has all.
            if wide < 40.0 { " tabindex=\"-1\"" } else { "" },
            escape(&address),
            duration(bar.to - bar.from),
            LANE - 4.0
        );
        let room = ((wide - 8.0) / LETTER) as usize;
        if room >= 6 {
            let name: String = if address.chars().count() <= room {
                address
            } else {
                address.chars().take(room - 1).chain(['…']).collect()
            };
            let _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x + 4.0, y + 15.0, escape(&name));
        }
        svg.push_str("</a>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// `0`, `30 s`, `5 min`, `2 h`.
fn label(seconds: f64) -> String {
    match seconds {
        0.0 => "0".into(),
        s if s < 60.0 => format!("{} s", crate::number::significant(s)),
        s if s < 3600.0 => match s % 60.0 {
            rest if rest < 0.5 => format!("{:.0} min", s / 60.0),
            rest => format!("{:.0} min {rest:.0} s", (s / 60.0).floor()),
        },
        s => format!("{} h", crate::number::significant(s / 3600.0)),
    }
}
