//! The file of a pipeline's baselines: read with the place of every fault, and written so that a change of one metric is
//! a change of a few lines. Knows no pipeline.

use super::statistics::{deviation, mean};
use super::{Baseline, Entry, Rules};
use crate::diagnostic::{Diagnostic, Place, Report, SourceText, did_you_mean};
use ddpipe_cache::Commit;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;

/// The form that this program reads and writes.
const FORMAT: u64 = 1;

const HEAD: &str = "# Recorded by `ddpipe baseline record`, which keeps significance, power, tolerance, ratio and within as they are here,\n\
    # and no comments. docs/ci.md of ddpipe explains every field.\n";

/// All baselines of a pipeline, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baselines(pub BTreeMap<String, Baseline>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    format: Spanned<u64>,
    #[serde(default)]
    baseline: BTreeMap<String, BaselineForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineForm {
    recorded: String,
    ddpipe: String,
    commit: Option<String>,
    #[serde(default)]
    dirty: bool,
    significance: Option<Spanned<f64>>,
    power: Option<Spanned<f64>>,
    tolerance: Option<Spanned<f64>>,
    ratio: Option<Spanned<f64>>,
    #[serde(default)]
    metric: Vec<EntryForm>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryForm {
    node: Spanned<String>,
    metric: String,
    #[serde(default)]
    measured: bool,
    within: Option<Spanned<f64>>,
    mean: Spanned<f64>,
    deviation: Option<Spanned<f64>>,
    n: Spanned<usize>,
    values: Spanned<Vec<f64>>,
    numerics: Option<String>,
    hardware: Option<String>,
}

impl Baselines {
    /// Reads the text of a file that is called `name` in messages.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(name: &str, text: &str) -> Result<Self, Report> {
        let source = SourceText::file(name, text);
        let mut reader = Reader { source: &source, report: Report::default() };
        let form: FileForm = match toml::from_str(text) {
            Ok(form) => form,
            Err(error) => {
                reader.fault(error.span().unwrap_or(0..0), error.message().trim());
                return Err(reader.report);
            }
        };
        if *form.format.get_ref() != FORMAT {
            let message = format!("format {} is not known; this ddpipe reads {FORMAT}", form.format.get_ref());
            reader.fault(form.format.span(), &message);
            return Err(reader.report);
        }
        let baselines = form.baseline.into_iter().map(|(name, form)| {
            let baseline = reader.baseline(form);
            (name, baseline)
        });
        let baselines = Baselines(baselines.collect());
        reader.report.sort();
        if reader.report.is_empty() { Ok(baselines) } else { Err(reader.report) }
    }

    /// The baseline of this name, or what to say where there is none. `file` is how the file is called.
    pub fn get(&self, name: &str, file: &str) -> Result<&Baseline, String> {
        self.0.get(name).ok_or_else(|| {
            let near = did_you_mean(name, self.0.keys().map(String::as_str));
            format!("there is no baseline {name:?} in {file}{near}\n  `ddpipe baseline record` makes it")
        })
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let mut text = format!("{HEAD}format = {FORMAT}\n");
        for (name, baseline) in &self.0 {
            baseline.write(&key(name), &mut text);
        }
        text
    }
}

impl Baseline {
    /// Takes the place of an earlier one: keeps its rules, and the tolerances of the same metrics. Entries of nodes that
    /// `renews` does not name stay.
    pub fn instead_of(mut self, earlier: &Baseline, renews: &dyn Fn(&str) -> bool) -> Self {
        self.rules = earlier.rules;
        for entry in &mut self.entries {
            let same = |other: &&Entry| other.node == entry.node && other.metric == entry.metric;
            entry.within = earlier.entries.iter().find(same).and_then(|same| same.within);
        }
        self.entries.extend(earlier.entries.iter().filter(|entry| !renews(&entry.node)).cloned());
        self.sorted()
    }

    /// With its entries in the file's order.
    pub fn sorted(mut self) -> Self {
        self.entries.sort_by(|one, other| (&one.node, &one.metric).cmp(&(&other.node, &other.metric)));
        self
    }

