//! The JSON Schema that editors complete manifests with, checked against the kinds that it is made from.

#![allow(clippy::unwrap_used)]

mod manifest_support;

use ddpipe::schema::schema;
use manifest_support::catalog;
use serde_json::{Value, json};

/// All references of the schema lead somewhere.
fn check_references(schema: &Value, part: &Value) {
    match part {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get("$ref") {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(schema.pointer(pointer).is_some(), "{target} leads nowhere");
            }
            map.values().for_each(|inner| check_references(schema, inner));
        }
        Value::Array(list) => list.iter().for_each(|inner| check_references(schema, inner)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let schema = schema(&catalog());
    check_references(&schema, &schema);
}

#[test]
fn every_kind_brings_its_parameters_and_inputs() {
    let (schema, catalog) = (schema(&catalog()), catalog());
    let rules = schema["$defs"]["stage"]["allOf"].as_array().unwrap();
    assert_eq!(rules.len(), catalog.names().count());
    for ((name, kind), rule) in catalog.iter().zip(rules) {
        assert_eq!(rule["if"]["properties"]["kind"]["const"], name);
        let params = schema.pointer(rule["then"]["properties"]["params"]["$ref"].as_str().unwrap().trim_matches('#'));
        let params = params.unwrap();
        assert_eq!(params["additionalProperties"], false);
        let names: Vec<_> = params["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, kind.declaration.params.keys().collect::<Vec<_>>(), "{name}");
        let inputs = &schema["$defs"][format!("inputs:{name}")]["properties"];
        assert_eq!(inputs.as_object().unwrap().len(), kind.declaration.inputs.len(), "{name}");
    }
}

#[test]
fn a_parameter_keeps_its_type_range_default_and_help() {
    let schema = schema(&catalog());
    let params = &schema["$defs"]["params:distill.dm"]["properties"];
    let reference = json!({ "type": "string", "pattern": "\\$\\{[a-z0-9_]+\\}" });
    let by_axis = json!({ "$ref": "#/$defs/by_axis" });
    assert_eq!(
        params["lr"],
        json!({
            "anyOf": [{ "type": "number", "exclusiveMinimum": 0.0 }, reference, by_axis],
            "description": "learning rate of the images",
            "default": 1.0,
        })
    );
    assert_eq!(params["arch"]["anyOf"][0]["enum"], json!(["convnet3", "mlp"]));
    assert_eq!(params["strategy"]["anyOf"][0]["items"]["enum"], json!(["color", "crop", "flip"]));
    assert_eq!(params["strategy"]["default"], json!(["color", "crop"]));
    let epochs = &schema["$defs"]["params:evaluate.classifier"]["properties"]["epochs"]["anyOf"][0];
    assert_eq!(*epochs, json!({ "type": "integer", "minimum": 1.0, "maximum": 100000.0 }));
    let rows = &schema["$defs"]["params:report.table"]["properties"]["rows"];
    assert_eq!(*rows, json!({ "anyOf": [{ "type": "string" }, by_axis], "description": "the axis of the rows" }));
    assert!(
        schema["$defs"]["inputs:report.table"]["properties"]["results"]["description"]
            .as_str()
            .unwrap()
            .contains("takes several")
    );
}

/// The keys that `load` knows are those of the schema: each is tried on a manifest.
#[test]
fn the_schema_has_the_keys_that_load_knows() {
    let schema = schema(&catalog());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.toml");
    let tables = [
        ("", schema["properties"].clone()),
        ("[pipeline]\n", schema["$defs"]["pipeline"]["properties"].clone()),
        ("[sources.a]\n", schema["$defs"]["sources"]["patternProperties"]["^[a-z0-9_]+$"]["properties"].clone()),
        ("[stages.a]\n", schema["$defs"]["stage"]["properties"].clone()),
        ("[[expect]]\n", schema["$defs"]["expect"]["items"]["properties"].clone()),
    ];
    for (head, properties) in tables {
        let mut keys: Vec<_> = properties.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(keys.len() >= 4, "{head}");
        keys.push("surely_unknown");
        for key in keys {
            std::fs::write(&file, format!("{head}{key} = 0\n")).unwrap();
            let report = ddpipe::load(&file, &ddpipe::Overrides::default(), catalog()).unwrap_err();
            let unknown =
                report.diagnostics.iter().any(|it| it.message.starts_with(&format!("key {key:?} is not known")));
            assert_eq!(unknown, key == "surely_unknown", "{head}{key}: {report}");
        }
    }
}
