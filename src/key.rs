//! What decides reuse. One function describes a node's action as names and values; the key is the hash of that
//! description, and `why` compares the same description with a record's, so decision and explanation cannot disagree.
//!
//! | in the key | left out on purpose |
//! |---|---|
//! | the kind and its version | the node's name, the pipeline's name |
//! | parameters that differ from their defaults | parameters at their defaults: adding one keeps old results |
//! | the digest of every input's bytes | paths, and which node made the bytes |
//! | labels, folded axes and metrics of gathered inputs; labels of what could be asked for | job count, threads, time, host |
//! | the seed, for kinds that draw random numbers | the seed of other kinds |
//! | the device's class, for kinds with `device_in_key` | the device otherwise (recorded as provenance) |
//! | argument list and digests of the files it names, for kinds with a `command` | |

use crate::catalog::Kind;
use crate::pipeline::Node;
use ddpipe_cache::{Digest, Key};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::Absent;
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
    /// The digests of a command's program and scripts, by the argument that names them.
    pub programs: Vec<(String, Digest)>,
}

/// Describes what running this node with these inputs means.
pub fn describe(
    node: &Node,
    kind: &Kind,
    inputs: &IndexMap<String, Vec<Content>>,
    absent: &IndexMap<String, Vec<Absent>>,
    environment: &Environment,
) -> Description {
    let declaration = &kind.declaration;
    let mut entries =
        vec![("kind".to_string(), declaration.name.clone()), ("version".to_string(), declaration.version.to_string())];
    let mut params: Vec<_> = node.params.iter().collect();
    params.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in params {
        let default = declaration.params.get(name).and_then(|param| param.default.as_ref());
        if default != Some(value) {
            entries.push((format!("param {name}"), value.to_string()));
        }
    }
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
    if declaration.device_in_key {
        entries.push(("device".to_string(), environment.device.clone()));
    }
    if let Some(command) = &declaration.command {
        entries.push(("command".to_string(), serde_json::json!(command).to_string()));
        for (argument, digest) in &environment.programs {
            entries.push((format!("program {argument}"), digest.hex()));
        }
    }
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
    /// The key: a hash over names and values with their lengths, so that no two descriptions collide by concatenation.
    pub fn key(&self) -> Key {
        let mut canonical = b"ddpipe action 1\n".to_vec();
        for (name, value) in &self.0 {
            for text in [name, value] {
                canonical.extend_from_slice(&(text.len() as u64).to_le_bytes());
                canonical.extend_from_slice(text.as_bytes());
            }
        }
        Key::of(&canonical)
    }

    /// Names and values, as a record keeps them.
    pub fn entries(&self) -> &[(String, String)] {
        &self.0
    }
}