    fn write(&self, name: &str, text: &mut String) {
        let Rules { significance, power, tolerance, ratio } = self.rules;
        text.push_str(&format!("\n[baseline.{name}]\nrecorded = {}\n", string(&self.recorded)));
        text.push_str(&format!("ddpipe = {}\n", string(&self.ddpipe)));
        if let Some(Commit { hash, dirty }) = &self.commit {
            text.push_str(&format!("commit = {}\ndirty = {dirty}\n", string(hash)));
        }
        for (rule, value) in
            [("significance", significance), ("power", power), ("tolerance", tolerance), ("ratio", ratio)]
        {
            text.push_str(&format!("{rule} = {}\n", number(value)));
        }
        for entry in &self.entries {
            let Entry { node, metric, measured, within, values, numerics, hardware } = entry;
            text.push_str(&format!("\n[[baseline.{name}.metric]]\n"));
            text.push_str(&format!("node = {}\nmetric = {}\n", string(node), string(metric)));
            if *measured {
                text.push_str("measured = true\n");
            }
            if let Some(within) = within {
                text.push_str(&format!("within = {}\n", number(*within)));
            }
            text.push_str(&format!("mean = {}\n", number(short(mean(values)))));
            if values.len() > 1 {
                text.push_str(&format!("deviation = {}\n", number(short(deviation(values)))));
            }
            let values: Vec<String> = values.iter().map(|value| number(*value)).collect();
            text.push_str(&format!("n = {}\nvalues = [{}]\n", values.len(), values.join(", ")));
            for (field, words) in [("numerics", numerics), ("hardware", hardware)] {
                if let Some(words) = words {
                    text.push_str(&format!("{field} = {}\n", string(words)));
                }
            }
        }
    }
}

struct Reader<'a> {
    source: &'a Arc<SourceText>,
    report: Report,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, span)
    }

    fn fault(&mut self, span: Range<usize>, message: &str) {
        let place = self.place(span);
        self.report.push(Diagnostic::at(&place, message));
    }

    fn baseline(&mut self, form: BaselineForm) -> Baseline {
        let usual = Rules::default();
        let share = |value: f64| value > 0.0 && value < 1.0;
        let rules = Rules {
            significance: self.number(form.significance, usual.significance, "is above 0 and below 1", &share),
            power: self.number(form.power, usual.power, "is above 0 and below 1", &share),
            tolerance: self.number(form.tolerance, usual.tolerance, "is 0 or above", &|value| value >= 0.0),
            ratio: self.number(form.ratio, usual.ratio, "is 1 or above", &|value| value >= 1.0),
        };
        let mut places: HashMap<(String, String), Place> = HashMap::new();
        let mut entries = Vec::with_capacity(form.metric.len());
        for form in form.metric {
            let place = self.place(form.node.span());
            let entry = self.entry(form);
            if let Some(first) = places.insert((entry.node.clone(), entry.metric.clone()), place.clone()) {
                let message = format!("{} of {} stands here twice", entry.metric, entry.node);
                self.report.push(Diagnostic::at(&place, message).and(&first, "the first time"));
            }
            entries.push(entry);
        }
        let commit = form.commit.map(|hash| Commit { hash, dirty: form.dirty });
        Baseline { recorded: form.recorded, ddpipe: form.ddpipe, commit, rules, entries }.sorted()
    }

    fn number(&mut self, given: Option<Spanned<f64>>, usual: f64, is: &str, fits: &dyn Fn(f64) -> bool) -> f64 {
        let Some(given) = given else { return usual };
        let value = *given.get_ref();
        if !(value.is_finite() && fits(value)) {
            let place = self.place(given.span());
            let fault = Diagnostic::at(&place, format!("{value} cannot stand here")).help(format!("the number {is}"));
            self.report.push(fault);
        }
        value
    }

    fn entry(&mut self, form: EntryForm) -> Entry {
        let values = form.values.get_ref();
        if values.is_empty() {
            self.fault(form.values.span(), "a metric has at least one value");
        } else if *form.n.get_ref() != values.len() {
            let message = format!("n is {}, but there are {} values", form.n.get_ref(), values.len());
            self.derived(form.n.span(), message, form.values.span());
        } else {
            self.agrees("mean", &form.mean, mean(values), &form.values);
            if let Some(given) = &form.deviation {
                self.agrees("deviation", given, deviation(values), &form.values);
            }
        }
        let within = form.within.map(|given| self.number(Some(given), 0.0, "is 0 or above", &|value| value >= 0.0));
        Entry {
            node: form.node.into_inner(),
            metric: form.metric,
            measured: form.measured,
            within,
            values: form.values.into_inner(),
            numerics: form.numerics,
            hardware: form.hardware,
        }
    }

    /// Somebody who edits values by hand easily forgets the numbers that follow from them.
    fn agrees(&mut self, what: &str, given: &Spanned<f64>, found: f64, values: &Spanned<Vec<f64>>) {
        let given_value = *given.get_ref();
        let largest = values.get_ref().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let close = (given_value - found).abs() <= 1e-6 * largest.max(f64::MIN_POSITIVE);
        let alike = given_value.total_cmp(&found).is_eq() || given_value.is_nan() && found.is_nan();
        if !close && !alike {
            let message = format!("the {what} is {given_value}, but that of the values is {found}");
            self.derived(given.span(), message, values.span());
        }
    }

    fn derived(&mut self, span: Range<usize>, message: String, values: Range<usize>) {
        let fault = Diagnostic::at(&self.place(span), message).and(&self.place(values), "the values");
        self.report.push(fault.help("correct the values or the number, or run `ddpipe baseline record`"));
    }
}

