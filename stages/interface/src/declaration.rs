//! The declaration of a stage kind, read from its `stage.toml`. It is the only place that names a kind's inputs,
//! outputs, parameters and metrics: validation, defaults, help, the JSON Schema and the reference page are derived from
//! it. What several kinds share comes from [`Blocks`].

use crate::blocks::{Written, check_references};
use crate::{
    ArtifactType, Blocks, Metric, Names, Param, ParamType, Parts, Value, connected, is_too_deep, metric, presets,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use toml::{Spanned, Table};

/// How many metrics of a kind may have `headline`.
const HEADLINES: usize = 2;

/// One stage kind, with all that its `stage.toml` takes from shared blocks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Declaration {
    /// Full name, `group.kind`, the same as the folder `group/kind`.
    pub name: String,
    /// One line.
    pub help: String,
    /// Enters the key. Raised when the same inputs and parameters would give other bytes or other metrics, and when a
    /// default changes: keys leave out parameters at their defaults, so that a changed default alone would bring back
    /// results of the old one.
    pub version: u32,
    /// Whether the stage draws random numbers: only then does the seed enter the key.
    pub seeded: bool,
    /// Whether results computed on different devices are kept apart (enters the key).
    pub device_in_key: bool,
    /// Where the method was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<String>,
    /// The program of a kind that a project brings along; absent for the built-in kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment variables that the program of a `command` is given, beside those that every program needs; their
    /// values enter the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// What the stage needs while it runs.
    pub resources: Resources,
    /// Named inputs.
    pub inputs: IndexMap<String, Input>,
    /// Named outputs; the first one is what a reference without an output name means.
    pub outputs: IndexMap<String, Output>,
    /// Named parameters.
    pub params: IndexMap<String, Param>,
    /// The metrics that the stage may give, the one that readers care most about first.
    pub metrics: IndexMap<String, Metric>,
}

/// The text of a `stage.toml`. The last five fields are those of [`Written`], which it resolves with the blocks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    help: String,
    version: u32,
    #[serde(default)]
    seeded: bool,
    #[serde(default)]
    device_in_key: bool,
    paper: Option<String>,
    command: Option<Vec<String>>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    resources: Resources,
    #[serde(default)]
    inputs: IndexMap<String, Input>,
    outputs: IndexMap<String, Output>,
    /// The metric that is moved to the front.
    main_metric: Option<Spanned<String>>,
    #[serde(default, rename = "use")]
    uses: Vec<Spanned<String>>,
    #[serde(default)]
    after: IndexMap<Spanned<String>, String>,
    #[serde(default, rename = "override")]
    overrides: IndexMap<Spanned<String>, Table>,
    #[serde(default)]
    params: IndexMap<Spanned<String>, Param>,
    #[serde(default)]
    metrics: IndexMap<Spanned<String>, Metric>,
}

/// What a stage needs while it runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// True for a stage that never touches a GPU (reading files, drawing tables): it runs on the CPU slot.
    #[serde(default)]
    pub cpu_only: bool,
}

/// One input of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The artifact types that may be connected.
    #[serde(rename = "type")]
    pub types: Vec<ArtifactType>,
    /// One line.
    pub help: String,
    /// May be left out.
    #[serde(default)]
    pub optional: bool,
    /// Takes a list of artifacts (`gather`), not one.
    #[serde(default)]
    pub many: bool,
    /// What is connected here does not run for this stage's sake unless the stage asks for it. Needs `many`.
    #[serde(default)]
    pub on_demand: bool,
    /// The parameter that says `show` where the stage works on what is there when nodes behind this input have no result.
    /// Needs `many`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
    /// The measured quantities (seconds, peak memory) of what is connected that the stage reads. Needs `many`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<String>,
    /// How what is connected is sorted into the cells of a table, if it is. Needs `many`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<Cells>,
    /// Another optional input without which this one cannot be connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together_with: Option<String>,
}

