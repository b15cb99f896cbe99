//! What the rules of types say to those who hand in values of them: as the words of JSON Schema, for contracts.

use serde_json::{Map, Number, Value, json};

/// The rules of a type; registered by what writes `Validate`.
#[doc(hidden)]
pub struct RulesDef {
    /// Its name, with its path.
    pub ty: fn() -> &'static str,
    /// Of each field, as it is stored: a rule, and its limits or words.
    pub rules: &'static [(&'static str, &'static str, &'static [Limit])],
}

inventory::collect!(RulesDef);

/// A limit of a rule, or one of its words.
#[doc(hidden)]
pub enum Limit {
    /// There is none.
    None,
    /// As it is written.
    Is(&'static str),
    /// The same, of one that is no longer in the range.
    Below(&'static str),
    /// What an expression comes to.
    Computed(fn() -> String),
    /// The same, of one that is no longer in the range.
    BelowComputed(fn() -> String),
}

impl Limit {
    fn text(&self) -> Option<String> {
        match self {
            Limit::None => None,
            Limit::Is(text) | Limit::Below(text) => Some((*text).to_owned()),
            Limit::Computed(text) | Limit::BelowComputed(text) => Some(text()),
        }
    }

    fn is_below(&self) -> bool {
        matches!(self, Limit::Below(_) | Limit::BelowComputed(_))
    }
}

/// Puts what the rules of a type say into its schema. The type is known by what reads it, as the compiler names that: if that name were another one, nothing
/// would be told. Whether something was.
pub(crate) fn tell_rules(reader: &str, schema: &mut Value) -> bool {
    let is_read = |def: &&RulesDef| reader.contains(&format!(" for {}>::deserialize", (def.ty)()));
    let Some(def) = inventory::iter::<RulesDef>.into_iter().find(is_read) else { return false };
    let before = schema.clone();
    for (field, rule, limits) in def.rules {
        if let Some(Value::Object(field)) = schema.get_mut("properties").and_then(|fields| named(fields, field)) {
            tell(field, rule, limits);
        }
    }
    *schema != before
}

/// The field of this name; or the one of it that is written in another case, as `rename_all` does.
fn named<'f>(fields: &'f mut Value, name: &str) -> Option<&'f mut Value> {
    let fields = fields.as_object_mut()?;
    if fields.contains_key(name) {
        return fields.get_mut(name);
    }
    let plain = |name: &str| name.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect::<String>();
    let mut same = fields.iter_mut().filter(|(known, _)| plain(known) == plain(name));
    match (same.next(), same.next()) {
        (Some((_, field)), None) => Some(field),
        _ => None,
    }
}

/// Puts a rule into the schema of a field.
fn tell(schema: &mut Map<String, Value>, rule: &str, limits: &[Limit]) {
    // Of what may be nothing, it is about what is there.
    if let Some(Value::Object(inner)) = schema.get_mut("anyOf").and_then(|all| all.get_mut(0)) {
        return tell(inner, rule, limits);
    }
    match (rule, limits) {
        ("not_empty", _) => length(schema, Some(1), None),
        // Of a set: whoever hands in something twice has it in there once.
        ("length_of_set", [low, _]) => length(schema, whole(low), None),
        ("length", [low, high]) => {
            let most = whole(high).and_then(|most| if high.is_below() { most.checked_sub(1) } else { Some(most) });
            length(schema, whole(low), most);
        }
        ("range", [low, high]) if is_number(schema) => {
            if let Some(least) = number(low) {
                bound(schema, "minimum", "minimum", least, |least, known| least > known);
            }
            if let Some(most) = number(high) {
                let name = if high.is_below() { "exclusiveMaximum" } else { "maximum" };
                bound(schema, "maximum", name, most, |most, known| most <= known);
            }
        }
        ("email", _) if is_text(schema) => {
            schema.insert("format".to_owned(), "email".into());
            length(schema, None, Some(254));
        }
        ("url", _) if is_text(schema) => {
            schema.insert("format".to_owned(), "uri".into());
        }
        ("one_of", words) if is_text(schema) => one_of(schema, words.iter().filter_map(Limit::text).map(Value::from)),
        ("one_of_numbers", numbers) if is_number(schema) => {
            let all: Option<Vec<_>> = numbers.iter().map(number).collect();
            one_of(schema, all.unwrap_or_default().into_iter().map(Value::from));
        }
        _ => {}
    }
}

/// The types that a schema takes, but for `null`.
fn is_of(schema: &Map<String, Value>, kinds: &[&str]) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kinds.contains(&kind.as_str()),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).all(|kind| kind == "null" || kinds.contains(&kind)),
        _ => false,
    }
}

fn is_text(schema: &Map<String, Value>) -> bool {
    is_of(schema, &["string"])
}

fn is_number(schema: &Map<String, Value>) -> bool {
    is_of(schema, &["integer", "number"])
}