/// A text as TOML has it.
fn string(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// A key as TOML has it: bare where that is possible.
fn key(name: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_string() } else { string(name) }
}

/// A number as TOML has it, with all its digits.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    format!("{value:?}")
}

/// Eight digits: what follows from the values is for people to read.
fn short(value: f64) -> f64 {
    format!("{value:.7e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(node: &str, values: &[f64]) -> Entry {
        Entry {
            node: node.into(),
            metric: "accuracy".into(),
            measured: false,
            within: None,
            values: values.to_vec(),
            numerics: Some("libtorch 2, \"quoted\"\n".into()),
            hardware: None,
        }
    }

    fn baseline(entries: Vec<Entry>) -> Baseline {
        let commit = Some(Commit { hash: "0123".into(), dirty: true });
        let (recorded, ddpipe) = ("2026-11-28T13:54:42Z".into(), "0.1.0".into());
        Baseline { recorded, ddpipe, commit, rules: Rules::default(), entries }.sorted()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let entries = vec![entry("b[arch=\"x y\"]", &[0.1, 1e-300, -2.5]), entry("a", &[f64::NAN, f64::INFINITY])];
        let written = Baselines(BTreeMap::from([
            ("main".to_string(), baseline(entries)),
            ("two words".to_string(), baseline(vec![entry("a", &[1.0])])),
        ]));
        let text = written.text();
        let read = Baselines::read("baselines/x.toml", &text).unwrap_or_else(|report| panic!("{text}\n{report}"));
        assert_eq!(read.text(), text);
        assert_eq!(read.0["main"].entries[1], written.0["main"].entries[1]);
    }

    #[test]
    fn another_recording_keeps_what_people_decided() {
        let mut earlier = baseline(vec![entry("a", &[1.0]), entry("b", &[2.0]), entry("gone", &[3.0])]);
        earlier.rules.tolerance = 0.5;
        earlier.entries[0].within = Some(0.25);
        let renewed = baseline(vec![entry("a", &[1.5])]).instead_of(&earlier, &|node| node != "b");
        assert_eq!(renewed.rules.tolerance, 0.5);
        assert_eq!(renewed.entries.iter().map(|entry| entry.node.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((renewed.entries[0].within, renewed.entries[0].values[0]), (Some(0.25), 1.5));
    }

    #[test]
    fn faults_are_told_with_their_places() {
        let text = Baselines(BTreeMap::from([("main".to_string(), baseline(vec![entry("a", &[0.5, 0.7])]))])).text();
        let faults = |text: &str| Baselines::read("b.toml", text).unwrap_err().to_string();
        for (from, to, expected) in [
            ("values = [0.5, 0.7]", "values = [0.5, 0.9]", "the mean is 0.6, but that of the values is 0.7"),
            ("n = 2", "n = 3", "n is 3, but there are 2 values"),
            ("tolerance = 0.01", "tolerance = -1", "-1 cannot stand here"),
            ("metric = \"accuracy\"", "metrc = \"accuracy\"", "unknown field `metrc`"),
            ("format = 1", "format = 9", "format 9 is not known"),
            ("n = 2", "n = \"two\"", "invalid type"),
            ("recorded = ", "recorded ", "b.toml:6:10"),
        ] {
            assert!(text.contains(from), "{from} is not in\n{text}");
            let report = faults(&text.replace(from, to));
            assert!(report.contains(expected) && report.contains("b.toml:"), "{to}: {report}");
        }
        let twice = format!("{text}{}", &text[text.find("\n[[").unwrap()..]);
        assert!(faults(&twice).contains("stands here twice"));
    }
}
