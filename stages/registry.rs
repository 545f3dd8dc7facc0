//! The built-in stage kinds by name. A kind is one line here, next to the folder it lives in; everything else about it
//! is in its `stage.toml`.

use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use ddpipe_interface::{Declaration, Value};
use indexmap::IndexMap;

/// A built-in kind: its declaration's text, and what runs it.
pub struct Kind {
    /// `group.kind`.
    pub name: &'static str,
    /// The text of its `stage.toml`.
    pub declaration: &'static str,
    run: fn(&Context, &Inputs, serde_json::Value) -> Result<Outputs>,
    check: fn(serde_json::Value) -> Result<()>,
}

/// Makes a [`Kind`] of a module with `Params` and `run`.
macro_rules! kind {
    ($name:literal, $folder:literal, $($module:ident)::+) => {
        Kind {
            name: $name,
            declaration: include_str!(concat!($folder, "/stage.toml")),
            run: |ctx, inputs, params| crate::$($module)::+::run(ctx, inputs, serde_json::from_value(params)?),
            check: |params| {
                serde_json::from_value::<crate::$($module)::+::Params>(params)?;
                Ok(())
            },
        }
    };
}

/// Every built-in kind.
pub const KINDS: &[Kind] = &[
    kind!("compare.table", "compare/table", compare::table),
    kind!("decode.cifar", "decode/cifar", decode::cifar),
    kind!("decode.folder", "decode/folder", decode::folder),
    kind!("decode.idx", "decode/idx", decode::idx),
    kind!("decode.medmnist", "decode/medmnist", decode::medmnist),
    kind!("decode.synthetic", "decode/synthetic", decode::synthetic),
    kind!("distill.datadam", "distill/feature_matching/datadam", distill::feature_matching::datadam),
    kind!("distill.datm", "distill/trajectory_matching/datm", distill::trajectory_matching::datm),
    kind!("distill.dc", "distill/gradient_matching/dc", distill::gradient_matching::dc),
    kind!("distill.dm", "distill/feature_matching/dm", distill::feature_matching::dm),
    kind!("distill.dsa", "distill/gradient_matching/dsa", distill::gradient_matching::dsa),
    kind!("distill.frepo", "distill/frepo", distill::frepo),
    kind!("distill.idc", "distill/idc", distill::idc),
    kind!("distill.knowledge", "distill/knowledge", distill::knowledge),
    kind!("distill.mtt", "distill/trajectory_matching/mtt", distill::trajectory_matching::mtt),
    kind!("distill.pad", "distill/trajectory_matching/pad", distill::trajectory_matching::pad),
    kind!("distill.psg", "distill/psg", distill::psg),
    kind!("evaluate.classifier", "evaluate/classifier", evaluate::classifier),
    kind!("evaluate.ranking", "evaluate/ranking", evaluate::ranking),
    kind!("init.synthetic", "init/synthetic", init::synthetic),
    kind!("label.synthetic", "label/synthetic", label::synthetic),
    kind!("learn.continual", "learn/continual", learn::continual),
    kind!("report.grid", "report/grid", report::grid),
    kind!("report.table", "report/table", report::table),
    kind!("sample.arrays", "sample/arrays", sample::arrays),
    kind!("sample.digits", "sample/digits", sample::digits),
    kind!("sample.polyps", "sample/polyps", sample::polyps),
    kind!("score.difficulty", "score/difficulty", score::difficulty),
    kind!("search.candidates", "search/candidates", search::candidates),
    kind!("search.ipc", "search/ipc", search::ipc),
    kind!("search.nas_proxy", "search/nas_proxy", search::nas_proxy),
    kind!("select.coreset", "select/coreset", select::coreset),
    kind!("split.mhist", "split/mhist", split::mhist),
    kind!("train.classifier", "train/classifier", train::classifier),
    kind!("train.experts", "train/experts", train::experts),
    kind!("train.teacher", "train/teacher", train::teacher),
];

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// Whether the kind computes on the host only, as its declaration says.
    pub fn cpu_only(&self) -> bool {
        Declaration::parse(self.declaration).is_ok_and(|declaration| declaration.resources.cpu_only)
    }

    /// Runs the stage with parameters that the engine has filled in and checked.
    pub fn run(&self, ctx: &Context, inputs: &Inputs, params: &IndexMap<String, Value>) -> Result<Outputs> {
        (self.run)(ctx, inputs, serde_json::to_value(params)?).with_context(|| self.name)
    }

    /// Whether `Params` takes exactly these parameters.
    pub fn check(&self, params: &IndexMap<String, Value>) -> Result<()> {
        (self.check)(serde_json::to_value(params)?)
    }
}
