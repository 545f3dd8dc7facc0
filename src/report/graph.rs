//! The graph of a pipeline as a drawing in layers: a box for each stage with what became of its nodes, an edge where one of them
//! reads another. A box leads to the nodes of its stage.

use super::behind::stage_href;
use super::standing::Standing;
use super::subject::Subject;
use ddpipe_figure::escape;
use indexmap::{IndexMap, IndexSet};
use std::fmt::Write as _;

/// Width and height of a box, and the room between boxes.
const WIDTH: f64 = 172.0;
const HEIGHT: f64 = 42.0;
const ACROSS: f64 = 44.0;
const DOWN: f64 = 12.0;
/// So many letters of a name are shown.
const LETTERS: usize = 21;
/// So many letters a kind and the counts have together.
const ROOM: usize = 25;
/// How often the order within the layers is improved.
const SWEEPS: usize = 6;
/// More stages are not drawn.
const MOST: usize = 400;

/// A stage of the drawing.
struct Stage {
    name: String,
    kind: String,
    href: String,
    counts: IndexMap<Standing, usize>,
    reads: IndexSet<usize>,
    layer: usize,
    place: f64,
}

/// The drawing, as SVG; none where there are too many stages.
pub fn of(subject: &Subject) -> Option<String> {
    let mut stages = stages(subject);
    if stages.len() > MOST {
        return None;
    }
    arrange(&mut stages);
    Some(draw(&stages, &subject.pipeline.name))
}

fn stages(subject: &Subject) -> Vec<Stage> {
    let mut places: IndexMap<&str, usize> = IndexMap::new();
    let mut stages: Vec<Stage> = Vec::new();
    for node in &subject.pipeline.nodes {
        let at = *places.entry(&node.stage).or_insert_with(|| {
            stages.push(Stage {
                name: node.stage.clone(),
                kind: node.kind.clone(),
                href: stage_href(subject.pipeline, &node.stage),
                counts: IndexMap::new(),
                reads: IndexSet::new(),
                layer: 0,
                place: 0.0,
            });
            stages.len() - 1
        });
        *stages[at].counts.entry(subject.facts(node.id).standing).or_default() += 1;
        if stages[at].kind != node.kind {
            // A matrix over kinds: the group alone.
            stages[at].kind = node.kind.split('.').next().unwrap_or_default().to_string() + ".*";
        }
        for read in subject.graph.reads(node.id) {
            let from = places.get(subject.pipeline.node(read).stage.as_str()).copied();
            stages[at].reads.extend(from.filter(|from| *from != at));
        }
    }
    stages
}

/// Gives every stage its layer and its place in it.
fn arrange(stages: &mut [Stage]) {
    // Stages stand after most of what they read, but those of one matrix may be interleaved: until nothing changes.
    for _ in 0..stages.len() {
        let mut changed = false;
        for at in 0..stages.len() {
            let layer = stages[at].reads.iter().map(|read| stages[*read].layer + 1).max().unwrap_or(0);
            let layer = layer.min(stages.len());
            changed |= std::mem::replace(&mut stages[at].layer, layer) != layer;
        }
        if !changed {
            break;
        }
    }
    // What reads nothing stands just before its first reader.
    for at in 0..stages.len() {
        let first = stages.iter().filter(|reader| reader.reads.contains(&at)).map(|reader| reader.layer).min();
        if let Some(first) = first.filter(|_| stages[at].reads.is_empty()) {
            stages[at].layer = first.saturating_sub(1);
        }
    }
    let layers = stages.iter().map(|stage| stage.layer).max().unwrap_or(0) + 1;
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); layers];
    for (at, stage) in stages.iter().enumerate() {
        order[stage.layer].push(at);
    }
    settle(stages, &order);
    for sweep in 0..SWEEPS {
        for layer in 0..layers {
            let layer = if sweep % 2 == 0 { layer } else { layers - 1 - layer };
            let mut wanted: Vec<(f64, usize)> =
                order[layer].iter().map(|at| (middle(stages, *at, sweep % 2 == 0), *at)).collect();
            wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
            order[layer] = wanted.into_iter().map(|(_, at)| at).collect();
            settle(stages, &order);
        }
    }
}

/// The middle of what a stage reads, or of what reads it; its own place where there is nothing.
fn middle(stages: &[Stage], at: usize, of_reads: bool) -> f64 {
    let others: Vec<f64> = match of_reads {
        true => stages[at].reads.iter().map(|read| stages[*read].place).collect(),
        false => stages.iter().filter(|reader| reader.reads.contains(&at)).map(|reader| reader.place).collect(),
    };
    if others.is_empty() { stages[at].place } else { others.iter().sum::<f64>() / others.len() as f64 }
}

