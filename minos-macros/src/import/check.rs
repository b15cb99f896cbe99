//! Reads the contract, and finds in it what is imported.

use super::{json::Json, parse::Import};
use crate::diag::{Errors, did_you_mean};
use std::{collections::BTreeMap, path::PathBuf};

/// The version of contracts that is understood.
const VERSION: &str = "1";

/// What is imported.
pub(super) struct Contract {
    /// Where the file is.
    pub(super) file: String,
    pub(super) service: String,
    /// By their topics.
    pub(super) messages: BTreeMap<String, Message>,
    /// By their names: whose they are, and their content.
    pub(super) events: BTreeMap<String, (String, Json)>,
    /// What is known of aggregates, by their names.
    pub(super) aggregates: BTreeMap<String, Json>,
    /// The schemas of types with a name.
    pub(super) schemas: BTreeMap<String, Json>,
}

/// A command or a query.
pub(super) struct Message {
    pub(super) doc: String,
    /// The fields, and those that need not be there.
    pub(super) fields: Vec<(String, Json, bool)>,
    /// None if it answers nothing.
    pub(super) answer: Option<Json>,
}

pub(super) fn contract(errors: &Errors, import: &Import) -> Option<Contract> {
    let path = import.path.value();
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let file = root.join(&path);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            let why = if error.kind() == std::io::ErrorKind::NotFound { "there is no such file".to_owned() } else { error.to_string() };
            errors.at(
                &import.path,
                format!("`{path}` cannot be read: {why}\nhelp: the path begins at the package; `minos contract export -o {path}`, run for the other service, writes it"),
            );
            return None;
        }
    };
    let whole = match Json::parse(&text) {
        Ok(whole) => whole,
        Err(why) => {
            errors.at(&import.path, format!("`{path}` is no contract: {why}\nhelp: `minos contract export -o {path}` writes one"));
            return None;
        }
    };
    match whole.get("contract") {
        Some(Json::Number(version)) if version == VERSION => {}
        Some(Json::Number(version)) => {
            errors.at(
                &import.path,
                format!("`{path}` is a contract of version {version}, and this version of Minos knows version {VERSION}\nhelp: take the version of Minos that the other service has"),
            );
            return None;
        }
        _ => {
            errors.at(
                &import.path,
                format!(
                    "`{path}` is no contract: it does not say `\"contract\": {VERSION}`\nhelp: `minos contract export -o {path}` writes one"
                ),
            );
            return None;
        }
    }
    let mut contract = read(&whole, file.display().to_string());
    choose(errors, import, &mut contract);
    Some(contract)
}

fn read(whole: &Json, file: String) -> Contract {
    let schemas: BTreeMap<String, Json> = match whole.get("components").and_then(|all| all.get("schemas")) {
        Some(Json::Object(schemas)) => schemas.clone(),
        _ => BTreeMap::new(),
    };
    let mut contract = Contract {
        file,
        service: whole.get("service").and_then(Json::text).unwrap_or("service").to_owned(),
        messages: BTreeMap::new(),
        events: BTreeMap::new(),
        aggregates: BTreeMap::new(),
        schemas,
    };
    for (_, operation) in whole.get("operations").into_iter().flat_map(Json::fields) {
        for topic in operation.get("topics").into_iter().flat_map(Json::list).filter_map(Json::text) {
            let message = message(&contract, operation);
            contract.messages.insert(topic.to_owned(), message);
        }
    }
    for (aggregate, told) in whole.get("aggregates").into_iter().flat_map(Json::fields) {
        for (event, told) in told.get("events").into_iter().flat_map(Json::fields) {
            let content = told.get("content").cloned().unwrap_or(Json::Null);
            match event.strip_prefix(aggregate.as_str()) {
                Some("Created") => drop(contract.aggregates.insert(aggregate.clone(), content)),
                Some("Updated" | "Deleted") => {}
                _ => drop(contract.events.insert(event.clone(), (aggregate.clone(), content))),
            }
        }
    }
    contract
}

fn message(contract: &Contract, operation: &Json) -> Message {
    let mut fields = Vec::new();
    // A message has no path: what stands there is a field of it.
    for pair in operation.get("path").into_iter().flat_map(Json::list) {
        if let [Json::Text(name), schema] = pair.list() {
            fields.push((name.clone(), schema.clone(), true));
        }
    }
    for part in ["input", "query"] {
        let schema = operation.get(part).map(|schema| contract.resolved(schema));
        for (name, schema, is_needed) in schema.into_iter().flat_map(fields_of) {
            if !fields.iter().any(|(known, ..)| *known == name) {
                fields.push((name, schema, is_needed));
            }
        }
    }
    Message {
        doc: operation.get("doc").and_then(Json::text).unwrap_or_default().to_owned(),
        fields,
        answer: operation.get("answer").and_then(|answer| answer.get("content")).cloned(),
    }
}

/// The fields of an object, with whether each has to be there.
pub(super) fn fields_of(schema: &Json) -> Vec<(String, Json, bool)> {
    let needed = schema.get("required").map(Json::list).unwrap_or_default();
    let is_needed = |name: &String| needed.iter().any(|one| one.text() == Some(name));
    let fields = schema.get("properties").into_iter().flat_map(Json::fields);
    fields.map(|(name, schema)| (name.clone(), schema.clone(), is_needed(name))).collect()
}

impl Contract {
    /// The schema itself, where there is a reference to it.
    pub(super) fn resolved<'s>(&'s self, schema: &'s Json) -> &'s Json {
        reference(schema).and_then(|name| self.schemas.get(name)).unwrap_or(schema)
    }
}

/// The name that a schema refers to.
pub(super) fn reference(schema: &Json) -> Option<&str> {
    schema.get("$ref").and_then(Json::text)?.rsplit('/').next()
}

/// Leaves what is named, if something is.
fn choose(errors: &Errors, import: &Import, contract: &mut Contract) {
    if import.names.is_empty() {
        return;
    }
    let known: Vec<String> = contract.messages.keys().chain(contract.events.keys()).chain(contract.aggregates.keys()).cloned().collect();
    for name in import.names.iter().filter(|name| !known.contains(&name.to_string())) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let all = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        errors.at(name, format!("`{}` has no `{name}`; it has {all}{}", import.path.value(), did_you_mean(&name.to_string(), &known)));
    }
    let is_named = |name: &String| import.names.iter().any(|wanted| wanted == name);
    contract.messages.retain(|name, _| is_named(name));
    contract.events.retain(|name, _| is_named(name));
    contract.aggregates.retain(|name, _| is_named(name));
}
