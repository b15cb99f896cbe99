//! OpenAPI 3.1, for who calls the service by HTTP.

use super::{
    model::{Contract, Operation, Route},
    problems,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PROBLEM: &str = "application/problem+json";

/// The document.
pub(super) fn document(contract: &Contract) -> Value {
    let (mut paths, mut statuses, mut tags) = (BTreeMap::<String, Map<String, Value>>::new(), BTreeSet::new(), BTreeSet::new());
    for (name, operation) in &contract.operations {
        statuses.extend(&operation.problems);
        for (n, route) in operation.routes.iter().enumerate() {
            let id = if n == 0 { name.clone() } else { format!("{name}_{}", n + 1) };
            let tag = tag(contract, operation);
            tags.insert(tag.clone());
            let told = self::operation(&id, &tag, contract, operation, route);
            paths.entry(route.path.replace("{*", "{")).or_default().insert(route.method.to_ascii_lowercase(), told);
        }
    }
    let mut schemas = contract.components.schemas.clone();
    schemas.insert(free("Problem", &contract.components.schemas), problem());
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": contract.service, "version": "1" },
        "tags": tags.into_iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": statuses.into_iter().map(|status: &u16| (format!("Problem{status}"), response(contract, *status))).collect::<Map<_, _>>(),
        },
    });
    if contract.operations.values().any(|operation| operation.access.is_some()) {
        document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } });
    }
    document
}

/// A name that no type of the user has.
fn free(name: &str, taken: &BTreeMap<String, Value>) -> String {
    if taken.contains_key(name) { format!("Minos{name}") } else { name.to_owned() }
}

fn tag(contract: &Contract, operation: &Operation) -> String {
    let module = operation.module.rsplit("::").next().filter(|module| !module.is_empty());
    module.unwrap_or(&contract.service).to_owned()
}

fn operation(id: &str, tag: &str, contract: &Contract, operation: &Operation, route: &Route) -> Value {
    let mut parameters: Vec<Value> = operation
        .path
        .iter()
        .map(|(name, schema)| json!({ "name": name, "in": "path", "required": true, "schema": not_empty(schema.clone()) }))
        .collect();
    let reads = route.method == "GET";
    let in_query = operation.query.as_ref().or(operation.input.as_ref().filter(|_| reads));
    if let Some(query) = in_query {
        parameters.extend(query_parameters(contract, query));
    }
    if operation.kind == "command" {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "The same key is the same command: it is done once, and its answer is repeated.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }
    let mut told = json!({ "operationId": id, "tags": [tag], "parameters": parameters, "responses": responses(operation) });
    let (summary, description) = doc(operation.doc);
    if !summary.is_empty() {
        told["summary"] = summary.into();
    }
    if !description.is_empty() {
        told["description"] = description.into();
    }
    if let Some(input) = operation.input.as_ref().filter(|input| !reads && input.get("type") != Some(&json!("null"))) {
        let closed = closed(contract, input);
        told["requestBody"] = json!({ "required": !may_be_null(input), "content": { "application/json": { "schema": closed } } });
    }
    if let Some(access) = &operation.access {
        told["security"] = json!([{ "token": [] }]);
        told["x-access"] = access.clone();
    }
    told
}

/// The first line, and what comes behind it.
fn doc(doc: &str) -> (&str, &str) {
    let (summary, description) = doc.split_once("\n\n").unwrap_or((doc, ""));
    (summary.trim(), description.trim())
}

/// An empty part of a path is another path.
fn not_empty(mut schema: Value) -> Value {
    if schema.get("type") == Some(&json!("string")) && schema.get("format").is_none() && schema.get("enum").is_none() {
        schema["minLength"] = 1.into();
    }
    schema
}

fn may_be_null(schema: &Value) -> bool {
    let null = json!("null");
    let in_list = schema.get("type").and_then(Value::as_array).is_some_and(|types| types.contains(&null));
    in_list || schema.get("anyOf").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one.get("type") == Some(&null)))
}

fn resolved<'c>(contract: &'c Contract, schema: &'c Value) -> &'c Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.rsplit('/').next());
    name.and_then(|name| contract.components.schemas.get(name)).unwrap_or(schema)
}

/// An input, whose unknown fields are refused.
fn closed(contract: &Contract, input: &Value) -> Value {
    let schema = resolved(contract, input);
    if schema.get("properties").is_none() || schema.get("additionalProperties").is_some() {
        return input.clone();
    }
    let mut closed = schema.clone();
    closed["additionalProperties"] = false.into();
    closed
}

fn query_parameters(contract: &Contract, query: &Value) -> Vec<Value> {
    let schema = resolved(contract, query);
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let parameter = |(name, schema): (&String, &Value)| json!({ "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": without_null(schema) });
    schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(parameter).collect()
}

/// A query string has no `null`.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some([ty, _]) = schema.get("type").and_then(Value::as_array).map(Vec::as_slice) {
        schema["type"] = ty.clone();
    } else if let Some([one, _]) = schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        schema = one.clone();
    }
    schema
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    match (&operation.answer.status, &operation.answer.content) {
        (Some(status), Some(content)) => {
            responses.insert(
                status.to_string(),
                json!({ "description": "The answer.", "content": { "application/json": { "schema": content } } }),
            );
        }
        (Some(status), None) => {
            responses.insert(status.to_string(), json!({ "description": "Done; there is nothing to say." }));
        }
        (None, _) => {
            responses.insert("default".to_owned(), json!({ "description": "What the handler answers.", "content": { "*/*": {} } }));
        }
    }
    for status in &operation.problems {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/Problem{status}") }));
    }
    responses.into()
}

fn response(contract: &Contract, status: u16) -> Value {
    let schema = crate::sample::reference(&free("Problem", &contract.components.schemas));
    json!({ "description": problems::words(status), "content": { PROBLEM: { "schema": schema } } })
}

/// A problem document (RFC 9457).
fn problem() -> Value {
    json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string" },
            "correlation_id": { "type": "string", "format": "uuid" },
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": { "type": "string", "format": "uri-reference" },
                        "detail": { "type": "string" },
                        "rule": { "type": "string" },
                    },
                    "required": ["pointer", "detail", "rule"],
                },
            },
        },
        "required": ["type", "title", "status", "correlation_id"],
    })
}
