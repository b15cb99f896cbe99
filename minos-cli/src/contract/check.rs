//! Compares what a service promises with what it promised. What is asked for is found by its routes and topics: the name of a function is its own matter.

use super::{
    changes::{Change, Changes, Part},
    schema::{Compare, Way},
};
use serde_json::{Map, Value, json};

/// All that has changed.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    routes(old, new, &mut found);
    topics(old, new, &mut found);
    events(old, new, &mut found);
    found
}

fn map<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A route, as it is and as it is compared: what a parameter is called is nothing that a client sees.
struct Route<'v> {
    shown: String,
    compared: String,
    operation: &'v Value,
}

fn all_routes(contract: &Value) -> Vec<Route<'_>> {
    let mut all = Vec::new();
    for (_, operation) in map(contract, "operations") {
        for route in list(operation, "routes") {
            let (method, path) = (text(route, "method"), text(route, "path"));
            let parts: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
            all.push(Route { shown: format!("{method} {path}"), compared: format!("{method} {}", parts.join("/")), operation });
        }
    }
    all
}

fn routes(old: &Value, new: &Value, found: &mut Vec<Change>) {
    let (were, are) = (all_routes(old), all_routes(new));
    for route in &were {
        let mut told = Changes { found, part: Part::Route, at: route.shown.clone() };
        let Some(now) = are.iter().find(|now| now.compared == route.compared) else {
            told.tell(true, "the route is gone");
            continue;
        };
        access(route.operation, now.operation, &mut told);
        let path = |operation: &Value| list(operation, "path").filter_map(|pair| pair.get(1)).cloned().collect::<Vec<_>>();
        let mut compare = Compare::new(old, new, Way::Taken, true);
        for (n, (was, is)) in path(route.operation).iter().zip(&path(now.operation)).enumerate() {
            compare.schemas(was, is, &[format!("path {}", n + 1)], &mut told);
        }
        taken(old, new, route.operation, now.operation, true, &mut told);
        answer(old, new, route.operation, now.operation, &mut told);
    }
    for route in are.iter().filter(|route| !were.iter().any(|old| old.compared == route.compared)) {
        Changes { found, part: Part::Route, at: route.shown.clone() }.tell(false, "the route is new");
    }
}

fn access(was: &Value, is: &Value, told: &mut Changes<'_>) {
    match (was.get("access"), is.get("access")) {
        (None, Some(_)) => told.tell(true, "it is closed now"),
        (Some(_), None) => told.tell(false, "it is open now"),
        (Some(was), Some(is)) if was != is => told.tell(true, format!("who may call it was {was}, and is {is}")),
        _ => {}
    }
}

/// What it takes: the content and the query string.
fn taken(old: &Value, new: &Value, was: &Value, is: &Value, is_strict: bool, told: &mut Changes<'_>) {
    for part in ["input", "query"] {
        match (was.get(part), is.get(part)) {
            (Some(was), Some(is)) => Compare::new(old, new, Way::Taken, is_strict).schemas(was, is, &[], told),
            // Nothing was asked for: as if it had no fields.
            (None, Some(is)) => {
                Compare::new(old, new, Way::Taken, false).schemas(&json!({ "type": "object", "properties": {} }), is, &[], told)
            }
            (Some(_), None) => told.tell(false, format!("it takes no {part} any more")),
            (None, None) => {}
        }
    }
}

fn answer(old: &Value, new: &Value, was: &Value, is: &Value, told: &mut Changes<'_>) {
    let (was, is) = (&was["answer"], &is["answer"]);
    let (status, now) = (&was["status"], &is["status"]);
    if status != now {
        let shown = |status: &Value| if status.is_null() { "what the handler says".to_owned() } else { status.to_string() };
        told.tell(!status.is_null(), format!("its status was {}, and is {}", shown(status), shown(now)));
    }
    if let (Some(was), Some(is)) = (was.get("content"), is.get("content")) {
        Compare::new(old, new, Way::Given, false).schemas(was, is, &[], told);
    }
}

fn topic<'v>(contract: &'v Value, name: &str) -> Option<&'v Value> {
    map(contract, "operations").map(|(_, operation)| operation).find(|operation| list(operation, "topics").any(|topic| topic == name))
}

fn all_topics(contract: &Value) -> impl Iterator<Item = &str> {
    map(contract, "operations").flat_map(|(_, operation)| list(operation, "topics")).filter_map(Value::as_str)
}

fn topics(old: &Value, new: &Value, found: &mut Vec<Change>) {
    for name in all_topics(old) {
        let mut told = Changes { found, part: Part::Topic(name.to_owned()), at: format!("topic {name}") };
        let (Some(was), Some(is)) = (topic(old, name), topic(new, name)) else {
            told.tell(true, "nobody handles it any more");
            continue;
        };
        access(was, is, &mut told);
        let (was_taken, is_taken) = (with_path(old, was), with_path(new, is));
        Compare::new(old, new, Way::Taken, false).schemas(&was_taken, &is_taken, &[], &mut told);
        told.part = Part::Reply(name.to_owned());
        answer(old, new, was, is, &mut told);
    }
    for name in all_topics(new).filter(|name| topic(old, name).is_none()) {
        Changes { found, part: Part::Topic(name.to_owned()), at: format!("topic {name}") }.tell(false, "it is handled now");
    }
}

/// The content of a message: the input, and the parameters of the path as fields of it.
fn with_path(contract: &Value, operation: &Value) -> Value {
    let input = operation.get("input").map(|input| super::schema::resolved(contract, input));
    let mut fields = input.and_then(|input| input.get("properties")).and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    let mut needed: Vec<Value> = input.map(|input| list(input, "required").cloned().collect()).unwrap_or_default();
    match input {
        // Not an object: then there is nothing to add to.
        Some(input) if input.get("properties").is_none() && list(operation, "path").next().is_none() => return input.clone(),
        _ => {}
    }
    for pair in list(operation, "path") {
        if let (Some(name), Some(schema)) = (pair.get(0).and_then(Value::as_str), pair.get(1)) {
            fields.insert(name.to_owned(), schema.clone());
            needed.push(name.into());
        }
    }
    json!({ "type": "object", "properties": fields, "required": needed })
}

fn events(old: &Value, new: &Value, found: &mut Vec<Change>) {
    for (aggregate, was) in map(old, "aggregates") {
        let now = new.get("aggregates").and_then(|all| all.get(aggregate));
        for (event, was) in map(was, "events") {
            let part = Part::Event { aggregate: aggregate.clone(), event: event.clone() };
            let mut told = Changes { found, part, at: format!("event {aggregate}.{event}") };
            match now.and_then(|now| now.get("events")).and_then(|events| events.get(event)) {
                None => told.tell(true, "it is not told any more"),
                Some(is) => Compare::new(old, new, Way::Given, false).schemas(&was["content"], &is["content"], &[], &mut told),
            }
        }
    }
    for (aggregate, is) in map(new, "aggregates") {
        let was = old.get("aggregates").and_then(|all| all.get(aggregate)).and_then(|was| was.get("events"));
        for (event, _) in map(is, "events").filter(|(event, _)| was.and_then(|events| events.get(*event)).is_none()) {
            let part = Part::Event { aggregate: aggregate.clone(), event: event.clone() };
            Changes { found, part, at: format!("event {aggregate}.{event}") }.tell(false, "it is new");
        }
    }
}