/// Spreads each layer around the common middle.
fn settle(stages: &mut [Stage], order: &[Vec<usize>]) {
    let most = order.iter().map(Vec::len).max().unwrap_or(0) as f64;
    for layer in order {
        let first = (most - layer.len() as f64) / 2.0;
        for (at, stage) in layer.iter().enumerate() {
            stages[*stage].place = first + at as f64;
        }
    }
}

fn draw(stages: &[Stage], name: &str) -> String {
    let layers = stages.iter().map(|stage| stage.layer).max().unwrap_or(0) as f64 + 1.0;
    let most = stages.iter().map(|stage| stage.place).fold(0.0, f64::max) + 1.0;
    let (wide, high) = (layers * (WIDTH + ACROSS) - ACROSS + 4.0, most * (HEIGHT + DOWN) - DOWN + 4.0);
    let x = |stage: &Stage| stage.layer as f64 * (WIDTH + ACROSS) + 2.0;
    let y = |stage: &Stage| stage.place * (HEIGHT + DOWN) + 2.0;
    let mut svg = format!(
        "<svg class=\"drawing\" viewBox=\"0 0 {wide:.0} {high:.0}\" width=\"{wide:.0}\" height=\"{high:.0}\" role=\"group\" \
         aria-label=\"Graph of the stages of {}\">\n",
        escape(name)
    );
    for stage in stages {
        for read in &stage.reads {
            let from = &stages[*read];
            let (x1, y1) = (x(from) + WIDTH, y(from) + HEIGHT / 2.0);
            let (x2, y2) = (x(stage), y(stage) + HEIGHT / 2.0);
            let bend = ((x2 - x1) / 2.0).clamp(ACROSS / 2.0, ACROSS);
            let _ = writeln!(
                svg,
                "<path class=\"edge\" d=\"M{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}\"/>",
                x1 + bend,
                x2 - bend
            );
        }
    }
    for stage in stages {
        let (x, y) = (x(stage), y(stage));
        let all: usize = stage.counts.values().sum();
        let mut counts: Vec<(Standing, usize)> =
            stage.counts.iter().map(|(standing, count)| (*standing, *count)).collect();
        counts.sort();
        let words: Vec<String> =
            counts.iter().map(|(standing, count)| format!("{count} {}", standing.word())).collect();
        let _ = write!(
            svg,
            "<a href=\"{}\"><title>{}: {}</title><rect class=\"box\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"4\"/>",
            stage.href,
            escape(&stage.name),
            escape(&words.join(", "))
        );
        let mut top = y + 1.0;
        for (standing, count) in &counts {
            let part = (HEIGHT - 2.0) * *count as f64 / all.max(1) as f64;
            let class = standing.class();
            let _ = write!(
                svg,
                "<rect class=\"bar fill-{class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"5\" height=\"{part:.1}\"/>",
                x + 1.0
            );
            top += part;
        }
        let signs: Vec<String> = counts.iter().map(|(standing, count)| format!("{}{count}", standing.sign())).collect();
        let signs = signs.join(" ");
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text><text class=\"small\" x=\"{:.1}\" y=\"{:.1}\">{} · {}</text></a>",
            x + 12.0,
            y + 17.0,
            escape(&cut(&stage.name, LETTERS)),
            x + 12.0,
            y + 33.0,
            escape(&cut(&stage.kind, ROOM.saturating_sub(signs.chars().count()))),
            signs
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The name, without its end if it is long.
fn cut(name: &str, letters: usize) -> String {
    if name.chars().count() <= letters {
        return name.to_string();
    }
    name.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, reads: &[usize]) -> Stage {
        let counts = IndexMap::from([(Standing::Ran, 2), (Standing::Failed, 1)]);
        let (kind, href) = ("k".to_string(), "#s0".to_string());
        Stage { name: name.into(), kind, href, counts, reads: reads.iter().copied().collect(), layer: 0, place: 0.0 }
    }

    #[test]
    fn a_stage_stands_behind_all_that_it_reads() {
        let mut stages = vec![stage("a", &[]), stage("b", &[0]), stage("late", &[]), stage("c", &[0, 1, 2])];
        arrange(&mut stages);
        assert_eq!(stages.iter().map(|stage| stage.layer).collect::<Vec<_>>(), [0, 1, 1, 2]);
        let mut places: Vec<(usize, u64)> =
            stages.iter().map(|stage| (stage.layer, (stage.place * 2.0) as u64)).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), stages.len(), "no two boxes at one place");
    }

    #[test]
    fn names_arrive_as_text() {
        let mut stages = vec![stage("<script>alert(1)</script>\"'&", &[])];
        arrange(&mut stages);
        let svg = draw(&stages, "</svg><img src=x>");
        assert!(!svg.contains("<script") && !svg.contains("<img") && svg.contains("✕1 ✓2"), "{svg}");
    }
}
