//! Collects what went wrong over all cases of a family, so that one run shows every failure.

use super::Case;
use std::collections::BTreeSet;
use tch::{Device, Kind, Tensor};

/// How far a result may be off.
#[derive(Clone, Copy, Debug)]
enum Tolerance {
    /// max|got - expected| / max|expected|.
    RelativeToMax(f64),
    /// |got - expected| <= rel * |expected| + abs, for every element.
    Elementwise {
        rel: f64,
        abs: f64,
    },
    Exact,
}

/// The failures and what was checked.
#[derive(Default)]
pub struct Report {
    failures: Vec<String>,
    left_out: Vec<String>,
    compared: BTreeSet<String>,
    checks: usize,
}

impl Report {
    /// Compares with the expected tensor of that name, within the tolerance of the case (exactly, for whole numbers).
    pub fn compare(&mut self, case: &Case, name: &str, got: &Tensor) {
        let tolerance = match tolerance(case) {
            Ok(tolerance) => tolerance,
            Err(why) => return self.fail(case, format!("{name}: {why}")),
        };
        self.compare_with(case, name, got, tolerance);
    }

    /// [`compare`](Self::compare) where the case's tolerance is a sentence: `rel_to_max_abs` in a number.
    pub fn compare_within(&mut self, case: &Case, name: &str, got: &Tensor, rel_to_max_abs: f64) {
        self.compare_with(case, name, got, Tolerance::RelativeToMax(rel_to_max_abs));
    }

    fn compare_with(&mut self, case: &Case, name: &str, got: &Tensor, tolerance: Tolerance) {
        self.compared.insert(name.to_string());
        let Some(expected) = case.get(name) else {
            return self.fail(case, format!("there is no expected tensor {name:?}"));
        };
        self.values(case, name, got, &expected, tolerance);
    }

    /// Compares a tensor with one that the case does not store as such (a part of it, a table of its description).
    pub fn compare_tensors(&mut self, case: &Case, what: &str, got: &Tensor, expected: &Tensor) {
        match tolerance(case) {
            Ok(tolerance) => self.values(case, what, got, expected, tolerance),
            Err(why) => self.fail(case, format!("{what}: {why}")),
        }
    }

    /// Compares two numbers within the tolerance of the case.
    pub fn number(&mut self, case: &Case, what: &str, got: f64, expected: f64) {
        self.compare_tensors(case, what, &Tensor::from(got), &Tensor::from(expected));
    }

    /// Two values that have to be the same.
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, case: &Case, what: &str, got: T, expected: T) {
        self.checks += 1;
        if got != expected {
            self.fail(case, format!("{what}: got {got:?}, expected {expected:?}"));
        }
    }

    /// A condition of its own.
    pub fn check(&mut self, case: &Case, what: &str, holds: bool) {
        self.checks += 1;
        if !holds {
            self.fail(case, what.to_string());
        }
    }

    fn values(&mut self, case: &Case, name: &str, got: &Tensor, expected: &Tensor, tolerance: Tolerance) {
        self.checks += 1;
        if got.size() != expected.size() {
            return self.fail(case, format!("{name}: shape {:?}, expected {:?}", got.size(), expected.size()));
        }
        if expected.numel() == 0 {
            return;
        }
        let whole = !expected.is_floating_point();
        let got = got.detach().to_device(Device::Cpu).to_kind(Kind::Double);
        let expected = expected.to_kind(Kind::Double);
        if bool::try_from(got.isfinite().all().logical_not()).unwrap() {
            return self.fail(case, format!("{name}: not all numbers are finite"));
        }
        let difference = (&got - &expected).abs();
        let worst = f64::try_from(difference.max()).unwrap();
        let largest = f64::try_from(expected.abs().max()).unwrap();
        let text = match tolerance {
            _ if whole && worst == 0.0 => return,
            Tolerance::Exact if worst == 0.0 => return,
            Tolerance::RelativeToMax(limit) if !whole && worst <= limit * largest => return,
            Tolerance::Elementwise { rel, abs } if !whole => {
                let excess = &difference - (expected.abs() * rel + abs);
                if f64::try_from(excess.max()).unwrap() <= 0.0 {
                    return;
                }
                format!("off by {worst:.3e}; allowed: {rel:e} of each number and {abs:e}")
            }
            Tolerance::RelativeToMax(limit) if !whole => {
                format!("off by {:.3e} of the largest number ({largest:.3e}); allowed: {limit:e}", worst / largest)
            }
            _ => format!("off by {worst:.3e}; has to be exact"),
        };
        self.fail(case, format!("{name}: {text}"));
    }

    /// Records a failure of a case.
    pub fn fail(&mut self, case: &Case, what: String) {
        self.fail_at(&case.id, what);
    }

    pub(super) fn fail_at(&mut self, place: &str, what: String) {
        self.failures.push(format!("{place}: {what}"));
    }

    /// Leaves one expected tensor out and says why.
    pub fn leave(&mut self, case: &Case, name: &str, why: &str) {
        self.compared.insert(name.to_string());
        self.left_out.push(format!("{}: {name}: {why}", case.id));
    }

    pub(super) fn begin(&mut self, _: &Case) {
        self.compared.clear();
    }

    pub(super) fn end(&mut self, case: &Case) {
        for name in case.expected() {
            if !self.compared.contains(&name) {
                self.fail(case, format!("expected tensor {name:?} was never compared"));
            }
        }
    }

    /// Whether nothing has failed yet.
    pub(super) fn is_sound(&self) -> bool {
        self.failures.is_empty()
    }

    pub(super) fn finish(self, family: &str, found: usize) {
        for line in &self.left_out {
            println!("left out {line}");
        }
        let failures = self.failures.len();
        assert!(failures == 0, "{failures} failures in family {family:?}:\n  {}", self.failures.join("\n  "));
        assert!(self.checks > 0, "{found} cases of family {family:?} were found and nothing was checked");
        println!("{family}: {found} cases, {} checks, {} left out", self.checks, self.left_out.len());
    }
}

fn tolerance(case: &Case) -> Result<Tolerance, String> {
    let stated = &case.json["tolerance"];
    if let Some(limit) = stated["rel_to_max_abs"].as_f64() {
        return Ok(Tolerance::RelativeToMax(limit));
    }
    if let Some(rel) = stated["rel"].as_f64() {
        return Ok(Tolerance::Elementwise { rel, abs: stated["abs"].as_f64().unwrap_or(0.0) });
    }
    match stated.as_str() {
        Some("exact") => Ok(Tolerance::Exact),
        _ => Err(format!("the case states no tolerance that can be read: {stated}")),
    }
}
