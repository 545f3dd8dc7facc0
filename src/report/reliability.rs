//! Reliability diagrams: of the answers that networks gave with 80 % confidence, how many were right. A panel for each stage
//! whose documents of results hold `calibration`; nodes of several seeds are one line.

use super::curves::{LINES, Panel, title};
use super::subject::Subject;
use ddpipe_figure::{Axis, Chart, Look, Point, Scale, Series};
use indexmap::IndexMap;
use serde_json::Value;

/// Bins of fewer answers say little, and are not drawn.
const ANSWERS: f64 = 10.0;
/// So many panels there are at most.
const PANELS: usize = 12;

/// The answers of a bin: how many, the sum of their confidences, and how many were right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bin {
    answers: f64,
    confidence: f64,
    right: f64,
}

impl Bin {
    fn is_drawn(&self) -> bool {
        self.answers >= ANSWERS
    }
}

/// The panels, and how many further ones there are.
pub fn of(subject: &Subject) -> (Vec<Panel>, usize) {
    let mut stages: IndexMap<&str, IndexMap<String, Vec<Bin>>> = IndexMap::new();
    for node in &subject.pipeline.nodes {
        for (_, document) in subject.documents(node.id).iter() {
            let Some(bins) = bins(document).filter(|bins| bins.iter().any(Bin::is_drawn)) else { continue };
            let axes = title(node);
            let name = if axes.is_empty() { node.stage.clone() } else { axes };
            let all = stages.entry(&node.stage).or_default().entry(name).or_default();
            all.resize(all.len().max(bins.len()), Bin::default());
            for (sum, bin) in all.iter_mut().zip(&bins) {
                sum.answers += bin.answers;
                sum.confidence += bin.confidence;
                sum.right += bin.right;
            }
        }
    }
    let more = stages.len().saturating_sub(PANELS);
    (stages.into_iter().take(PANELS).map(|(stage, lines)| panel(stage, &lines)).collect(), more)
}

/// The bins of a document of results; none where it has none, or something else.
fn bins(document: &Value) -> Option<Vec<Bin>> {
    let bin = |bin: &Value| {
        let answers = bin["answers"].as_f64().filter(|answers| *answers >= 0.0)?;
        if answers == 0.0 {
            return Some(Bin::default());
        }
        let share = |name: &str| bin[name].as_f64().filter(|share| (0.0..=1.000_001).contains(share));
        Some(Bin { answers, confidence: share("confidence")? * answers, right: share("accuracy")? * answers })
    };
    document["calibration"].as_array()?.iter().map(bin).collect()
}

fn panel(stage: &str, lines: &IndexMap<String, Vec<Bin>>) -> Panel {
    let points = |bins: &[Bin]| {
        let drawn = bins.iter().filter(|bin| bin.is_drawn());
        drawn.map(|bin| Point::at(bin.confidence / bin.answers, bin.right / bin.answers)).collect()
    };
    let line = |(name, bins): (&String, &Vec<Bin>)| {
        let name = format!("{name} (ECE {:.1} %)", 100.0 * calibration_error(bins));
        Series { name, points: points(bins), look: Look::Marked }
    };
    let all: Vec<Series> = lines.iter().map(line).collect();
    let ends = vec![Point::at(0.0, 0.0), Point::at(1.0, 1.0)];
    let ideal = Series { name: "as sure as right".into(), points: ends, look: Look::Guide };
    let chart = Chart {
        title: format!("{stage}: reliability"),
        x: Axis { title: "confidence".into(), scale: Scale::Linear },
        y: Axis { title: "share of right answers".into(), scale: Scale::Linear },
        series: all.iter().take(LINES - 1).cloned().chain([ideal]).collect(),
        note: "below the dashed line networks are surer than they are right, above it less sure".into(),
    };
    let left_out = (all.len() + 1).saturating_sub(LINES);
    Panel::new(chart, "confidence", &all, &format!("{stage}-reliability"), left_out)
}

/// The expected calibration error: how far confidence and accuracy are apart in a bin, on the mean over all answers.
fn calibration_error(bins: &[Bin]) -> f64 {
    let answers: f64 = bins.iter().map(|bin| bin.answers).sum();
    bins.iter().map(|bin| (bin.confidence - bin.right).abs()).sum::<f64>() / answers.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bins_without_answers_are_empty_and_what_is_no_share_is_none() {
        let of = |listed: Value| bins(&json!({ "calibration": listed }));
        let empty = json!({ "answers": 0, "accuracy": null, "confidence": null });
        let found = of(json!([empty, { "answers": 4, "accuracy": 0.5, "confidence": 0.75 }])).unwrap();
        assert_eq!(found, [Bin::default(), Bin { answers: 4.0, confidence: 3.0, right: 2.0 }]);
        assert_eq!(of(json!([{ "answers": 4, "accuracy": 5.0, "confidence": 0.75 }])), None);
        assert_eq!(of(json!("<b>")), None);
    }

    #[test]
    fn a_bin_of_few_answers_is_not_drawn() {
        let lines = IndexMap::from([(
            "dm".to_string(),
            vec![
                Bin { answers: 9.0, confidence: 1.0, right: 9.0 },
                Bin { answers: 100.0, confidence: 90.0, right: 70.0 },
            ],
        )]);
        let panel = panel("evaluate", &lines);
        assert!(panel.svg.contains(">dm (ECE 25.7 %)<") && panel.svg.contains("as sure as right"), "{}", panel.svg);
        let csv = panel.csv.split_once("base64,").unwrap().1;
        use base64::Engine as _;
        let csv = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(csv).unwrap()).unwrap();
        assert_eq!(csv, "line,confidence,value,deviation\r\n\"dm (ECE 25.7 %)\",0.9,0.7,\r\n");
    }
}
