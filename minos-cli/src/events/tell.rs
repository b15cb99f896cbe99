//! Events as people read them.

use serde_json::Value;

/// A time without what is finer than a millisecond.
pub(super) fn seconds(at: &str) -> String {
    match at.strip_suffix('Z').and_then(|at| at.split_once('.')) {
        Some((whole, fraction)) => format!("{whole}.{:.3}Z", fraction),
        None => at.to_owned(),
    }
}

/// A content on one line. What is sensitive is sealed where it is stored, and of no use to anybody's eyes.
pub(super) fn content(data: &Value) -> String {
    readable(data).to_string()
}

fn readable(data: &Value) -> Value {
    match data {
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("$sealed") => "<sealed>".into(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), readable(value))).collect(),
        Value::Array(values) => values.iter().map(readable).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_sealed_is_told_as_that() {
        let data = json!({ "name": { "$sealed": "0190….AAAA" }, "tags": [{ "$sealed": "x" }, "a"], "n": 1 });
        assert_eq!(content(&data), r#"{"n":1,"name":"<sealed>","tags":["<sealed>","a"]}"#);
        assert_eq!(content(&json!(null)), "null");
    }

    #[test]
    fn times_are_told_to_the_millisecond() {
        assert_eq!(seconds("2026-01-02T03:04:05.678901Z"), "2026-01-02T03:04:05.678Z");
        assert_eq!(seconds("2026-01-02T03:04:05.6Z"), "2026-01-02T03:04:05.6Z");
        assert_eq!(seconds("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05Z");
    }
}
