//! Accuracy by how far the people who made the labels agreed: images that divide them are hard for networks too.

use super::mean_std;
use crate::transfer;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::Tensor;

/// How many people voted on every image of a data set with votes.
pub const ANNOTATORS: i64 = 7;

/// Images, and those whose class was found, by how many annotators chose class 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    counts: [Counts; ANNOTATORS as usize + 1],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    images: u64,
    right: u64,
}

impl Agreement {
    /// Adds images by their votes, labels and predictions, \[N\] int64 each.
    pub fn count(&mut self, votes: &Tensor, labels: &Tensor, predictions: &Tensor) -> Result<()> {
        let [votes, labels, predictions] = [votes, labels, predictions].map(transfer::numbers::<i64>);
        self.count_read(&votes?, &labels?, &predictions?)
    }

    /// Adds images whose votes, labels and predictions were read already, as many of each.
    pub fn count_read(&mut self, votes: &[i64], labels: &[i64], predictions: &[i64]) -> Result<()> {
        let (Some(low), Some(high)) = (votes.iter().min(), votes.iter().max()) else { return Ok(()) };
        ensure!(
            *low >= 0 && *high <= ANNOTATORS,
            "votes go from {low} to {high}, but there are {ANNOTATORS} annotators"
        );
        for ((&votes, label), prediction) in votes.iter().zip(labels).zip(predictions) {
            if let Some(counts) = self.counts.get_mut(votes as usize) {
                counts.images += 1;
                counts.right += u64::from(label == prediction);
            }
        }
        Ok(())
    }

    /// By votes for class 1, `"0"` to `"7"`; groups without images are left out.
    fn by_votes(&self) -> Vec<(String, Counts)> {
        let named = self.counts.iter().enumerate().map(|(votes, counts)| (votes.to_string(), *counts));
        named.filter(|(_, counts)| counts.images > 0).collect()
    }

    /// By the share of annotators who agree with the majority, `4/7` to `7/7`, with their number.
    fn by_majority(&self) -> Vec<(usize, Counts)> {
        let last = self.counts.len() - 1;
        let both = |votes: usize| {
            let (for_it, against) = (self.counts[votes], self.counts[last - votes]);
            Counts { images: for_it.images + against.images, right: for_it.right + against.right }
        };
        (last / 2 + 1..=last).map(|votes| (votes, both(votes))).filter(|(_, counts)| counts.images > 0).collect()
    }
}

/// What the passes of several networks over the same images say together; nothing when one of them had no votes.
#[derive(Debug)]
pub struct AgreementReport {
    /// `by_agreement` (votes for class 1) and `by_majority` (share with the majority): of each group its images, the
    /// mean accuracy and, of several networks, its deviation.
    pub documents: [(&'static str, Value); 2],
    /// `accuracy_4_of_7` to `accuracy_7_of_7`.
    pub scalars: Vec<(String, f64)>,
}

impl AgreementReport {
    /// The report of these passes.
    pub fn of<'a>(passes: impl Iterator<Item = Option<&'a Agreement>>) -> Option<Self> {
        let passes = passes.collect::<Option<Vec<_>>>().filter(|passes| !passes.is_empty())?;
        let by_votes: Vec<_> = passes.iter().map(|pass| pass.by_votes()).collect();
        let by_majority: Vec<_> = passes.iter().map(|pass| pass.by_majority()).collect();
        let scalars = groups(&by_majority);
        let fraction = |votes: &usize| format!("{votes}/{ANNOTATORS}");
        Some(AgreementReport {
            documents: [
                ("by_agreement", document(&groups(&by_votes), String::clone)),
                ("by_majority", document(&scalars, fraction)),
            ],
            scalars: scalars
                .iter()
                .map(|(votes, _, accuracies)| (format!("accuracy_{votes}_of_{ANNOTATORS}"), mean_std(accuracies).0))
                .collect(),
        })
    }
}

/// A group's name, its images, and the accuracy of each network on them.
type Group<N> = (N, u64, Vec<f64>);

/// The networks saw the same images, so each has the same groups.
fn groups<N: Clone>(passes: &[Vec<(N, Counts)>]) -> Vec<Group<N>> {
    let accuracy = |index: usize| passes.iter().filter_map(move |pass| pass.get(index)).map(|(_, counts)| counts);
    let group = |(index, (name, counts)): (usize, &(N, Counts))| {
        let accuracies = accuracy(index).map(|counts| counts.right as f64 / counts.images as f64).collect();
        (name.clone(), counts.images, accuracies)
    };
    passes.first().into_iter().flatten().enumerate().map(group).collect()
}

fn document<N>(groups: &[Group<N>], name: impl Fn(&N) -> String) -> Value {
    let mut document = Map::new();
    for (group, images, accuracies) in groups {
        let (mean, std) = mean_std(accuracies);
        let mut entry = json!({ "images": images, "accuracy": mean });
        if accuracies.len() > 1 {
            entry["accuracy_std"] = json!(std);
        }
        document.insert(name(group), entry);
    }
    document.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn counted(predictions: &[i64]) -> Agreement {
        let mut agreement = Agreement::default();
        let (votes, labels) = (Tensor::from_slice(&[0i64, 3, 4, 4, 7]), Tensor::from_slice(&[0i64, 0, 1, 1, 1]));
        agreement.count(&votes, &labels, &Tensor::from_slice(predictions)).unwrap();
        agreement
    }

    #[test]
    fn votes_and_majorities_are_counted_apart() {
        let report = AgreementReport::of([Some(&counted(&[0, 1, 1, 0, 1]))].into_iter()).unwrap();
        let group = |images: u64, accuracy: f64| json!({ "images": images, "accuracy": accuracy });
        let by_votes = json!({ "0": group(1, 1.0), "3": group(1, 0.0), "4": group(2, 0.5), "7": group(1, 1.0) });
        // 4/7: the image with 3 votes (wrong) and the two with 4 (one right).
        let by_majority = json!({ "4/7": group(3, 1.0 / 3.0), "7/7": group(2, 1.0) });
        assert_eq!(report.documents, [("by_agreement", by_votes), ("by_majority", by_majority)]);
        let scalars = [("accuracy_4_of_7".to_string(), 1.0 / 3.0), ("accuracy_7_of_7".to_string(), 1.0)];
        assert_eq!(report.scalars, scalars);
    }

    #[test]
    fn several_networks_give_mean_and_deviation() {
        let (one, two) = (counted(&[0, 1, 1, 0, 1]), counted(&[0, 0, 1, 1, 0]));
        let report = AgreementReport::of([Some(&one), Some(&two)].into_iter()).unwrap();
        // 4/7: 1/3 and 3/3; 7/7: 2/2 and 1/2.
        let std = (2.0f64 / 9.0).sqrt();
        let hard = &report.documents[1].1["4/7"];
        assert!((hard["accuracy"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12, "{hard}");
        assert!((hard["accuracy_std"].as_f64().unwrap() - std).abs() < 1e-12, "{hard}");
        assert_eq!((&hard["images"], report.scalars[1].1), (&json!(3), 0.75));
        assert!(AgreementReport::of([Some(&one), None].into_iter()).is_none());
    }

    #[test]
    fn votes_that_no_one_can_have_given_are_an_error() {
        let one = Tensor::from_slice(&[1i64]);
        let error = Agreement::default().count(&Tensor::from_slice(&[8i64]), &one, &one).unwrap_err();
        assert_eq!(error.to_string(), "votes go from 8 to 8, but there are 7 annotators");
    }
}