/// How what is connected to an input is sorted into cells by its labels. Each cell holds one artifact, or several that
/// differ in nothing but folded axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cells {
    /// The parameters that name the labels, such as `["rows", "columns"]`; without any there is a single cell.
    pub by: Vec<String>,
    /// The one among them that, where a manifest leaves it out, gets the labels in which what is connected differs, as far as
    /// the others do not name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub varying: Option<String>,
    /// Labels in which what is in one cell may differ without being folded, because the stage puts it together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<String>,
    /// The parameter that names such labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined_by: Option<String>,
}

/// One output of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The type of the artifact.
    #[serde(rename = "type")]
    pub artifact: ArtifactType,
    /// One line.
    pub help: String,
    /// How the name of its file ends where people get it, as of `csv`. Only for `table`, `image` and `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// What the height and width of its images are known from before anything runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
}

/// What the height, the width and the channels of images are known from: the first of these that is known itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSize {
    /// A parameter that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// An input whose images they are those of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Always so many pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<u32>,
    /// A parameter that holds the number of channels; else it is that of the input's images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels_param: Option<String>,
    /// Always so many channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u32>,
}

/// A declaration that cannot be used. The text starts in lower case and can follow "could not read …: ".
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// Not valid TOML, or not the form of a declaration.
    #[error("{0}")]
    Form(#[from] toml::de::Error),
    /// Well-formed, but contradicts itself.
    #[error("{what}")]
    Meaning {
        /// What is wrong.
        what: String,
        /// The bytes of the text that say so, where it is one place.
        span: Option<Range<usize>>,
    },
}

impl Declaration {
    /// Reads and checks the text of a `stage.toml`, and puts in the built-in blocks that it uses.
    pub fn parse(text: &str) -> Result<Self, DeclarationError> {
        Declaration::parse_with(text, Blocks::built_in())
    }

    /// As [`Declaration::parse`], with blocks of one's own.
    pub fn parse_with(text: &str, blocks: &Blocks) -> Result<Self, DeclarationError> {
        if is_too_deep(text) {
            let what = "its brackets nest too deep, or do not close what they open".to_string();
            return Err(DeclarationError::Meaning { what, span: None });
        }
        let file: File = toml::from_str(text)?;
        let File { uses, after, overrides, params, metrics, .. } = file;
        let Parts { mut params, mut metrics } = Written { uses, after, overrides, params, metrics }.resolve(blocks)?;
        presets::check(&mut params).map_err(|what| DeclarationError::Meaning { what, span: None })?;
        if let Some(main) = file.main_metric {
            let fault = |what: &str| {
                let what = format!("main_metric: {:?} {what}", main.get_ref());
                Err(DeclarationError::Meaning { what, span: Some(main.span()) })
            };
            match metrics.get_index_of(main.get_ref()) {
                None => return fault("is no metric of this kind"),
                Some(0) => return fault("is the first metric already; leave it out"),
                Some(place) => metrics.move_index(place, 0),
            }
        }
        let declaration = Declaration {
            name: file.name,
            help: file.help,
            version: file.version,
            seeded: file.seeded,
            device_in_key: file.device_in_key,
            paper: file.paper,
            command: file.command,
            env: file.env,
            resources: file.resources,
            inputs: file.inputs,
            outputs: file.outputs,
            params,
            metrics,
        };
        declaration.check().map_err(|what| DeclarationError::Meaning { what, span: None })?;
        Ok(declaration)
    }

