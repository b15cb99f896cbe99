//! What has changed in the schema of a type. For what is taken, being stricter breaks; for what is given, being looser does.

use super::changes::Changes;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From who relies on it: an input.
    Taken,
    /// To them: an answer, an event.
    Given,
}

/// Compares schemas of two contracts.
pub(crate) struct Compare<'c> {
    pub(crate) old: &'c Value,
    pub(crate) new: &'c Value,
    pub(crate) way: Way,
    /// Whether fields that are not known are refused.
    pub(crate) is_strict: bool,
    /// References that are being followed.
    open: Vec<(String, String)>,
}

/// The bounds of numbers and lengths: the name, and whether it is a lower one.
const BOUNDS: &[(&str, bool)] = &[
    ("minimum", true),
    ("exclusiveMinimum", true),
    ("maximum", false),
    ("exclusiveMaximum", false),
    ("minLength", true),
    ("maxLength", false),
    ("minItems", true),
    ("maxItems", false),
    ("minProperties", true),
    ("maxProperties", false),
];

impl<'c> Compare<'c> {
    pub(crate) fn new(old: &'c Value, new: &'c Value, way: Way, is_strict: bool) -> Self {
        Compare { old, new, way, is_strict, open: Vec::new() }
    }

    /// Tells what has changed from the one to the other.
    pub(crate) fn schemas(&mut self, was: &Value, is: &Value, path: &[String], told: &mut Changes<'_>) {
        let pair = (name_of(was).to_owned(), name_of(is).to_owned());
        let is_named = !pair.0.is_empty() || !pair.1.is_empty();
        if is_named && self.open.contains(&pair) {
            return;
        }
        self.open.push(pair);
        let (was, is) = (resolved(self.old, was), resolved(self.new, is));
        self.both(was, is, path, told);
        self.open.pop();
    }

    fn both(&mut self, was: &Value, is: &Value, path: &[String], told: &mut Changes<'_>) {
        match (is_open(was), is_open(is)) {
            (true, true) => return,
            (true, false) => return told.tell_at(path, false, "it is described now"),
            (false, true) => return told.tell_at(path, self.way == Way::Given, "it is not described any more, and may be anything"),
            (false, false) => {}
        }
        let (alternatives_were, alternatives_are) = (self.alternatives(was, true), self.alternatives(is, false));
        if alternatives_were.len() > 1 || alternatives_are.len() > 1 {
            return self.variants(&alternatives_were, &alternatives_are, path, told);
        }
        let (kinds_were, kinds_are) = (kinds(was), kinds(is));
        let (lost, new): (Vec<_>, Vec<_>) = (
            kinds_were.iter().filter(|kind| !takes(&kinds_are, kind)).collect(),
            kinds_are.iter().filter(|kind| !takes(&kinds_were, kind)).collect(),
        );
        if !lost.is_empty() || !new.is_empty() {
            let breaks = if self.way == Way::Taken { !lost.is_empty() } else { !new.is_empty() };
            told.tell_at(path, breaks, format!("it was {}, and is {}", listed(&kinds_were), listed(&kinds_are)));
            if lost.len() == kinds_were.len() {
                return;
            }
        }
        self.words(was, is, path, told);
        self.bounds(was, is, path, told);
        self.format(was, is, path, told);
        if kinds_were.contains("object") && kinds_are.contains("object") {
            self.fields(was, is, path, told);
        }
        for inner in ["items", "additionalProperties"] {
            if let (Some(was @ Value::Object(_)), Some(is @ Value::Object(_))) = (was.get(inner), is.get(inner)) {
                self.schemas(was, is, &deeper(path, "[]"), told);
            }
        }
        let tuple = |schema: &Value| schema.get("prefixItems").and_then(Value::as_array).cloned().unwrap_or_default();
        for (n, (was, is)) in tuple(was).iter().zip(&tuple(is)).enumerate() {
            self.schemas(was, is, &deeper(path, &n.to_string()), told);
        }
    }

