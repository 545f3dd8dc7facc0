//! Accuracy per class, the confusion of classes and reliability diagrams, from the documents of results that have them.

use super::curves::Panel;
use super::nodes::main_results;
use super::reliability;
use super::subject::Subject;
use super::words::Link;
use crate::pipeline::Node;
use serde_json::Value;

/// Results of more classes get no matrix.
const MATRIX: usize = 20;
/// So many columns the accuracies per class may have.
const COLUMNS: usize = 20;
/// So many matrices are shown.
const MATRICES: usize = 12;

/// What is known by class.
pub struct Classes {
    /// The accuracies, a table for results of the same classes.
    pub tables: Vec<Accuracies>,
    /// The confusion of the results.
    pub matrices: Vec<Matrix>,
    /// How many results have a matrix that is not shown.
    pub more: usize,
    /// How often answers are right, by how sure they were.
    pub reliability: Vec<Panel>,
    /// How many stages have such a diagram that is not shown.
    pub more_reliability: usize,
}

/// The accuracies per class of results of the same classes.
pub struct Accuracies {
    /// The classes.
    pub classes: Vec<String>,
    /// Node by node, the accuracies in percent.
    pub rows: Vec<(Link, Vec<Heat>)>,
}

/// A number with the class of its shade.
pub struct Heat {
    /// The number as it is shown.
    pub text: String,
    /// The class of its shade, from `h0` to `h5`.
    pub class: &'static str,
}

/// The confusion of the classes of one result.
pub struct Matrix {
    /// The node.
    pub node: Link,
    /// Its main results, in a line.
    pub results: String,
    /// The classes.
    pub classes: Vec<String>,
    /// Per true class, the share of its images that were taken for each class, in percent.
    pub rows: Vec<(String, Vec<Heat>)>,
    /// The pairs that are taken for one another most often.
    pub worst: String,
}

const SHADES: [&str; 6] = ["h0", "h1", "h2", "h3", "h4", "h5"];

fn heat(share: f64) -> Heat {
    let shade = (share * 5.0).ceil().clamp(0.0, 5.0) as usize;
    let text = if share == 0.0 { "·".into() } else { format!("{:.0}", share * 100.0) };
    Heat { text, class: SHADES[shade] }
}

/// What is known by class; none where no result says anything.
pub fn of(subject: &Subject) -> Option<Classes> {
    let (reliability, more_reliability) = reliability::of(subject);
    let mut classes = Classes { tables: Vec::new(), matrices: Vec::new(), more: 0, reliability, more_reliability };
    for node in &subject.pipeline.nodes {
        for (_, document) in subject.documents(node.id).iter() {
            if let Some((names, shares)) = accuracies(document) {
                let row = (Link::to(subject.pipeline, node.id), shares);
                match classes.tables.iter_mut().find(|it| it.classes == names) {
                    Some(table) => table.rows.push(row),
                    None => classes.tables.push(Accuracies { classes: names, rows: vec![row] }),
                }
            }
            match matrix(subject, node, document) {
                Some(matrix) if classes.matrices.len() < MATRICES => classes.matrices.push(matrix),
                Some(_) => classes.more += 1,
                None => {}
            }
        }
    }
    (!classes.tables.is_empty() || !classes.matrices.is_empty() || !classes.reliability.is_empty()).then_some(classes)
}

fn names(document: &Value, count: usize) -> Vec<String> {
    let given = document["class_names"].as_array().filter(|names| names.len() == count);
    let name = |at: usize| given.and_then(|names| names.get(at)?.as_str()).map_or(at.to_string(), str::to_string);
    (0..count).map(name).collect()
}

/// The classes and their accuracies.
fn accuracies(document: &Value) -> Option<(Vec<String>, Vec<Heat>)> {
    let shares: Vec<f64> = document["per_class"].as_array()?.iter().map(Value::as_f64).collect::<Option<_>>()?;
    if shares.is_empty() || shares.len() > COLUMNS || !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
        return None;
    }
    let cell = |share: &f64| Heat { text: format!("{:.1}", share * 100.0), class: heat(*share).class };
    Some((names(document, shares.len()), shares.iter().map(cell).collect()))
}

fn matrix(subject: &Subject, node: &Node, document: &Value) -> Option<Matrix> {
    let row = |row: &Value| -> Option<Vec<f64>> { row.as_array()?.iter().map(Value::as_f64).collect() };
    let counts: Vec<Vec<f64>> = document["confusion"].as_array()?.iter().map(row).collect::<Option<_>>()?;
    if counts.len() < 2 || counts.len() > MATRIX || counts.iter().any(|row| row.len() != counts.len()) {
        return None;
    }
    let names = names(document, counts.len());
    let mut pairs: Vec<(f64, String)> = Vec::new();
    let mut rows = Vec::new();
    for (truth, row) in counts.iter().enumerate() {
        let all: f64 = row.iter().sum();
        let share = |count: f64| if all > 0.0 { count / all } else { 0.0 };
        for (taken, count) in row.iter().enumerate().filter(|(taken, _)| *taken != truth) {
            pairs.push((
                share(*count),
                format!("{} for {} ({:.0} %)", names[truth], names[taken], share(*count) * 100.0),
            ));
        }
        rows.push((names[truth].clone(), row.iter().map(|count| heat(share(*count))).collect()));
    }
    pairs.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let worst: Vec<String> =
        pairs.into_iter().filter(|(share, _)| *share > 0.0).take(3).map(|(_, words)| words).collect();
    Some(Matrix {
        node: Link::to(subject.pipeline, node.id),
        results: main_results(subject, node),
        classes: names,
        rows,
        worst: worst.join(", "),
    })
}
