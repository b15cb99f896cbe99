//! From several OpenAPI documents to one.

use crate::gateway::table::shape;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an operation of a path can be called.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One document of these, by service. It has only what the gateway serves: (service, method, path). A name that two services give to different things gets
/// the service's in front, at the later one.
pub(super) fn combine(title: &str, documents: &BTreeMap<String, Value>, served: &[(String, String, String)]) -> Value {
    let mut paths = Map::new();
    // By kind, such as `schemas`, and name.
    let mut components = BTreeMap::<String, Map<String, Value>>::new();
    let mut tags = Vec::new();
    let mut operations = BTreeSet::new();
    for (service, document) in documents {
        let renamed = place(service, document, &mut components);
        let mut any = false;
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let Some(item) = item.as_object() else { continue };
            for (method, operation) in item.iter().filter(|(key, _)| METHODS.contains(&key.as_str())) {
                let is_served = served
                    .iter()
                    .any(|(whose, by, at)| whose == service && (by == "*" || by.eq_ignore_ascii_case(method)) && covers(at, path));
                if !is_served {
                    continue;
                }
                let mut operation = rewritten(operation, &renamed);
                if let Some(operation) = operation.as_object_mut() {
                    own(operation, service, document, item, &renamed, &mut operations);
                }
                let at = paths.entry(path.clone()).or_insert_with(|| json!({}));
                at[method] = operation;
                any = true;
            }
        }
        if any {
            let about = document["info"]["description"].as_str().or(document["info"]["title"].as_str());
            // Mostly it is called what it is.
            tags.push(match about.filter(|about| about != service) {
                Some(about) => json!({ "name": service, "description": about }),
                None => json!({ "name": service }),
            });
        }
    }
    let components: Map<String, Value> = components.into_iter().map(|(kind, all)| (kind, Value::Object(all))).collect();
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": "1" },
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

/// Whether the gateway's route is for this path of a document: the same one, or one below it.
fn covers(route: &str, path: &str) -> bool {
    shape(route) == shape(path) || route.split_once("{*").is_some_and(|(prefix, _)| path.len() > prefix.len() && path.starts_with(prefix))
}

/// What holds for a document or a path as a whole is said at each operation, where it is alone with those of others.
fn own(
    operation: &mut Map<String, Value>,
    service: &str,
    document: &Value,
    item: &Map<String, Value>,
    renamed: &BTreeMap<String, String>,
    operations: &mut BTreeSet<String>,
) {
    operation.insert("tags".to_owned(), json!([service]));
    if let Some(id) = operation.get("operationId").and_then(Value::as_str).map(str::to_owned) {
        let mut unique = id.clone();
        if operations.contains(&unique) {
            unique = format!("{service}_{id}");
        }
        operations.insert(unique.clone());
        operation.insert("operationId".to_owned(), Value::String(unique));
    }
    if let Some(shared) = item.get("parameters").and_then(Value::as_array) {
        let is_same = |a: &Value, b: &Value| a["name"] == b["name"] && a["in"] == b["in"];
        let mut all = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
        let more: Vec<_> =
            shared.iter().map(|one| rewritten(one, renamed)).filter(|one| !all.iter().any(|own| is_same(own, one))).collect();
        all.extend(more);
        operation.insert("parameters".to_owned(), Value::Array(all));
    }
    let security = operation.get("security").or(document.get("security")).cloned();
    if let Some(security) = security {
        operation.insert("security".to_owned(), schemes(&security, renamed));
    }
}

/// Security is by the names of schemes, which are keys here.
fn schemes(security: &Value, renamed: &BTreeMap<String, String>) -> Value {
    let name = |name: &String| {
        let reference = format!("#/components/securitySchemes/{name}");
        renamed.get(&reference).and_then(|new| new.rsplit('/').next()).unwrap_or(name).to_owned()
    };
    let one = |one: &Value| Value::Object(one.as_object().into_iter().flatten().map(|(key, value)| (name(key), value.clone())).collect());
    Value::Array(security.as_array().into_iter().flatten().map(one).collect())
}

/// Puts the components of a document with the others. What their references are called then.
fn place(service: &str, document: &Value, components: &mut BTreeMap<String, Map<String, Value>>) -> BTreeMap<String, String> {
    let mut renamed = BTreeMap::new();
    let all = || document["components"].as_object().into_iter().flatten().filter_map(|(kind, all)| Some((kind, all.as_object()?)));
    for (kind, entries) in all() {
        let there = components.entry(kind.clone()).or_default();
        for (name, value) in entries {
            // What is the same is shared; unless it refers to something, which may be another thing there.
            let is_free = there.get(name).is_none_or(|other| other == value && !refers(value));
            if !is_free {
                let mut new = format!("{service}_{name}");
                while there.contains_key(&new) || entries.contains_key(&new) {
                    new.push('_');
                }
                renamed.insert(format!("#/components/{kind}/{name}"), format!("#/components/{kind}/{new}"));
            }
        }
    }
    for (kind, entries) in all() {
        for (name, value) in entries {
            let new = renamed.get(&format!("#/components/{kind}/{name}")).and_then(|new| new.rsplit('/').next()).unwrap_or(name).to_owned();
            components.entry(kind.clone()).or_default().insert(new, rewritten(value, &renamed));
        }
    }
    renamed
}