    /// Says what contradicts itself.
    fn check(&self) -> Result<(), String> {
        let parts: Vec<_> = self.name.split('.').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
            return Err(format!("name {:?}: expected group.kind in letters a-z, digits and _", self.name));
        }
        if let Some(name) = self.inputs.keys().chain(self.outputs.keys()).find(|name| !is_name(name)) {
            return Err(format!("{name:?}: a name has letters a-z, digits and _"));
        }
        if self.outputs.is_empty() {
            return Err("needs at least one output".into());
        }
        self.outputs
            .iter()
            .try_for_each(|(name, output)| output.check().map_err(|why| format!("output {name:?}: {why}")))?;
        self.inputs
            .iter()
            .try_for_each(|(name, input)| input.check().map_err(|why| format!("input {name:?}: {why}")))?;
        if self.command.is_none() && !self.env.is_empty() {
            return Err("only a kind with a `command` has `env`".into());
        }
        if self.command.is_some() && self.inputs.values().any(|input| input.on_demand) {
            return Err("a kind with a `command` cannot ask for inputs `on_demand`".into());
        }
        for (input, param) in self.inputs.iter().filter_map(|(name, input)| Some((name, input.partial.as_ref()?))) {
            let shows = self.params.get(param).is_some_and(|param| param.choices.iter().any(|choice| choice == "show"));
            if !shows {
                return Err(format!("input {input:?}: `partial` has to state a parameter with the choice \"show\""));
            }
        }
        connected::check(self)?;
        for (name, size) in self.outputs.iter().filter_map(|(name, output)| Some((name, output.image_size.as_ref()?))) {
            let number =
                |param: &&String| self.params.get(*param).is_some_and(|param| param.kind == ParamType::Integer);
            if size.param.iter().chain(&size.channels_param).any(|param| !number(&param)) {
                return Err(format!("output {name:?}: `image_size` needs a parameter that holds a whole number"));
            }
            if size.input.as_ref().is_some_and(|input| !self.inputs.contains_key(input)) {
                return Err(format!("output {name:?}: `image_size` names an input that there is not"));
            }
        }
        for (name, cells) in self.inputs.iter().filter_map(|(name, input)| Some((name, input.cells.as_ref()?))) {
            let labels = |param: &&String| {
                let names = self.params.get(*param).and_then(|param| param.names.as_ref());
                !matches!(names, Some(Names::LabelOf(input)) if input == name)
            };
            if let Some(param) = cells.by.iter().find(labels) {
                return Err(format!("input {name:?}: `cells` needs a parameter {param:?} that names its labels"));
            }
            let list = |param: &str| self.params.get(param).is_some_and(|param| param.kind == ParamType::Strings);
            if let Some(param) = cells.joined_by.as_ref().filter(|param| !list(param)) {
                return Err(format!("input {name:?}: `joined_by` is a list of strings, not {param:?}"));
            }
            if let Some(param) = cells.varying.as_ref().filter(|param| !cells.by.contains(param) || !list(param)) {
                return Err(format!(
                    "input {name:?}: `varying` is a list of strings and one of those in `by`, not {param:?}"
                ));
            }
        }
        for (name, other) in self.inputs.iter().filter_map(|(name, input)| Some((name, input.together_with.as_ref()?)))
        {
            if !self.inputs.get(other).is_some_and(|input| input.optional) {
                return Err(format!("input {name:?}: `together_with` has to state another optional input"));
            }
        }
        if self.metrics.values().filter(|metric| metric.headline).count() > HEADLINES {
            return Err(format!("at most {HEADLINES} metrics have `headline`"));
        }
        for (name, spread) in self.metrics.iter().filter_map(|(name, metric)| Some((name, metric.spread.as_ref()?))) {
            spread.check(&self.metrics, &self.params).map_err(|why| format!("metric {name:?}: {why}"))?;
        }
        check_references(&self.params, &self.metrics)
    }

    /// The metrics of a stage with these parameters that are worth a look at once, with their units: those with
    /// `headline`, else the first ones of a kind that declares no metrics.
    pub fn headline<'a>(
        &'a self,
        metrics: &'a IndexMap<String, f64>,
        params: &'a IndexMap<String, Value>,
    ) -> impl Iterator<Item = (&'a str, f64, Option<&'a str>)> {
        let shown = move |(name, value): (&'a String, &'a f64)| match self.metric(name, params) {
            Some(metric) => metric.headline.then_some((name.as_str(), *value, metric.unit.as_deref())),
            None => Some((name.as_str(), *value, None)),
        };
        metrics.iter().filter_map(shown).take(HEADLINES)
    }

    /// The output that a reference without an output name means: the first.
    pub fn main_output(&self) -> Option<(&str, &Output)> {
        self.outputs.first().map(|(name, output)| (name.as_str(), output))
    }

    /// Whether the kind's metrics are known: a program (a kind with a `command`) may leave them undeclared.
    pub fn declares_metrics(&self) -> bool {
        self.command.is_none() || !self.metrics.is_empty()
    }

    /// The declaration of the metric `name` of a stage with these parameters, if it has such a metric. `measured.` may
    /// stand before the name of a measured quantity.
    pub fn metric(&self, name: &str, params: &IndexMap<String, Value>) -> Option<&Metric> {
        if let Some(name) = name.strip_prefix(metric::MEASURED) {
            return self.metric(name, params).filter(|metric| metric.measured);
        }
        let own = self.metrics.iter().find(|(declared, _)| metric::stands_for(declared, params, name));
        own.map(|(_, metric)| metric).or_else(|| metric::of_every_stage().get(name))
    }

    /// Whether `name` is a measurement of the run and no result of the stage.
    pub fn is_measured(&self, name: &str, params: &IndexMap<String, Value>) -> bool {
        self.metric(name, params).is_some_and(|metric| metric.measured)
    }

    /// The measured quantities of connected stages that a stage with these parameters reads at `input`, as they are
    /// named: in the parameters that hold names of metrics, and in the input's declaration.
    pub fn measured_at<'a>(&'a self, input: &str, params: &'a IndexMap<String, Value>) -> Vec<&'a str> {
        let of_input = |(name, param): (&'a String, &'a Param)| match &param.names {
            Some(Names::MetricOf(named) | Names::MetricOfEach(named)) if named == input => params.get(name),
            _ => None,
        };
        let named = self.params.iter().filter_map(of_input).flat_map(Value::texts);
        named
            .chain(self.inputs.get(input).into_iter().flat_map(|input| input.measured.iter().map(String::as_str)))
            .collect()
    }

    /// Whether a stage with these parameters works on what is there when nodes behind `input` have no result.
    pub fn works_on_a_part(&self, input: &str, params: &IndexMap<String, Value>) -> bool {
        let param = self.inputs.get(input).and_then(|input| input.partial.as_ref());
        param.and_then(|param| params.get(param)).is_some_and(|value| *value == Value::String("show".into()))
    }

    /// The names of the metrics that a stage with these parameters may give, for messages; `*` stands for any text.
    pub fn metric_names(&self, params: &IndexMap<String, Value>) -> Vec<String> {
        let own = self.metrics.keys().filter_map(|declared| metric::filled_in(declared, params));
        own.chain(metric::of_every_stage().keys().cloned()).collect()
    }

    /// What is wrong with metrics of these names from a stage with these parameters, in words: that they are not
    /// declared, and how to declare them.
    pub fn check_metrics<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        params: &IndexMap<String, Value>,
    ) -> Result<(), String> {
        let undeclared = |name: &&str| self.declares_metrics() && self.metric(name, params).is_none();
        match names.into_iter().find(undeclared) {
            None => Ok(()),
            Some(name) => Err(format!(
                "gave a metric {name:?} that its kind does not declare; add to its stage.toml: [metrics.{name}] with help, \
                 and unit and better where they apply"
            )),
        }
    }
}

