//! What is seen of a type that a macro names.

use super::{Schema, Tracer, reference};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, marker::PhantomData};

/// What was seen of a type.
#[derive(Debug)]
pub struct Seen {
    pub(crate) schema: Schema,
    /// Why not all of it could be seen.
    pub(crate) hidden: Option<String>,
    /// Whether it may be an answer of any status, with any content.
    pub(crate) is_free: bool,
    /// Whether a field of the type may be missing.
    is_optional: bool,
}

/// What sees a type; nothing if it cannot be seen.
type See = Option<fn() -> Seen>;

/// How to see a type.
#[derive(Clone, Copy)]
pub enum Look {
    /// By how it is read; not at all, if it is not.
    Whole(Option<fn() -> Seen>),
    /// A struct of this name that is read as its fields are, each by its name. What they are of is seen once for all structs, and nothing is compiled for this
    /// one.
    Fields(&'static str, &'static [(&'static str, See)]),
}

impl Look {
    /// What is seen, if there is a way to see it.
    pub(crate) fn see(self) -> Option<Seen> {
        match self {
            Look::Whole(seen) => seen.map(|seen| seen()),
            Look::Fields(name, fields) => Some(Seen::of_fields(name, fields)),
        }
    }
}

/// A type whose look is asked for: `Of::<T>::SEEN` is how to see it, if there is a way.
pub struct Of<T>(PhantomData<fn() -> T>);

/// What holds for a type of which nothing else is known: `Of` itself goes first.
pub trait NotTraced {
    /// How to see it.
    const SEEN: Option<fn() -> Seen> = None;
}

impl<T> NotTraced for Of<T> {}

impl<T: DeserializeOwned> Of<T> {
    /// How to see it.
    pub const SEEN: Option<fn() -> Seen> = Some(seen::<T>);
}

/// What a type looks like, by how it is read.
pub(crate) fn seen<T: DeserializeOwned>() -> Seen {
    let mut tracer = Tracer::new();
    loop {
        let goes_on = match T::deserialize(tracer.reader()) {
            Ok(_) => !tracer.made(),
            Err(fault) => tracer.refused(&fault),
        };
        if !goes_on {
            return Seen::of(tracer);
        }
    }
}

impl Seen {
    fn of(tracer: Tracer) -> Self {
        let is_optional = tracer.is_optional();
        let (schema, _, hidden) = tracer.finish();
        Seen { schema, hidden, is_free: false, is_optional }
    }

    fn of_fields(name: &str, fields: &[(&str, See)]) -> Self {
        let (mut named, mut properties, mut required) = (BTreeMap::new(), Map::new(), Vec::new());
        let mut hidden = None;
        for (field, seen) in fields {
            let seen = seen.map_or_else(|| Seen::hidden("it cannot be read"), |seen| seen());
            if let Some(why) = seen.hidden {
                hidden.get_or_insert_with(|| format!("`{field}`: {why}"));
            }
            if !seen.is_optional {
                required.push(*field);
            }
            properties.insert((*field).to_owned(), seen.schema.put(&mut named));
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        let root = Seen::named(name, schema).schema.put(&mut named);
        Seen { schema: Schema { root, named }, hidden, is_free: false, is_optional: false }
    }

    /// Nothing was seen, and why.
    pub(crate) fn hidden(why: &str) -> Self {
        Seen { schema: Schema::open(), hidden: Some(why.to_owned()), is_free: false, is_optional: false }
    }

    /// Nothing was seen, since reading a sample panicked.
    pub(crate) fn nothing() -> Self {
        Seen::hidden("reading one panicked")
    }

    /// Anything.
    pub(crate) fn free() -> Self {
        Seen { schema: Schema::open(), hidden: None, is_free: true, is_optional: false }
    }

    /// A type of this name.
    pub(crate) fn named(name: &str, schema: Value) -> Self {
        let schema = Schema { root: reference(name), named: [(name.to_owned(), schema)].into() };
        Seen { schema, hidden: None, is_free: false, is_optional: false }
    }

    /// A page of them.
    pub(crate) fn in_page(mut self) -> Self {
        self.schema.root = json!({
            "type": "object",
            "properties": { "items": { "type": "array", "items": self.schema.root }, "next": { "type": "string" } },
            "required": ["items"],
        });
        self
    }

    /// With what is around it, the outermost first: `v` for a list, `o` for what may be nothing.
    pub(crate) fn around(self, words: &str) -> Self {
        words.chars().rev().fold(self, |mut seen, word| {
            let root = seen.schema.root;
            seen.schema.root =
                if word == 'v' { json!({ "type": "array", "items": root }) } else { json!({ "anyOf": [root, { "type": "null" }] }) };
            seen
        })
    }

    /// With what an aggregate has beside its fields.
    pub(crate) fn with_identity(mut self, name: &str) -> Self {
        let fields = self.schema.resolved();
        let (mut properties, mut required) = (serde_json::Map::new(), Vec::<Value>::new());
        for (name, schema) in [
            ("uuid", json!({ "type": "string", "format": "uuid" })),
            ("version", json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })),
            ("created_at", json!({ "type": "string", "format": "date-time" })),
            ("updated_at", json!({ "type": "string", "format": "date-time" })),
        ] {
            properties.insert(name.to_owned(), schema);
            required.push(name.into());
        }
        properties.extend(fields.get("properties").and_then(Value::as_object).cloned().unwrap_or_default());
        required.extend(fields.get("required").and_then(Value::as_array).into_iter().flatten().cloned());
        let name = format!("{name}Root");
        self.schema.root = reference(&name);
        self.schema.named.insert(name, json!({ "type": "object", "properties": properties, "required": required }));
        self
    }
}