/// Text has characters, a list items, a map entries.
fn length(schema: &mut Map<String, Value>, least: Option<u64>, most: Option<u64>) {
    let of = match () {
        () if is_text(schema) => "Length",
        () if is_of(schema, &["array"]) => "Items",
        () if is_of(schema, &["object"]) => "Properties",
        () => return,
    };
    for (limit, length) in [("min", least), ("max", most)] {
        let name = format!("{limit}{of}");
        let known = schema.get(&name).and_then(Value::as_u64);
        let tighter = length.into_iter().chain(known).reduce(if limit == "min" { u64::max } else { u64::min });
        if let Some(length) = tighter.filter(|length| limit == "max" || *length > 0) {
            schema.insert(name, length.into());
        }
    }
}

/// A bound of numbers, if it is tighter than what the type has.
fn bound(schema: &mut Map<String, Value>, known: &str, name: &str, limit: Number, is_tighter: fn(f64, f64) -> bool) {
    let known_limit = schema.get(known).and_then(Value::as_f64);
    if known_limit.zip(limit.as_f64()).is_some_and(|(known, limit)| !is_tighter(limit, known)) {
        return;
    }
    schema.remove(known);
    schema.insert(name.to_owned(), Value::Number(limit));
}

fn one_of(schema: &mut Map<String, Value>, words: impl Iterator<Item = Value>) {
    let mut words: Vec<_> = words.collect();
    if words.is_empty() {
        return;
    }
    if schema.get("type").is_some_and(Value::is_array) {
        words.push(Value::Null);
    }
    schema.insert("enum".to_owned(), json!(words));
}

fn whole(limit: &Limit) -> Option<u64> {
    limit.text()?.parse().ok()
}

/// A number that JSON can say. A time is none.
fn number(limit: &Limit) -> Option<Number> {
    let text = limit.text()?;
    if text.contains(['.', 'e', 'E']) {
        return Number::from_f64(text.parse().ok()?);
    }
    text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(mut schema: Value, rule: &str, limits: &[Limit]) -> Value {
        tell(schema.as_object_mut().unwrap(), rule, limits);
        schema
    }

    #[test]
    fn rules_are_told_in_the_words_of_json_schema() {
        let (one, nine) = (|| Limit::Is("1"), || Limit::Is("9"));
        let text = json!({ "type": "string" });
        for (schema, rule, limits, expected) in [
            (text.clone(), "length", &[one(), nine()][..], json!({ "type": "string", "minLength": 1, "maxLength": 9 })),
            (text.clone(), "length", &[Limit::None, Limit::Below("9")], json!({ "type": "string", "maxLength": 8 })),
            (text.clone(), "not_empty", &[], json!({ "type": "string", "minLength": 1 })),
            (text.clone(), "email", &[], json!({ "type": "string", "format": "email", "maxLength": 254 })),
            (text.clone(), "url", &[], json!({ "type": "string", "format": "uri" })),
            (text.clone(), "one_of", &[Limit::Is("a"), Limit::Is("b")], json!({ "type": "string", "enum": ["a", "b"] })),
            (text.clone(), "range", &[one(), nine()], text.clone()),
            (json!({ "type": "array" }), "length", &[one(), nine()], json!({ "type": "array", "minItems": 1, "maxItems": 9 })),
            (json!({ "type": "array" }), "length_of_set", &[one(), nine()], json!({ "type": "array", "minItems": 1 })),
            (json!({ "type": "object" }), "not_empty", &[], json!({ "type": "object", "minProperties": 1 })),
            (
                json!({ "type": "integer", "minimum": 0, "maximum": 255 }),
                "range",
                &[one(), Limit::None],
                json!({ "type": "integer", "minimum": 1, "maximum": 255 }),
            ),
            (
                json!({ "type": "integer", "minimum": 0, "maximum": 255 }),
                "range",
                &[Limit::Computed(|| (-1).to_string()), Limit::Below("7")],
                json!({ "type": "integer", "minimum": 0, "exclusiveMaximum": 7 }),
            ),
            (json!({ "type": "number" }), "range", &[Limit::Is("0.5"), Limit::None], json!({ "type": "number", "minimum": 0.5 })),
            // A time, of which JSON Schema has no words.
            (text.clone(), "range", &[Limit::Computed(|| "1970-01-01T00:00:00Z".to_owned()), Limit::None], text.clone()),
            (
                json!({ "type": ["string", "null"] }),
                "one_of",
                &[Limit::Is("a")],
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
            ),
            (json!({ "type": "integer" }), "one_of_numbers", &[one(), nine()], json!({ "type": "integer", "enum": [1, 9] })),
            (json!({}), "length", &[one(), nine()], json!({})),
            (json!({ "$ref": "#/x" }), "not_empty", &[], json!({ "$ref": "#/x" })),
        ] {
            assert_eq!(told(schema.clone(), rule, limits), expected, "{rule} of {schema}");
        }
    }
}
