//! The JSON Schema of a manifest, made from the catalog: gives editors completion, help and checks while typing. It is
//! looser than `load`: what needs the whole manifest (references, axes, missing parameters) is not in it.

use crate::catalog::Catalog;
use crate::published::Sure;
use ddpipe_interface::{Declaration, Param, ParamType, Value as ParamValue};
use serde_json::{Map, Value, json};

/// Names of stages, axes and variables.
const NAME: &str = "^[a-z0-9_]+$";
/// A text that refers to a variable or an axis.
const REFERENCE: &str = "\\$\\{[a-z0-9_]+\\}";

/// The schema (draft 2020-12) of manifests that use these kinds.
pub fn schema(catalog: &Catalog) -> Value {
    let mut definitions = json!({
        "pipeline": pipeline(),
        "vars": vars(),
        "sources": sources(),
        "expect": { "type": "array", "items": expectation(), "description": "what is checked after a run" },
        "published": { "type": "array", "items": published(), "description": "what others report for a cell" },
        "input": input(),
        "matrix": matrix(),
        "by_axis": by_axis(),
        "stage": stage(catalog),
        "stages": named("the stages, by name", json!({ "$ref": "#/$defs/stage" })),
    });
    if let Some(definitions) = definitions.as_object_mut() {
        for (name, kind) in catalog.iter() {
            definitions.insert(format!("params:{name}"), params(&kind.declaration));
            definitions.insert(format!("inputs:{name}"), inputs(&kind.declaration));
        }
    }
    let tables = ["pipeline", "vars", "sources", "stages", "expect"];
    let tables: Map<_, _> =
        tables.iter().map(|name| (name.to_string(), json!({ "$ref": format!("#/$defs/{name}") }))).collect();
    let mut properties = tables.clone();
    properties.insert("published".into(), json!({ "$ref": "#/$defs/published" }));
    properties.insert(
        "include".into(),
        json!({
            "type": "array",
            "items": { "type": "string" },
            "description": "files that are merged below this one, relative to it",
        }),
    );
    properties.insert("profiles".into(), named("overrides, applied with --profile NAME", object(tables)));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ddpipe manifest",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// A table with exactly these keys, each of which may be left out.
fn object(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// A table whose keys are names.
fn named(description: &str, entry: Value) -> Value {
    json!({
        "type": "object",
        "description": description,
        "patternProperties": { NAME: entry },
        "additionalProperties": false,
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// A value of a type, or a text that refers to one.
fn or_reference(mut schema: Value, description: &str) -> Value {
    if schema["type"] != "string" || schema.get("enum").is_some() {
        schema = json!({ "anyOf": [schema, { "type": "string", "pattern": REFERENCE }] });
    }
    schema["description"] = json!(description);
    schema
}

fn properties(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

fn pipeline() -> Value {
    object(properties(json!({
        "name": text("the name of the pipeline"),
        "about": text("one line on what it is for"),
        "licence": text("the licence of what comes of it, in words or as an address; in an exported RO-Crate"),
        "seed": or_reference(json!({ "type": "integer", "minimum": 0 }), "the seed of all stages without one of their own"),
        "numerics": {
            "enum": ["loose", "strict"],
            "description": "strict: libraries, instruction set, threads and device enter the keys",
        },
        "kinds": {
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
            "description": "folders with kinds of your own",
        },
    })))
}

fn vars() -> Value {
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    named("variables, used as ${name}", json!({ "anyOf": [scalar, { "type": "array", "items": scalar }] }))
}

fn sources() -> Value {
    let digest = |digits: usize| json!({ "type": "string", "pattern": format!("^[0-9a-fA-F]{{{digits}}}$") });
    let url = text("where it can be downloaded");
    let file = object(properties(json!({
        "md5": digest(32),
        "sha256": digest(64),
        "blake3": digest(64),
        "url": { "anyOf": [url, { "type": "array", "items": url }] },
    })));
    let source = object(properties(json!({
        "path": text("the folder that the files lie in, relative to the project"),
        "obtain": text("how to get the files, in words"),
        "licence": text("the licence of the files, in words or as an address; shown in reports"),
        "verify": or_reference(json!({ "type": "boolean" }), "compare the digests; true unless given"),
        "optional": or_reference(json!({ "type": "boolean" }), "leave out what needs it while it is not there; false unless given"),
        "files": { "type": "object", "additionalProperties": file, "description": "the files, by name" },
    })));
    named("files that come from outside", source)
}

fn expectation() -> Value {
    let number = |description: &str| or_reference(json!({ "type": "number" }), description);
    object(properties(json!({
        "metric": text("the node and its metric: evaluate[method=dm].accuracy"),
        "at_least": number("smallest value that passes"),
        "at_most": number("largest value that passes"),
        "equals": number("the value to be met, up to within"),
        "within": number("how far from equals still passes"),
        "under_published": or_reference(
            json!({ "type": "number", "minimum": 0 }),
            "how far the value may fall short of the published figure of the same nodes",
        ),
        "mean": or_reference(json!({ "type": "boolean" }), "hold the mean over the nodes to the bounds, not each node"),
    })))
}

fn published() -> Value {
    let number = |description: &str| or_reference(json!({ "type": "number" }), description);
    let least = |description: &str| or_reference(json!({ "type": "number", "minimum": 0 }), description);
    let texts = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    let mut over = texts;
    over["description"] = json!("the axes whose values are repetitions; seed unless given");
    let mut table = object(properties(json!({
        "metric": text("the cell and its metric: evaluate[method=dm,ipc=10].accuracy"),
        "value": number("what is published, in the metric's unit"),
        "std": least("its standard deviation, as published"),
        "n": or_reference(json!({ "type": "integer", "minimum": 1 }), "of how many values std is"),
        "source": text("the paper or file, and the table"),
        "sure": or_reference(
            json!({ "type": "string", "enum": Sure::ALL.map(Sure::name) }),
            "read in the source, computed from figures that were read, remembered, or none: nothing is published",
        ),
        "protocol": text("the protocol of the source, by name"),
        "differs": text("in what the manifest as written differs from what the source did"),
        "within": least("how far from the value counts as reproduced"),
        "over": over,
    })));
    table["required"] = json!(["metric", "source", "sure"]);
    table
}

fn input() -> Value {
    let names = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    let gather = object(properties(json!({ "gather": names, "over": names, "each": names })));
    json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }, gather] })
}

fn matrix() -> Value {
    let integer = or_reference(json!({ "type": "integer" }), "");
    let range = object(properties(json!({ "from": integer, "to": integer, "step": integer })));
    let list = json!({ "type": "array", "minItems": 1, "items": { "type": ["string", "number", "boolean"] } });
    let mut matrix = named("axes: one node for each combination", or_reference(json!({ "anyOf": [list, range] }), ""));
    matrix["properties"] = json!({ "exclude": {
        "type": "array",
        "items": { "type": "object" },
        "description": "combinations to leave out",
    } });
    matrix
}

/// `{ ipc = { 1 = 0.1, else = 1.0 } }`.
fn by_axis() -> Value {
    json!({
        "type": "object",
        "description": "another value at each value of an axis; else stands for all others",
        "patternProperties": { NAME: { "type": "object" } },
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    })
}

fn stage(catalog: &Catalog) -> Value {
    let kinds: Vec<_> = catalog
        .iter()
        .map(|(name, kind)| json!({ "const": name, "description": kind.declaration.help }))
        .chain([json!({ "type": "string", "pattern": REFERENCE })])
        .collect();
    let mut stage = object(properties(json!({
        "kind": { "anyOf": kinds, "description": "what the stage does" },
        "about": text("one line on what it is for"),
        "inputs": { "type": "object", "additionalProperties": { "$ref": "#/$defs/input" } },
        "params": { "type": "object" },
        "matrix": { "$ref": "#/$defs/matrix" },
        "seed": or_reference(json!({ "type": "integer", "minimum": 0 }), "instead of the pipeline's"),
        "timeout": {
            "anyOf": [{ "type": "number", "exclusiveMinimum": 0 }, { "type": "string" }],
            "description": "how long it may take: seconds, or 30s, 90min, 2h",
        },
        "retries": retries(),
    })));
    let of_kind = |name: &str| {
        json!({
            "if": { "properties": { "kind": { "const": name } }, "required": ["kind"] },
            "then": { "properties": {
                "params": { "$ref": format!("#/$defs/params:{name}") },
                "inputs": { "$ref": format!("#/$defs/inputs:{name}") },
            } },
        })
    };
    if catalog.names().next().is_some() {
        stage["allOf"] = catalog.names().map(of_kind).collect();
    }
    stage
}

fn retries() -> Value {
    let times = json!({ "type": "integer", "minimum": 0, "maximum": 100 });
    let names = crate::limits::RETRIED.map(|cause| cause.name());
    let trouble = json!({ "anyOf": [{ "enum": names }, { "type": "integer", "minimum": 1, "maximum": 255 }] });
    let on = json!({ "type": "array", "items": trouble, "description": "failures, and exit statuses of its program" });
    let mut table = object(properties(json!({ "times": times.clone(), "on": on })));
    table["required"] = json!(["times"]);
    let reference = json!({ "type": "string", "pattern": REFERENCE });
    json!({ "anyOf": [times, table, reference], "description": "how often it is tried again after a failure" })
}

fn inputs(declaration: &Declaration) -> Value {
    let input = |(name, input): (&String, &ddpipe_interface::Input)| {
        let types: Vec<_> = input.types.iter().map(|artifact| artifact.name()).collect();
        let optional = if input.optional { ", may be left out" } else { "" };
        let many = if input.many { ", takes several" } else { "" };
        let many = if input.on_demand { ", takes several, on demand" } else { many };
        let description = format!("{} ({}{many}{optional})", input.help, types.join(" or "));
        (name.clone(), json!({ "$ref": "#/$defs/input", "description": description }))
    };
    object(declaration.inputs.iter().map(input).collect())
}

fn params(declaration: &Declaration) -> Value {
    object(declaration.params.iter().map(|(name, it)| (name.clone(), param(it))).collect())
}

fn param(param: &Param) -> Value {
    let list = |entry: Value| json!({ "type": "array", "items": entry });
    let typed = match param.kind {
        ParamType::Integer => number(param, "integer"),
        ParamType::Float => number(param, "number"),
        ParamType::Boolean => json!({ "type": "boolean" }),
        ParamType::String if !param.words.is_empty() => of_words(param),
        ParamType::String => json!({ "type": "string" }),
        ParamType::Choice => json!({ "type": "string", "enum": param.choices }),
        ParamType::Integers => list(number(param, "integer")),
        ParamType::Floats => list(number(param, "number")),
        ParamType::Strings if param.choices.is_empty() => list(json!({ "type": "string" })),
        ParamType::Strings => list(json!({ "type": "string", "enum": param.choices })),
    };
    let unit = param.unit.as_ref().map_or(String::new(), |unit| format!(" [{unit}]"));
    let source = param.source.as_ref().map_or(String::new(), |source| format!("; {source}"));
    let mut forms = vec![typed];
    let restricted = ["enum", "pattern"].iter().any(|key| forms[0].get(key).is_some());
    if forms[0]["type"] != "string" || restricted {
        forms.push(json!({ "type": "string", "pattern": REFERENCE }));
    }
    forms.push(json!({ "$ref": "#/$defs/by_axis" }));
    let mut schema = json!({ "anyOf": forms, "description": format!("{}{unit}{source}", param.help) });
    if let Some(default) = &param.default {
        schema["default"] = plain(default);
    }
    schema
}

/// A text that consists of the declared words.
fn of_words(param: &Param) -> Value {
    let words = param.words.join("|");
    match &param.joined_by {
        // What stands between two words is one letter or several without a meaning in patterns.
        Some(between) if between.chars().all(|letter| letter.is_alphanumeric() || "_-, ".contains(letter)) => {
            json!({ "type": "string", "pattern": format!("^({words})({between}({words}))*$") })
        }
        Some(_) => json!({ "type": "string" }),
        None => json!({ "type": "string", "enum": param.words }),
    }
}

fn number(param: &Param, name: &str) -> Value {
    let mut schema = json!({ "type": name });
    if let Some(min) = param.min {
        schema[if param.above_min { "exclusiveMinimum" } else { "minimum" }] = json!(min);
    }
    if let Some(max) = param.max {
        schema["maximum"] = json!(max);
    }
    schema
}

fn plain(value: &ParamValue) -> Value {
    match value {
        ParamValue::Boolean(value) => json!(value),
        ParamValue::Integer(number) => json!(number),
        ParamValue::Float(number) => json!(number),
        ParamValue::String(text) => json!(text),
        ParamValue::List(values) => values.iter().map(plain).collect(),
    }
}
