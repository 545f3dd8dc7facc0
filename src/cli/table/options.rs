//! What is changed of a table: parameters by name, with short options for those that most tables have, and the folded axes.
//! Which parameters a kind has, and of which type, is declared; wrong values are found when the manifest is resolved.

use crate::diagnostic::did_you_mean;
use crate::exit::Fault;
use crate::manifest::{Changed, Form, StageOption};
use ddpipe_interface::{Declaration, ParamType};

/// What a table shows, and how it is sorted.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// Sort the rows by these labels: method,arch
    #[arg(long, value_name = "LABELS")]
    rows: Option<String>,
    /// Sort the columns by these labels; '' for a single column
    #[arg(long, value_name = "LABELS")]
    columns: Option<String>,
    /// Show this metric; several with commas where the table's kind shows several. A caption of the manifest does not stay
    #[arg(long, value_name = "METRIC")]
    value: Option<String>,
    /// Fold these axes: mean ± std over their values; '' for none
    #[arg(long, value_name = "AXES")]
    over: Option<String>,
    /// The caption
    #[arg(long, value_name = "TEXT")]
    caption: Option<String>,
    /// Another parameter of the table's kind: digits=3; `ddpipe stages KIND` lists them
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
}

const CAPTION: &str = "caption";

impl Wanted {
    /// The options as changes of a stage of this kind.
    ///
    /// # Errors
    /// The kind has no such parameter, or folds nothing.
    pub fn options(&self, stage: &str, kind: &Declaration) -> Result<Vec<StageOption>, Fault> {
        let mut options = Vec::new();
        let mut set = |option: String, names: &[&str], text: &str| {
            let (name, form) = param(kind, &option, names)?;
            let what = Changed::Param(name.to_string());
            options.push(StageOption { option, stage: stage.to_string(), what, text: text.to_string(), form });
            Ok::<_, Fault>(())
        };
        for (option, names, text) in [
            ("--rows", &["rows"][..], &self.rows),
            ("--columns", &["columns"], &self.columns),
            ("--value", &["value", "values"], &self.value),
            ("--caption", &[CAPTION], &self.caption),
        ] {
            text.as_ref().map_or(Ok(()), |text| set(option.to_string(), names, text))?;
        }
        let mut captioned = self.caption.is_some();
        for written in &self.param {
            let split = written.split_once('=').filter(|(name, _)| !name.trim().is_empty());
            let (name, text) =
                split.ok_or_else(|| Fault::usage(format!("--param {written}: expected NAME=VALUE, as in digits=3")))?;
            let name = name.trim();
            captioned |= name == CAPTION;
            set(format!("--param {name}"), &[name], text.trim())?;
        }
        // What the manifest calls the table is not what it shows now.
        if self.value.is_some() && !captioned && kind.params.contains_key(CAPTION) {
            let (what, text) = (Changed::Without(CAPTION.to_string()), String::new());
            let option = "--value".to_string();
            options.push(StageOption { option, stage: stage.to_string(), what, text, form: Form::Text });
        }
        if let Some(text) = &self.over {
            let input = kind.inputs.iter().find(|(_, input)| input.cells.is_some()).map(|(name, _)| name.clone());
            let input =
                input.ok_or_else(|| Fault::usage(format!("--over {text}: kind {} makes no table", kind.name)))?;
            let (option, what) = ("--over".to_string(), Changed::Over(input));
            options.push(StageOption { option, stage: stage.to_string(), what, text: text.clone(), form: Form::Texts });
        }
        Ok(options)
    }
}

/// The first of these parameters that the kind has, and how its value is written on the command line.
fn param<'a>(kind: &'a Declaration, option: &str, names: &[&str]) -> Result<(&'a str, Form), Fault> {
    let found = names.iter().find_map(|name| kind.params.get_key_value(*name));
    let Some((name, param)) = found else {
        let wanted = names.first().copied().unwrap_or_default();
        let near = did_you_mean(wanted, kind.params.keys().map(String::as_str));
        let all: Vec<&str> = kind.params.keys().map(String::as_str).collect();
        let message = format!("{option}: kind {} has no parameter {wanted:?}{near}", kind.name);
        return Err(Fault::usage(format!("{message}\n  its parameters are {}", all.join(", "))));
    };
    let form = match param.kind {
        ParamType::Strings => Form::Texts,
        ParamType::String | ParamType::Choice => Form::Text,
        _ => Form::Value,
    };
    Ok((name, form))
}
