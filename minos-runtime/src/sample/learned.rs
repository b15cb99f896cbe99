//! What was learned of places whose types do not say what they want, as JSON Schema. What cannot be told is open.

use super::{
    fault::Given,
    loose::{KINDS, Outcome, is_object, number},
    maker::{Kind, Maker, Node, Step},
    schema::{Named, or_null, part, plain, text},
};
use serde_json::{Map, Value, json};

/// An object whose tag tells what stands beside it: one alternative for each word. None if there is no tag, or its words are not known.
pub(super) fn by_tag(maker: &Maker, at: usize, node: &Node, named: &mut Named) -> Option<Value> {
    // Of an enum without tags it is one of the variants.
    let tag = node.tag.filter(|_| node.is_seen && !node.loose.is_untagged)?;
    let words = maker.words_of(at);
    let place = maker.tag_of(at).and_then(|place| maker.nodes.get(place))?;
    if words.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    for word in &words {
        if !place.accepted.contains(word) {
            named.is_open(node, &format!("no sample of its variant `{word}` could be made"));
            all.push(json!({ "type": "object", "properties": { tag: { "const": word } }, "required": [tag] }));
            continue;
        }
        let mut alternative = fields_beside(maker, node, word, named);
        alternative["properties"][tag] = json!({ "const": word });
        if let Some(required) = alternative["required"].as_array_mut() {
            required.insert(0, tag.into());
        }
        all.push(alternative);
    }
    if place.takes_others {
        all.push(json!({ "type": "object", "properties": { tag: { "type": "string", "not": { "enum": words } } }, "required": [tag] }));
    }
    if !matches!(node.kind, Some(Kind::Struct(_))) {
        named.is_open(node, "of enums with a tag, fields that may be missing do not show");
    }
    Some(if let [one] = &all[..] { one.clone() } else { json!({ "oneOf": all }) })
}

/// The fields that stand beside a word, or beside no tag.
fn fields_beside(maker: &Maker, node: &Node, word: &str, named: &mut Named) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let own: Vec<(&'static str, &'static str)> = match node.kind {
        Some(Kind::Struct(names)) => names.iter().map(|name| (word_of(node, word), *name)).collect(),
        _ => node.loose.fields.clone(),
    };
    for (of, name) in own.into_iter().filter(|(of, name)| (of.is_empty() || *of == word) && node.tag != Some(name)) {
        let is_optional = node.optional.contains(&(of, name));
        let step = if of.is_empty() { Step::Named(name) } else { Step::Of(of, name) };
        // What may be missing was offered where nobody had asked for it, or is the content of a variant without one.
        let is_asked_for = matches!(node.kind, Some(Kind::Struct(_)));
        if is_optional && !is_asked_for {
            continue;
        }
        properties.insert(name.to_owned(), part(maker, node, step, named));
        if !is_optional {
            required.push(name);
        }
    }
    // A tag of which no words are known.
    if let Some(tag) = node.tag.filter(|_| word.is_empty()) {
        named.is_open(node, &format!("any `{tag}` is taken, so the variants do not show"));
        properties.insert(tag.to_owned(), part(maker, node, Step::Named(tag), named));
        required.insert(0, tag);
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The word as the type has it.
fn word_of(node: &Node, word: &str) -> &'static str {
    node.parts.iter().find_map(|(step, _)| if let Step::Of(of, _) = step { (*of == word).then_some(*of) } else { None }).unwrap_or("")
}

/// A map from which a type takes its own fields, and others theirs.
pub(super) fn flat(maker: &Maker, node: &Node, named: &mut Named) -> Value {
    named.is_open(node, "of what is flattened, fields that may be missing do not show");
    if !node.is_seen {
        return json!({ "type": "object" });
    }
    let mut schema = fields_beside(maker, node, "", named);
    schema["additionalProperties"] = true.into();
    tidy(schema)
}

fn tidy(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|_, value| value.as_array().is_none_or(|all| !all.is_empty()) && value.as_object().is_none_or(|all| !all.is_empty()));
    }
    schema
}

