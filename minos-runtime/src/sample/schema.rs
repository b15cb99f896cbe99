//! What was seen of a type, as JSON Schema.

use super::{
    learned,
    maker::{Kind, Maker, Node, ROOT, Step},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where the schemas of types with a name are.
const DEFINITIONS: &str = "#/components/schemas/";
/// What stands behind the name of a schema with rules, and in no name of a type.
const MARK: char = '!';

/// By what types are read, by the names of their schemas, as the compiler names it: one, and those around it that are written as what is in them.
pub(crate) type Readers = BTreeMap<String, Vec<&'static str>>;

/// The schemas of types with a name, as they are met.
#[derive(Default)]
pub(super) struct Named {
    schemas: BTreeMap<String, Value>,
    readers: Readers,
    /// What is open, and why: the first of it.
    open: Option<String>,
}

impl Named {
    /// Whether it has this name now: not if another one has.
    fn take(&mut self, name: &str, schema: &Value, readers: &[&'static str]) -> bool {
        if self.schemas.get(name).is_some_and(|known| known != schema) {
            return false;
        }
        self.schemas.insert(name.to_owned(), schema.clone());
        let known = self.readers.entry(name.to_owned()).or_insert_with(|| readers.to_vec());
        // Two types that look alike, of which each may have rules of its own.
        if known != readers {
            known.clear();
        }
        true
    }

    /// Something of a type is not described.
    pub(super) fn is_open(&mut self, node: &Node, why: &str) {
        self.open.get_or_insert_with(|| match &node.name {
            Some(name) => format!("`{name}`: {why}"),
            None => why.to_owned(),
        });
    }
}

/// A reference to the schema of this name.
pub(crate) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{DEFINITIONS}{name}") })
}

/// The schema of a type, and of those with a name that it is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schema {
    pub(crate) root: Value,
    pub(crate) named: BTreeMap<String, Value>,
}

impl Schema {
    /// One that is true of anything.
    pub(crate) fn open() -> Self {
        Schema { root: json!({}), named: BTreeMap::new() }
    }

    /// What was seen, by what it is read, and what is open.
    pub(super) fn of(maker: &Maker) -> (Self, Readers, Option<String>) {
        let mut named = Named::default();
        let root = if maker.nodes.is_empty() { json!({}) } else { place(maker, ROOT, &mut named) };
        (Schema { root, named: named.schemas }, named.readers, named.open)
    }

    /// The schema itself, where the root is a reference to it.
    pub(crate) fn resolved(&self) -> &Value {
        name_of(&self.root).and_then(|name| self.named.get(name)).unwrap_or(&self.root)
    }

    /// With what `tell` says of the types with a name, each of which is known by what reads it. A schema that is another one by that, or has such a one in it, has
    /// a mark behind its name, until it is known which names are free (`unmark`).
    pub(crate) fn told(mut self, readers: &Readers, tell: fn(&str, &mut Value) -> bool) -> Schema {
        let mut marked: BTreeMap<String, String> = BTreeMap::new();
        for (name, schema) in &mut self.named {
            let told = readers.get(name).into_iter().flatten().filter(|reader| tell(reader, schema)).count();
            if told > 0 {
                marked.insert(name.clone(), format!("{name}{MARK}"));
            }
        }
        while let Some(name) =
            self.named.iter().find(|(name, schema)| !marked.contains_key(*name) && names(schema, &marked)).map(|(name, _)| name.clone())
        {
            marked.insert(name.clone(), format!("{name}{MARK}"));
        }
        rename(&mut self.root, &marked);
        let named = self.named.into_iter().map(|(name, mut schema)| {
            rename(&mut schema, &marked);
            (marked.get(&name).cloned().unwrap_or(name), schema)
        });
        Schema { root: self.root, named: named.collect() }
    }

    /// Puts it among others. What has the name of another one gets another name.
    pub(crate) fn put(self, among: &mut BTreeMap<String, Value>) -> Value {
        let mut renamed = BTreeMap::new();
        for (name, schema) in &self.named {
            if among.get(name).is_some_and(|known| known != schema) {
                let free = (2..).map(|n| format!("{name}{n}")).find(|free| among.get(free).is_none_or(|known| known == schema));
                renamed.insert(name.clone(), free.unwrap_or_default());
            }
        }
        for (name, mut schema) in self.named {
            rename(&mut schema, &renamed);
            among.insert(renamed.get(&name).cloned().unwrap_or(name), schema);
        }
        let mut root = self.root;
        rename(&mut root, &renamed);
        root
    }
}

