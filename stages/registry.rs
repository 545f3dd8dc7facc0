//! The built-in stage kinds by name. `build.rs` finds them: every folder with a `stage.toml`, at any depth, is a kind, and
//! the module of the same path holds its `Params` and `run`. Everything else about a kind is in its `stage.toml`.

use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result, anyhow};
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

/// Makes a [`Kind`] of its name, the path of its declaration, and a module with `Params` and `run`.
macro_rules! kind {
    ($name:literal, $declaration:literal, $($module:ident)::+) => {
        Kind {
            name: $name,
            declaration: include_str!($declaration),
            run: |ctx, inputs, params| crate::$($module)::+::run(ctx, inputs, serde_json::from_value(params)?),
            check: |params| {
                serde_json::from_value::<crate::$($module)::+::Params>(params)?;
                Ok(())
            },
        }
    };
}

/// Every built-in kind, sorted by name.
pub const KINDS: &[Kind] = include!(concat!(env!("OUT_DIR"), "/kinds.rs"));

/// The kind that new ones are copied from. It is no part of [`KINDS`], so that no manifest can name it; tests run it.
pub const TEMPLATE: &Kind = &kind!("distill.template", "TEMPLATE/stage.toml", template);

/// The kind of this name.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// Its declaration, with all that it takes from shared blocks.
    pub fn declared(&self) -> Result<Declaration> {
        Declaration::parse(self.declaration).with_context(|| format!("{}: stage.toml", self.name))
    }

    /// Whether the kind computes on the host only, as its declaration says.
    pub fn cpu_only(&self) -> bool {
        self.declared().is_ok_and(|declaration| declaration.resources.cpu_only)
    }

    /// Whether every metric of a stage with these parameters is declared; says of one that is not how to declare it.
    pub fn check_metrics<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
        params: &IndexMap<String, Value>,
    ) -> Result<()> {
        self.declared()?.check_metrics(names, params).map_err(|why| anyhow!("{} {why}", self.name))
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