/// What is taken in a place, kind by kind.
pub(super) fn by_kind(maker: &Maker, node: &Node, named: &mut Named) -> Value {
    let loose = &node.loose;
    let Some(settled) = loose.settled.filter(|settled| *settled != Given::Null && node.is_seen && !node.is_ignored) else {
        return json!({});
    };
    // An enum whose variants are words: that each may also stand in an object is for formats that have nothing else.
    if loose.wants.iter().all(|wanted| wanted == "string or map")
        && let Some(words) = node.words
        && words.iter().all(|word| node.accepted.contains(word))
    {
        return json!({ "type": "string", "enum": words });
    }
    let outcome = |given: &Given| {
        let came = loose.outcomes.iter().find(|(known, _)| known == given).map_or(Outcome::Open, |(_, outcome)| *outcome);
        if *given == settled { Outcome::Taken } else { came }
    };
    if KINDS.iter().any(|given| outcome(given) == Outcome::Open) {
        named.is_open(node, "what it takes beside what was tried is not known");
        return json!({});
    }
    let taken: Vec<Given> = KINDS.iter().copied().filter(|given| outcome(given) == Outcome::Taken).collect();
    if taken.len() == KINDS.len() {
        return json!({});
    }
    let mut all: Vec<Value> =
        taken.iter().filter(|given| **given != Given::Null).map(|given| of_kind(maker, node, *given, named)).collect();
    let schema = if let [_] = &all[..] { all.remove(0) } else { json!({ "anyOf": all }) };
    match schema.get("anyOf") {
        _ if !taken.contains(&Given::Null) => schema,
        Some(_) => {
            all.push(json!({ "type": "null" }));
            json!({ "anyOf": all })
        }
        None => or_null(schema),
    }
}

fn of_kind(maker: &Maker, node: &Node, given: Given, named: &mut Named) -> Value {
    let loose = &node.loose;
    // Only what all of it is can be told in more than a word.
    let is_alone = loose.settled == Some(given) && !loose.is_untagged;
    match given {
        Given::Bool => json!({ "type": "boolean" }),
        Given::Number => {
            let mut numbers = loose.wants.iter().filter_map(|wanted| number(wanted));
            match (numbers.next(), numbers.next()) {
                (Some(kind), None) if is_alone || loose.wants.iter().all(|wanted| is_plain(wanted)) => plain(kind, node),
                _ => json!({ "type": "number" }),
            }
        }
        Given::Text if node.words.is_some() => json!({ "type": "string" }),
        Given::Text if loose.wants.iter().any(|wanted| wanted == "a character") && is_alone => {
            json!({ "type": "string", "minLength": 1, "maxLength": 1 })
        }
        Given::Text if is_alone => text(node),
        Given::Text => json!({ "type": "string" }),
        Given::List => match loose.items {
            Some(of) if is_alone => {
                let items: Vec<_> = (0..of).map(|n| part(maker, node, Step::Nth(n), named)).collect();
                json!({ "type": "array", "prefixItems": items, "minItems": of, "maxItems": of })
            }
            None if is_alone => json!({ "type": "array", "items": part(maker, node, Step::Item, named) }),
            _ => json!({ "type": "array" }),
        },
        Given::Map => object(maker, node, is_alone, named),
        Given::Null | Given::None => json!({}),
    }
}

/// Whether it says of itself exactly what it takes.
fn is_plain(wanted: &str) -> bool {
    number(wanted).is_some() || is_object(wanted) || ["a string", "a boolean", "a character", "a sequence", "a map"].contains(&wanted)
}

fn object(maker: &Maker, node: &Node, is_alone: bool, named: &mut Named) -> Value {
    let mut one_of = node.loose.one_of.clone();
    one_of.dedup();
    // An enum without tags, of which one variant is an object, or something that is one alone.
    if is_alone || (node.loose.is_untagged && one_of.len() == 1 && node.loose.one_of.len() == 1 && !node.loose.fields.is_empty()) {
        return tidy(fields_beside(maker, node, "", named));
    }
    match &one_of[..] {
        [] => json!({ "type": "object" }),
        [one] => json!({ "type": "object", "required": [one] }),
        several => {
            let all: Vec<_> = several.iter().map(|one| json!({ "required": [one] })).collect();
            json!({ "type": "object", "anyOf": all })
        }
    }
}