fn name_of(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(DEFINITIONS)
}

/// Whether a schema refers to one of these.
fn names(schema: &Value, these: &BTreeMap<String, String>) -> bool {
    match schema {
        _ if name_of(schema).is_some_and(|name| these.contains_key(name)) => true,
        Value::Array(all) => all.iter().any(|one| names(one, these)),
        Value::Object(all) => all.values().any(|one| names(one, these)),
        _ => false,
    }
}

/// Gives those with a mark behind their names free ones: their own, unless a type without rules, or one that is answered, has it. How they are called now.
pub(crate) fn unmark(schemas: &mut BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let mut renamed = BTreeMap::new();
    let marked: Vec<String> = schemas.keys().filter(|name| name.contains(MARK)).cloned().collect();
    for name in marked {
        let Some(schema) = schemas.remove(&name) else { continue };
        let own = name.split(MARK).next().unwrap_or_default();
        let others = (1..).map(|n| if n == 1 { format!("{own}Input") } else { format!("{own}Input{n}") });
        let free = std::iter::once(own.to_owned()).chain(others).find(|free| !schemas.contains_key(free)).unwrap_or_default();
        schemas.insert(free.clone(), schema);
        renamed.insert(name, free);
    }
    schemas.values_mut().for_each(|schema| rename(schema, &renamed));
    renamed
}

/// Changes the names that a schema refers to.
pub(crate) fn rename(schema: &mut Value, renamed: &BTreeMap<String, String>) {
    if let Some(new) = name_of(schema).and_then(|name| renamed.get(name)) {
        *schema = reference(new);
    }
    match schema {
        Value::Array(all) => all.iter_mut().for_each(|one| rename(one, renamed)),
        Value::Object(all) => all.values_mut().for_each(|one| rename(one, renamed)),
        _ => {}
    }
}

fn place(maker: &Maker, at: usize, named: &mut Named) -> Value {
    let Some(node) = maker.nodes.get(at) else { return json!({}) };
    if let Some(name) = &node.again {
        return reference(name);
    }
    let schema = here(maker, at, node, named);
    let is_tagged = node.tag.is_some() && node.kind == Some(Kind::Plain("any")) && !node.loose.is_untagged;
    let has_name = (is_tagged || matches!(node.kind, Some(Kind::Struct(_) | Kind::Enum(_)))) && !node.mixed;
    match node.name.as_deref().filter(|_| has_name) {
        Some(name) if named.take(name, &schema, &node.types) => reference(name),
        // Two types of one name: the other one stands where it is used.
        _ => schema,
    }
}

fn here(maker: &Maker, at: usize, node: &Node, named: &mut Named) -> Value {
    if node.mixed {
        return json!({});
    }
    if let Some(schema) = learned::by_tag(maker, at, node, named) {
        return schema;
    }
    match node.kind {
        None => json!({}),
        Some(Kind::Plain("any")) => learned::by_kind(maker, node, named),
        Some(Kind::Plain(kind)) => plain(kind, node),
        Some(Kind::Optional) => or_null(part(maker, node, Step::Some, named)),
        #[cfg(feature = "sensitive")]
        // Who is answered may not see it.
        Some(Kind::Sensitive) => or_null(part(maker, node, Step::Some, named)),
        Some(Kind::List) => json!({ "type": "array", "items": part(maker, node, Step::Item, named) }),
        Some(Kind::Map) if node.is_flat || !node.loose.fields.is_empty() => learned::flat(maker, node, named),
        Some(Kind::Map) => json!({ "type": "object", "additionalProperties": part(maker, node, Step::Item, named) }),
        Some(Kind::Tuple(of)) => {
            let items: Vec<_> = (0..of).map(|n| part(maker, node, Step::Nth(n), named)).collect();
            match items.first() {
                Some(first) if items.iter().all(|item| item == first) => {
                    json!({ "type": "array", "items": first, "minItems": of, "maxItems": of })
                }
                _ => json!({ "type": "array", "prefixItems": items, "minItems": of, "maxItems": of }),
            }
        }
        Some(Kind::Struct(names)) => {
            let own = |name: &&&str| !node.aliases.iter().any(|(alias, _)| alias == *name);
            let mut fields = Map::new();
            for name in names.iter().filter(own) {
                fields.insert((*name).to_owned(), part(maker, node, Step::Named(name), named));
            }
            let needed: Vec<_> = names.iter().filter(own).filter(|name| !node.optional.contains(&("", **name))).collect();
            let mut schema = json!({ "type": "object", "properties": fields });
            // Which of them may be missing was not seen of what was in no sample.
            if node.is_seen && !needed.is_empty() {
                schema["required"] = json!(needed);
            }
            schema
        }
        Some(Kind::Enum(_)) if !node.is_seen => json!({}),
        Some(Kind::Enum(names)) => variants(maker, node, names, named),
    }
}