    /// The alternatives by what tells them apart: a word, the name of a variant, or the kind.
    fn alternatives(&self, schema: &Value, is_old: bool) -> BTreeMap<String, Value> {
        let Some(all) = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)).and_then(Value::as_array) else {
            return BTreeMap::from([(String::new(), schema.clone())]);
        };
        let whole = if is_old { self.old } else { self.new };
        let mut named = BTreeMap::new();
        for one in all {
            let seen = resolved(whole, one);
            let fields = seen.get("properties").and_then(Value::as_object);
            match (seen.get("enum").and_then(Value::as_array), fields) {
                (None, Some(fields)) if tag(fields).is_some() => {
                    named.extend(tag(fields).map(|word| (word.to_string(), one.clone())));
                }
                (Some(words), _) => named.extend(words.iter().map(|word| (word.to_string(), Value::Bool(true)))),
                (_, Some(fields)) if fields.len() == 1 && seen.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    named.extend(fields.iter().map(|(name, content)| (format!("\"{name}\""), content.clone())));
                }
                _ => {
                    named.insert(listed(&kinds(seen)), one.clone());
                }
            }
        }
        named
    }

    fn variants(&mut self, were: &BTreeMap<String, Value>, are: &BTreeMap<String, Value>, path: &[String], told: &mut Changes<'_>) {
        for (name, was) in were {
            match are.get(name) {
                Some(Value::Bool(_)) | None if !was.is_boolean() && are.contains_key(name) => {
                    told.tell_at(path, true, format!("the variant {name} has no content any more"));
                }
                Some(Value::Bool(_)) => {}
                Some(_) if was.is_boolean() => told.tell_at(path, true, format!("the variant {name} has a content now")),
                Some(is) => self.schemas(was, is, &deeper(path, name.trim_matches('"')), told),
                None => told.tell_at(path, self.way == Way::Taken, format!("{} is gone", shown(name))),
            }
        }
        for name in are.keys().filter(|name| !were.contains_key(*name)) {
            told.tell_at(path, self.way == Way::Given, format!("{} is new", shown(name)));
        }
    }

    fn words(&self, was: &Value, is: &Value, path: &[String], told: &mut Changes<'_>) {
        let words = |schema: &Value| schema.get("enum").and_then(Value::as_array).cloned();
        match (words(was), words(is)) {
            (Some(were), Some(are)) => {
                for word in were.iter().filter(|word| !are.contains(word)) {
                    told.tell_at(path, self.way == Way::Taken, format!("the word {word} is gone"));
                }
                for word in are.iter().filter(|word| !were.contains(word)) {
                    told.tell_at(path, self.way == Way::Given, format!("the word {word} is new"));
                }
            }
            (None, Some(_)) => told.tell_at(path, self.way == Way::Taken, "only some words are left"),
            (Some(_), None) => told.tell_at(path, self.way == Way::Given, "it may be any word now"),
            (None, None) => {}
        }
    }

    fn bounds(&self, was: &Value, is: &Value, path: &[String], told: &mut Changes<'_>) {
        for (name, is_lower) in BOUNDS {
            let number = |schema: &Value| schema.get(name).and_then(Value::as_f64);
            let (old, new) = (number(was), number(is));
            if old == new {
                continue;
            }
            let is_stricter = match (old, new) {
                (None, _) => true,
                (_, None) => false,
                (Some(old), Some(new)) => (new > old) == *is_lower,
            };
            let text = |schema: &Value| schema.get(name).map_or_else(|| "none".to_owned(), Value::to_string);
            told.tell_at(path, is_stricter == (self.way == Way::Taken), format!("its `{name}` was {}, and is {}", text(was), text(is)));
        }
        if was.get("pattern") != is.get("pattern") {
            told.tell_at(path, self.way == Way::Taken && is.get("pattern").is_some(), "it has to be of another form");
        }
    }

    fn format(&self, was: &Value, is: &Value, path: &[String], told: &mut Changes<'_>) {
        // Of numbers it only says what the bounds say.
        let format = |schema: &Value| if schema.get("minimum").is_some() { None } else { schema.get("format").cloned() };
        match (format(was), format(is)) {
            (old, new) if old == new => {}
            (None, Some(new)) => told.tell_at(path, self.way == Way::Taken, format!("it has to be of the format {new}")),
            (Some(old), None) => told.tell_at(path, self.way == Way::Given, format!("it is not of the format {old} any more")),
            (Some(old), Some(new)) => told.tell_at(path, true, format!("its format was {old}, and is {new}")),
            (None, None) => {}
        }
    }

    fn fields(&mut self, was: &Value, is: &Value, path: &[String], told: &mut Changes<'_>) {
        let (old, new) = (fields(was), fields(is));
        let (needed_before, needed) = (required(was), required(is));
        for (name, schema) in &old {
            let path = deeper(path, name);
            let Some(now) = new.get(name) else {
                let breaks = self.way == Way::Given || self.is_strict || needed_before.contains(name.as_str());
                told.tell_at(&path, breaks, "the field is gone");
                continue;
            };
            match (needed_before.contains(name.as_str()), needed.contains(name.as_str())) {
                (false, true) => told.tell_at(&path, self.way == Way::Taken, "the field has to be there now"),
                (true, false) => told.tell_at(&path, self.way == Way::Given, "the field may be missing now"),
                _ => {}
            }
            self.schemas(schema, now, &path, told);
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            let is_needed = needed.contains(name.as_str());
            let what = if is_needed && self.way == Way::Taken { "the field is new, and has to be there" } else { "the field is new" };
            told.tell_at(&deeper(path, name), self.way == Way::Taken && is_needed, what);
        }
    }
}

/// The word of a tag, by which an alternative is told from the others.
fn tag(fields: &Map<String, Value>) -> Option<&Value> {
    fields.values().find_map(|field| field.get("const"))
}

fn deeper(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

fn name_of(schema: &Value) -> &str {
    schema.get("$ref").and_then(Value::as_str).and_then(|text| text.rsplit('/').next()).unwrap_or_default()
}

/// The schema itself, where there is a reference to it.
pub(crate) fn resolved<'v>(contract: &'v Value, schema: &'v Value) -> &'v Value {
    match name_of(schema) {
        "" => schema,
        name => contract.pointer("/components/schemas").and_then(|all| all.get(name)).unwrap_or(schema),
    }
}

fn is_open(schema: &Value) -> bool {
    schema.as_object().is_none_or(Map::is_empty)
}

fn kinds(schema: &Value) -> BTreeSet<String> {
    match schema.get("type") {
        Some(Value::String(kind)) => BTreeSet::from([kind.clone()]),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

fn takes(kinds: &BTreeSet<String>, kind: &str) -> bool {
    kinds.contains(kind) || (kind == "integer" && kinds.contains("number"))
}

fn listed(kinds: &BTreeSet<String>) -> String {
    if kinds.is_empty() { "anything".to_owned() } else { kinds.iter().map(String::as_str).collect::<Vec<_>>().join(" or ") }
}

fn shown(name: &str) -> String {
    if name.starts_with('"') { format!("the variant {name}") } else { format!("the alternative `{name}`") }
}

fn fields(schema: &Value) -> Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn required(schema: &Value) -> BTreeSet<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
