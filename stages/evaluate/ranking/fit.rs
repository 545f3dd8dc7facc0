//! Checks whether the inputs may be compared: they need the same network, test set and number of images, the protocols
//! that the definitions of the scores ask for, and the same number of runs. Every error names both inputs and what
//! differs. No score is computed here.

use crate::evaluate::ranking::role::{Facts, Role};
use anyhow::{Result, bail, ensure};
use serde_json::Value as Json;

/// The inputs of the label-robust score and, where both `own_plain` and `random_plain` are connected, those of the
/// augmentation-robust score.
pub(super) struct Roles {
    pub whole: Role,
    pub hard: Role,
    /// `None` where the synthetic set has no protocol of its own, so that `hard` takes its place.
    pub own: Option<Role>,
    pub random: Role,
    /// The inputs `own_plain` and `random_plain`: as `own` and `random`, trained without augmentation.
    pub plain: Option<(Role, Role)>,
}

impl Roles {
    /// The results on the synthetic set by its own protocol; those of `hard` where it has none.
    pub fn own(&self) -> &Role {
        self.own.as_ref().unwrap_or(&self.hard)
    }

    /// Checks that all inputs fit each other and returns the number of runs. An error names the inputs that do not fit
    /// and what differs.
    pub fn check(&self) -> Result<usize> {
        let small: Vec<&Role> = [Some(&self.hard), self.own.as_ref(), Some(&self.random)]
            .into_iter()
            .chain(self.plain.iter().flat_map(|(own, random)| [Some(own), Some(random)]))
            .flatten()
            .collect();
        for role in &small {
            if role.facts.protocol.is_none() {
                bail!("input {:?} does not say how its students were trained; it takes evaluate.classifier", role.name);
            }
            same(&self.whole, role, Sort::Task)?;
            same(&self.hard, role, Sort::Images)?;
        }
        let (whole, hard) = (&self.whole.facts, &self.hard.facts);
        ensure!(
            whole.images > hard.images,
            "input \"whole\" learnt from {} images, input \"hard\" from {}; whole takes the real training set",
            whole.images,
            hard.images
        );
        for role in [&self.whole, &self.hard] {
            ensure!(
                !matches!(role.facts.labels.as_deref(), Some("soft" | "targets")),
                "input {:?} learnt from soft labels; hard-label recovery compares hard ones (label.synthetic makes them)",
                role.name
            );
        }
        same(self.own(), &self.random, Sort::Protocol)?;
        if let Some((own, random)) = &self.plain {
            same(own, random, Sort::Protocol)?;
            same(self.own(), own, Sort::ProtocolButAugmentation)?;
            ensure!(
                !augmented(&own.facts) && augmented(&self.own().facts),
                "the augmentation-robust score compares with and without augmentation: input {:?} has augment = {}, \
                 input \"own_plain\" {}",
                self.own().name,
                augment(&self.own().facts),
                augment(&own.facts)
            );
        }
        let runs = self.hard.accuracies.len();
        for role in small {
            let count = role.accuracies.len();
            ensure!(
                count == runs,
                "input {:?} holds {count} runs, input \"hard\" {runs}; give all as many students or seeds",
                role.name
            );
        }
        let count = self.whole.accuracies.len();
        ensure!(
            count == runs || count == 1,
            "input \"whole\" holds {count} runs, input \"hard\" {runs}; give it as many, or one that serves for all"
        );
        Ok(runs)
    }
}

/// The facts in which two inputs have to agree.
#[derive(Clone, Copy)]
enum Sort {
    /// Origin of the images, network and test set.
    Task,
    /// The facts of `Task` and the number of training images.
    Images,
    /// The facts of `Images`, the kind of the labels and the settings of the training.
    Protocol,
    /// The facts of `Protocol` without the augmentation.
    ProtocolButAugmentation,
}

fn same(one: &Role, other: &Role, sort: Sort) -> Result<()> {
    let (left, right) = (kept(&one.facts, sort), kept(&other.facts, sort));
    ensure!(
        left == right,
        "inputs {:?} and {:?} differ in {}; the scores compare what is alike in that",
        one.name,
        other.name,
        left.difference(&right)
    );
    Ok(())
}

/// The facts with those that do not count for `sort` removed or set to a fixed value.
fn kept(facts: &Facts, sort: Sort) -> Facts {
    let mut facts = facts.clone();
    if matches!(sort, Sort::Task) {
        facts.images = 0;
    }
    if matches!(sort, Sort::Task | Sort::Images) {
        (facts.labels, facts.protocol) = (None, None);
    }
    if let (Sort::ProtocolButAugmentation, Some(protocol)) = (sort, &mut facts.protocol) {
        protocol.retain(|key, _| !["augment", "strategy"].contains(&key.as_str()));
    }
    facts
}

fn augment(facts: &Facts) -> String {
    facts.setting("augment").map_or_else(|| "unknown".into(), Json::to_string)
}

fn augmented(facts: &Facts) -> bool {
    facts.setting("augment").is_some_and(|augment| augment != "none")
}