fn refers(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("$ref") || map.values().any(refers),
        Value::Array(list) => list.iter().any(refers),
        _ => false,
    }
}

/// The value with these references. A service's document is read as deep as JSON is, which has its own limit.
fn rewritten(value: &Value, renamed: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let is_reference = matches!(key.as_str(), "$ref") || value.as_str().is_some_and(|text| text.starts_with("#/components/"));
                let new = value.as_str().filter(|_| is_reference).and_then(|text| renamed.get(text));
                (key.clone(), new.map_or_else(|| rewritten(value, renamed), |new| Value::String(new.clone())))
            };
            Value::Object(map.iter().map(entry).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(|value| rewritten(value, renamed)).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(all: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        all.iter().map(|(service, method, path)| ((*service).into(), (*method).into(), (*path).into())).collect()
    }

    fn document(path: &str, schema: &Value) -> Value {
        json!({
            "openapi": "3.1.0",
            "info": { "title": "T", "version": "1" },
            "security": [{ "bearer": [] }],
            "paths": {
                path: {
                    "parameters": [{ "name": "id", "in": "path" }],
                    "get": { "operationId": "get", "responses": { "200": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } } } },
                    "delete": { "responses": {} }
                },
                "/hidden": { "get": {} }
            },
            "components": {
                "schemas": { "Thing": schema, "Wrap": { "items": { "$ref": "#/components/schemas/Thing" } } },
                "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } }
            }
        })
    }

    #[test]
    fn names_are_made_different_where_they_mean_different_things() {
        let documents = BTreeMap::from([
            ("a".to_owned(), document("/as/{id}", &json!({ "type": "string" }))),
            ("b".to_owned(), document("/bs/{id}", &json!({ "type": "integer" }))),
        ]);
        let all = combine("Shop", &documents, &served(&[("a", "GET", "/as/{uuid}"), ("b", "GET", "/bs/{id}")]));
        let schemas = all["components"]["schemas"].as_object().unwrap();
        assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Thing", "Wrap", "b_Thing", "b_Wrap"]);
        assert_eq!(schemas["b_Wrap"]["items"]["$ref"], "#/components/schemas/b_Thing");
        let of = |path: &str| all["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].clone();
        assert_eq!((of("/as/{id}"), of("/bs/{id}")), (json!("#/components/schemas/Thing"), json!("#/components/schemas/b_Thing")));
        assert_eq!(all["components"]["securitySchemes"].as_object().unwrap().len(), 1, "what is the same is shared");
        assert_eq!(all["paths"]["/bs/{id}"]["get"]["operationId"], "b_get");
        assert_eq!(all["paths"]["/bs/{id}"]["get"]["security"], json!([{ "bearer": [] }]));
        assert_eq!(all["paths"]["/as/{id}"]["get"]["parameters"][0]["name"], "id");
        assert_eq!(all["tags"], json!([{ "name": "a", "description": "T" }, { "name": "b", "description": "T" }]));
        let alike = BTreeMap::from([("T".to_owned(), document("/as/{id}", &json!({})))]);
        assert_eq!(combine("Shop", &alike, &served(&[("T", "GET", "/as/{id}")]))["tags"], json!([{ "name": "T" }]), "once");
    }

    #[test]
    fn only_what_is_served_is_shown() {
        let documents = BTreeMap::from([("a".to_owned(), document("/as/{id}", &json!({})))]);
        let all = combine("Shop", &documents, &served(&[("a", "GET", "/as/{id}"), ("b", "*", "/hidden")]));
        assert_eq!(all["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/as/{id}"]);
        assert!(all["paths"]["/as/{id}"].get("delete").is_none());
        let all = combine("Shop", &documents, &served(&[("a", "*", "/as/{*rest}")]));
        assert!(all["paths"]["/as/{id}"].get("delete").is_some(), "below a route");
    }

    #[test]
    fn nonsense_is_left_away() {
        for nonsense in
            [json!({}), json!({ "paths": [1], "components": 3 }), json!({ "paths": { "/x": 1 }, "components": { "schemas": 1 } })]
        {
            let all = combine("Shop", &BTreeMap::from([("a".to_owned(), nonsense)]), &served(&[("a", "*", "/x")]));
            assert_eq!(all["paths"], json!({}));
        }
    }
}