impl Input {
    fn check(&self) -> Result<(), &'static str> {
        match self {
            Input { types, .. } if types.is_empty() => Err("needs at least one type"),
            Input { on_demand: true, many: false, .. } => Err("`on_demand` needs `many`"),
            Input { partial: Some(_), many: false, .. } => Err("`partial` needs `many`"),
            Input { partial: Some(_), on_demand: true, .. } => Err("an input is `partial` or `on_demand`, not both"),
            Input { measured, many: false, .. } if !measured.is_empty() => Err("`measured` needs `many`"),
            Input { cells: Some(_), many: false, .. } => Err("`cells` needs `many`"),
            Input { together_with: Some(_), optional: false, .. } => Err("only an optional input is `together_with`"),
            _ => Ok(()),
        }
    }
}

impl Output {
    fn check(&self) -> Result<(), &'static str> {
        let file = matches!(self.artifact, ArtifactType::Table | ArtifactType::Image | ArtifactType::Files);
        match &self.extension {
            _ if self.artifact == ArtifactType::Folder => Err("a stage makes files, not folders"),
            Some(_) if !file => Err("only a table, an image or files have an `extension`"),
            Some(text) if !text.split('.').all(is_name) => Err("an `extension` has letters a-z, digits and _: csv"),
            _ => Ok(()),
        }
    }
}