pub(super) fn part(maker: &Maker, node: &Node, step: Step, named: &mut Named) -> Value {
    let found = node.parts.iter().find(|(known, _)| *known == step);
    found.map_or_else(|| json!({}), |(_, child)| place(maker, *child, named))
}

fn variants(maker: &Maker, node: &Node, names: &[&'static str], named: &mut Named) -> Value {
    let (mut words, mut all) = (Vec::new(), Vec::new());
    for name in names {
        let child = node.parts.iter().find(|(step, _)| *step == Step::Named(name)).and_then(|(_, child)| maker.nodes.get(*child));
        let is_word = child.is_some_and(|child| child.kind == Some(Kind::Plain("")));
        if is_word {
            words.push(*name);
            continue;
        }
        let is_accepted = node.accepted.contains(name);
        if !is_accepted {
            named.is_open(node, &format!("no sample of its variant `{name}` could be made"));
        }
        // What was asked for of a variant is its content; nothing was, if it was refused before.
        if child.is_none_or(|child| child.kind.is_none()) {
            words.push(*name);
        }
        let content = if is_accepted { part(maker, node, Step::Named(name), named) } else { json!({}) };
        all.push(json!({ "type": "object", "properties": { *name: content }, "required": [name], "additionalProperties": false }));
    }
    if !words.is_empty() {
        all.insert(0, json!({ "type": "string", "enum": words }));
    }
    if node.takes_others {
        all.push(json!({ "type": "string" }));
        return json!({ "anyOf": all });
    }
    match &all[..] {
        [] => json!({ "not": {} }),
        [one] => one.clone(),
        _ => json!({ "oneOf": all }),
    }
}

pub(super) fn or_null(schema: Value) -> Value {
    let Value::Object(mut of) = schema else { return schema };
    if of.is_empty() {
        return Value::Object(of);
    }
    match of.get("type") {
        Some(Value::String(ty)) if !of.contains_key("enum") => {
            let ty = json!([ty, "null"]);
            of.insert("type".to_owned(), ty);
            Value::Object(of)
        }
        // An option of an option is one.
        Some(Value::Array(_)) => Value::Object(of),
        _ => json!({ "anyOf": [of, { "type": "null" }] }),
    }
}

pub(super) fn plain(kind: &str, node: &Node) -> Value {
    if let Some(words) = node.words {
        return json!({ "type": "string", "enum": words });
    }
    let at_least = i64::from(node.taken_value == Some(1));
    match kind {
        "nothing" => json!({ "type": "null" }),
        "bool" => json!({ "type": "boolean" }),
        "char" => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        "string" => text(node),
        "bytes" => json!({}),
        "f32" => json!({ "type": "number", "format": "float" }),
        "f64" => json!({ "type": "number", "format": "double" }),
        "i8" => json!({ "type": "integer", "minimum": i8::MIN, "maximum": i8::MAX }),
        "i16" => json!({ "type": "integer", "minimum": i16::MIN, "maximum": i16::MAX }),
        "i32" => json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX }),
        "i64" => json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX }),
        "i128" => json!({ "type": "integer" }),
        "u8" => json!({ "type": "integer", "minimum": at_least, "maximum": u8::MAX }),
        "u16" => json!({ "type": "integer", "minimum": at_least, "maximum": u16::MAX }),
        "u32" => json!({ "type": "integer", "minimum": at_least, "maximum": u32::MAX }),
        "u64" => json!({ "type": "integer", "minimum": at_least, "maximum": u64::MAX }),
        "u128" => json!({ "type": "integer", "minimum": at_least }),
        _ => json!({}),
    }
}

/// Formats are told by what is taken: a UUID where the empty string and `a` are not.
pub(super) fn text(node: &Node) -> Value {
    match node.taken_value {
        Some(0) | None => json!({ "type": "string" }),
        Some(_) if node.is_plain => json!({ "type": "string", "minLength": 1 }),
        Some(_) if node.is_long => json!({ "type": "string" }),
        Some(1) => json!({ "type": "string", "format": "uuid" }),
        Some(2) => json!({ "type": "string", "format": "date-time" }),
        Some(3) => json!({ "type": "string", "format": "date" }),
        Some(_) => json!({ "type": "string" }),
    }
}
