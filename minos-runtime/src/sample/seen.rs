//! What is seen of a type that is named in a signature.

use super::{Schema, Tracer, reference};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::marker::PhantomData;

/// What was seen of a type.
#[derive(Debug)]
pub struct Seen {
    pub(crate) schema: Schema,
    /// Why not all of it could be seen.
    pub(crate) hidden: Option<String>,
    /// Whether it may be an answer of any status, with any content.
    pub(crate) is_free: bool,
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
        let (schema, hidden) = tracer.finish();
        Seen { schema, hidden, is_free: false }
    }

    /// Nothing was seen, since reading a sample panicked.
    pub(crate) fn nothing() -> Self {
        Seen { schema: Schema::open(), hidden: Some("reading one panicked".to_owned()), is_free: false }
    }

    /// Anything.
    pub(crate) fn free() -> Self {
        Seen { schema: Schema::open(), hidden: None, is_free: true }
    }

    /// A type of this name.
    pub(crate) fn named(name: &str, schema: Value) -> Self {
        let schema = Schema { root: reference(name), named: [(name.to_owned(), schema)].into() };
        Seen { schema, hidden: None, is_free: false }
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