/// Whether this is a name as kinds, inputs, outputs and parameters have them.
pub(crate) fn is_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    !name.is_empty() && name.chars().all(letter)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "name = \"distill.dm\"\nhelp = \"h\"\nversion = 1\n";

    fn parse(rest: &str) -> Result<Declaration, String> {
        Declaration::parse(&format!("{HEAD}{rest}")).map_err(|error| error.to_string())
    }

    fn param(text: &str) -> Param {
        let outputs = "[outputs]\nz = { type = \"model\", help = \"h\" }\na = { type = \"metrics\", help = \"h\" }\n";
        let declaration = parse(&format!("{outputs}[params]\nx = {{ help = \"h\", {text} }}"));
        declaration.unwrap().params.swap_remove("x").unwrap()
    }

    #[test]
    fn the_first_output_written_is_the_main_one() {
        let text = "[outputs]\nz = { type = \"model\", help = \"h\" }\na = { type = \"metrics\", help = \"h\" }\n";
        assert_eq!(parse(text).unwrap().main_output().unwrap().0, "z");
    }

    #[test]
    fn a_whole_number_is_taken_as_a_float_and_nothing_else_is_converted() {
        let float = param("type = \"float\", default = 1, min = 0, above_min = true");
        assert_eq!(float.default, Some(Value::Float(1.0)));
        assert_eq!(float.accept(Value::Integer(3)), Ok(Value::Float(3.0)));
        assert!(float.accept(Value::String("3".into())).is_err());
        assert!(float.accept(Value::Integer(0)).unwrap_err().contains("above 0"));
        assert!(float.accept(Value::Float(f64::INFINITY)).is_err());
        let integer = param("type = \"integer\", max = 5, optional = true");
        assert!(integer.accept(Value::Float(3.0)).is_err());
        assert!(integer.accept(Value::Integer(6)).unwrap_err().contains("at most 5"));
    }

    #[test]
    fn a_text_of_words_has_no_others() {
        let text = |text: &str| Value::String(text.into());
        let some = param("type = \"string\", words = [\"crop\", \"flip\"], joined_by = \"_\", default = \"crop\"");
        assert!(some.accept(text("flip_crop")).is_ok());
        assert!(some.accept(text("crop_colour")).unwrap_err().starts_with("\"colour\" is not known; expected some of"));
        assert!(some.accept(text("crop_")).unwrap_err().contains("lacks a word"));
        let one = param("type = \"string\", words = [\"crop\", \"flip\"], default = \"crop\"");
        assert!(one.accept(text("flip_crop")).is_err() && one.accept(text("flip")).is_ok());
    }

    #[test]
    fn a_setting_goes_with_some_texts_of_another_parameter() {
        let outputs = "[outputs]\nz = { type = \"model\", help = \"h\" }\n";
        let params = "[params]\narch = { type = \"string\", help = \"h\", default = \"mlp\" }\nwidth = { type = \"integer\", \
                      optional = true, help = \"h\", only_with = { arch = [\"convnet*\", \"vit\"] } }";
        let width = parse(&format!("{outputs}{params}")).unwrap().params.swap_remove("width").unwrap();
        let fits = |text| width.goes_with("arch", text);
        assert!(fits("convnet") && fits("convnet3") && fits("vit") && !fits("mlp") && !fits("vit2"));
        assert!(width.goes_with("depth", "mlp"));
    }

    #[test]
    fn the_entries_of_a_list_are_checked() {
        let strings = param("type = \"strings\", choices = [\"a\", \"b\"], default = [\"a\"]");
        let list = |texts: &[&str]| Value::List(texts.iter().map(|text| Value::String(text.to_string())).collect());
        assert_eq!(strings.accept(list(&["b", "a"])), Ok(list(&["b", "a"])));
        assert!(strings.accept(list(&["c"])).is_err());
        let floats = param("type = \"floats\", min = 0, default = [1, 0.5]");
        assert_eq!(floats.default, Some(Value::List(vec![Value::Float(1.0), Value::Float(0.5)])));
    }

    #[test]
    fn contradictions_are_refused() {
        let outputs = "[outputs]\nz = { type = \"model\", help = \"h\" }\n";
        for (text, fault) in [
            ("x = { type = \"choice\", help = \"h\" }", "needs `choices`"),
            ("x = { type = \"integer\", help = \"h\", choices = [\"a\"] }", "only a choice"),
            ("x = { type = \"string\", help = \"h\", min = 1 }", "only numbers"),
            ("x = { type = \"integer\", help = \"h\", above_min = true }", "needs `min`"),
            ("x = { type = \"integer\", help = \"h\", min = 2, max = 1 }", "above `max`"),
            ("x = { type = \"integer\", help = \"h\", min = 2, default = 1 }", "its default"),
            ("x = { type = \"integer\", help = \"h\", optional = true, default = 1 }", "one of the two"),
            ("X = { type = \"integer\", help = \"h\" }", "letters a-z"),
            ("x = { type = \"integer\", help = \"h\", names = { metric_of = \"i\" } }", "only a string"),
            ("x = { type = \"string\", help = \"h\", names = { metric_of = \"i\" } }", "an input that takes many"),
            ("x = { type = \"integer\", help = \"h\", words = [\"a\"] }", "only a string has `words`"),
            ("x = { type = \"string\", help = \"h\", joined_by = \"_\" }", "between two `words`"),
            (
                "x = { type = \"string\", help = \"h\", words = [\"a\"], default = \"b\" }",
                "its default: \"b\" is not known",
            ),
            ("x = { type = \"integer\", help = \"h\", only_with = { y = [\"a\"] } }", "no parameter with a text"),
            (
                "x = { type = \"choice\", help = \"h\", choices = [\"a\"], needs_input = { b = \"i\" } }",
                "none of its choices",
            ),
            (
                "x = { type = \"choice\", help = \"h\", choices = [\"a\"], needs_input = { a = \"i\" } }",
                "`needs_input` names \"i\", which is no input",
            ),
        ] {
            let error = parse(&format!("{outputs}[params]\n{text}")).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
        let single = format!("{outputs}[inputs]\nx = {{ type = [\"model\"], help = \"h\", on_demand = true }}");
        assert!(parse(&single).unwrap_err().contains("needs `many`"));
        let cells = |text: &str| {
            let inputs =
                format!("[inputs]\ni = {{ type = [\"metrics\"], many = true, help = \"h\", cells = {{ {text} }} }}");
            let rows = "[params.rows]\ntype = \"strings\"\nhelp = \"h\"\ndefault = []\nnames = { label_of = \"i\" }";
            parse(&format!("{outputs}{inputs}\n{rows}")).map(|_| ()).unwrap_err()
        };
        assert!(cells("by = [\"rows\", \"columns\"]").contains("needs a parameter \"columns\""));
        assert!(cells("by = [\"rows\"], varying = \"columns\"").contains("one of those in `by`"));
        assert!(cells("by = [], joined_by = \"tuned\"").contains("`joined_by` is a list of strings"));
        let pair = format!(
            "{outputs}[inputs]\nx = {{ type = [\"model\"], help = \"h\", together_with = \"y\", optional = true }}"
        );
        assert!(parse(&pair).unwrap_err().contains("another optional input"));
        let own = format!("command = [\"x\"]\n{}", single.replace("on_demand", "many = true, on_demand"));
        assert!(parse(&own).unwrap_err().contains("with a `command`"));
        let metric = |text: &str| parse(&format!("{text}{outputs}[metrics.\"${{x}}\"]\nhelp = \"h\"")).unwrap_err();
        assert!(metric("").contains("has to be a parameter that holds a text"));
        assert!(metric("main_metric = \"y\"\n").contains("is no metric of this kind"));
        let text = "[params]\nx = { type = \"float\", default = 1, help = \"h\", work = true }";
        assert!(parse(&format!("{outputs}{text}")).unwrap_err().contains("only an integer has `work`"));
        let many = "a = { help = \"h\", headline = true }\n";
        let many = ["a", "b", "c"].map(|name| many.replacen('a', name, 1)).concat();
        assert!(parse(&format!("{outputs}[metrics]\n{many}")).unwrap_err().contains("at most 2 metrics"));
        let file = |text: &str| parse(&format!("[outputs.z]\nhelp = \"h\"\n{text}")).unwrap_err();
        assert!(file("type = \"model\"\nextension = \"md\"").contains("only a table, an image or files"));
        assert!(file("type = \"files\"\nextension = \"a/b\"").contains("letters a-z"));
        assert!(parse("outputs = {}").unwrap_err().contains("at least one output"));
        assert!(Declaration::parse(&format!("{}{outputs}", HEAD.replace("distill.dm", "a.b.c"))).is_err());
    }

    #[test]
    fn metrics_are_known_by_name_and_the_main_one_is_the_first() {
        let params = "[params]\naxis = { type = \"string\", default = \"ipc\", help = \"h\" }\n";
        let outputs = "[outputs]\nz = { type = \"model\", help = \"h\" }\n";
        let metrics =
            "[metrics]\na = { help = \"h\" }\nb = { help = \"h\", unit = \"share\" }\n\"${axis}\" = { help = \"h\" }\n";
        let declaration = parse(&format!("main_metric = \"b\"\n{outputs}{params}{metrics}")).unwrap();
        let with = IndexMap::from([("axis".to_string(), Value::String("ipc".into()))]);
        assert_eq!(declaration.metric_names(&with)[..3], ["b", "a", "ipc"]);
        assert!(declaration.metric("b", &with).unwrap().unit.is_some());
        assert!(declaration.check_metrics(["ipc", "a", metric::PEAK_MEMORY], &with).is_ok());
        assert!(declaration.check_metrics(["c"], &with).unwrap_err().contains("[metrics.c]"));
        let shown = parse(&format!(
            "{outputs}[metrics]\na = {{ help = \"h\" }}\nb = {{ help = \"h\", unit = \"share\", headline = true }}"
        ));
        let given = IndexMap::from([("a".to_string(), 1.0), ("b".to_string(), 0.5)]);
        assert_eq!(shown.unwrap().headline(&given, &with).collect::<Vec<_>>(), [("b", 0.5, Some("share"))]);
        let silent = parse(&format!("command = [\"x\"]\n{outputs}")).unwrap();
        assert!(!silent.declares_metrics() && silent.check_metrics(["c"], &with).is_ok());
        assert!(parse(outputs).unwrap().check_metrics(["c"], &with).is_err());
    }
}
