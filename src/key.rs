//! What decides reuse. One function describes a node's action as names and values; the key is the hash of that
//! description, and `why` compares the same description with a record's, so decision and explanation cannot disagree.
//!
//! | in the key | left out on purpose |
//! |---|---|
//! | the kind and its version | the node's name, the pipeline's name |
//! | parameters that differ from their defaults | parameters at their defaults: adding one keeps old results |
//! | | a parameter that does nothing but set others, such as a protocol: those are there |
//! | the digest of every input's bytes | paths, and which node made the bytes |
//! | labels, folded axes and metrics of gathered inputs; labels of what could be asked for | job count, time, host |
//! | measured quantities (seconds, memory) that a gathering stage names | those that it does not name |
//! | the seed, for kinds that draw random numbers | the seed of other kinds |
//! | the device's class, for kinds with `device_in_key` | the device otherwise (recorded as provenance) |
//! | the numerics, where the pipeline asks for `numerics = "strict"` | the numerics otherwise (recorded as provenance) |
//! | for kinds with a `command`: arguments, the kind's folder and the interpreter by content, declared variables, the device's class | other environment variables |

use crate::catalog::Kind;
use crate::pipeline::Node;
use crate::program::Program;
use ddpipe_cache::{Digest, Key};
use ddpipe_interface::protocol::Absent;
use ddpipe_interface::{Declaration, Value};
use indexmap::IndexMap;

/// One artifact that enters an action, by content.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How tables call it; empty unless the input takes many.
    pub labels: IndexMap<String, Value>,
    /// The scalar results that come with it; empty unless the input takes many.
    pub metrics: IndexMap<String, f64>,
    /// The axes that the stage folds.
    pub over: Vec<String>,
}

/// A described action: names and canonical values, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(Vec<(String, String)>);

/// What, apart from the manifest, an action depends on.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The class of the device (`cpu`, `cuda`), used by kinds that ask for it.
    pub device: String,
    /// The numerics of the workers as text, where the pipeline is strict about them.
    pub numerics: Option<String>,
    /// The program of a kind with a `command`.
    pub program: Option<Program>,
}

/// The entries of parameters that differ from their defaults: the same for all nodes of a kind that share them.
pub fn describe_params(declaration: &Declaration, params: &IndexMap<String, Value>) -> Vec<(String, String)> {
    let mut params: Vec<_> = params.iter().collect();
    params.sort_by_key(|(name, _)| name.as_str());
    let differs = |(name, value): &(&String, &Value)| {
        let default = declaration.params.get(*name).and_then(|param| param.default.as_ref());
        default != Some(*value) && !declaration.is_selector(name)
    };
    let differing = params.into_iter().filter(differs);
    differing.map(|(name, value)| (format!("param {name}"), value.to_string())).collect()
}

/// Describes what running this node with these inputs means. `params` is what [`describe_params`] gives of its parameters.
pub fn describe(
    node: &Node,
    kind: &Kind,
    params: &[(String, String)],
    inputs: &IndexMap<String, Vec<Content>>,
    absent: &IndexMap<String, Vec<Absent>>,
    environment: &Environment,
) -> Description {
    let declaration = &kind.declaration;
    let mut entries = Vec::with_capacity(4 + params.len() + inputs.values().map(Vec::len).sum::<usize>());
    entries.push(("kind".to_string(), declaration.name.clone()));
    entries.push(("version".to_string(), declaration.version.to_string()));
    entries.extend_from_slice(params);
    let mut names: Vec<_> = inputs.keys().collect();
    names.sort();
    for name in names {
        let many = declaration.inputs.get(name).is_some_and(|input| input.many);
        for (index, content) in inputs[name].iter().enumerate() {
            if many {
                entries.push((format!("input {name}[{index}]"), gathered(content)));
            } else {
                entries.push((format!("input {name}"), content.digest.hex()));
            }
        }
    }
    for (name, absent) in absent.iter().flat_map(|(name, absent)| absent.iter().map(move |absent| (name, absent))) {
        entries.push((format!("on demand {name}[{}]", absent.position), sorted(&absent.labels).join(",")));
    }
    if declaration.seeded {
        entries.push(("seed".to_string(), node.seed.to_string()));
    }
    // A program is told the device, and may do anything with it.
    if declaration.device_in_key || declaration.command.is_some() {
        entries.push(("device".to_string(), environment.device.clone()));
    }
    if let Some(numerics) = &environment.numerics {
        entries.push(("numerics".to_string(), numerics.clone()));
    }
    entries.extend(environment.program.iter().flat_map(Program::described));
    Description(entries)
}

fn gathered(content: &Content) -> String {
    let mut metrics: Vec<_> = content.metrics.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    metrics.sort();
    let mut over = content.over.clone();
    over.sort();
    serde_json::json!([content.digest, sorted(&content.labels), metrics, over]).to_string()
}

fn sorted(labels: &IndexMap<String, Value>) -> Vec<String> {
    let mut labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.sort();
    labels
}

impl Description {
    /// The description that a record keeps.
    pub fn recorded(entries: &[(String, String)]) -> Self {
        Description(entries.to_vec())
    }

    /// The key, see [`Key::of`].
    pub fn key(&self) -> Key {
        Key::of(&self.0)
    }

    /// Names and values, for whoever makes them those of a record.
    pub(crate) fn entries_mut(&mut self) -> &mut Vec<(String, String)> {
        &mut self.0
    }

    /// Names and values, as a record keeps them.
    pub fn entries(&self) -> &[(String, String)] {
        &self.0
    }
}
