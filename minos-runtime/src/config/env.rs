//! The environment over the file.

use super::Config;
use crate::error::{Error, Result};
use toml::{Table, Value};

/// Every key that there is. A test holds it against the structs.
const KEYS: &[(&str, &[&str])] = &[
    ("service", &["name", "instance"]),
    (
        "http",
        &[
            "addr",
            "max_body",
            "header_timeout",
            "body_timeout",
            "request_timeout",
            "max_connections",
            "max_requests",
            "max_body_memory",
            "drain_timeout",
            "keep_answers",
        ],
    ),
    ("store", &["url", "recent", "master_key"]),
    (
        "broker",
        &[
            "url",
            "attempts",
            "first_pause",
            "longest_pause",
            "handler_timeout",
            "concurrency",
            "partitions",
            "replication",
            "max_message",
            "options",
        ],
    ),
    ("sagas", &["timeout", "attempts", "first_pause", "longest_pause", "alarm_after", "patience", "ask_after", "keep"]),
    ("discovery", &["url", "advertise", "renew", "linger", "token", "services"]),
    ("log", &["format", "level"]),
    ("admin", &["addr", "advertise", "read_role", "operate_role"]),
    ("auth", &["secret", "public_key", "jwks", "refresh", "issuer", "audience", "leeway", "id", "roles", "scopes", "carry"]),
];

/// The prefix of variables that are settings of the broker's own: what follows has dots where they have underscores.
const OPTIONS: &str = "MINOS_BROKER_OPTIONS_";

fn variable(section: &str, key: &str) -> String {
    format!("MINOS_{}_{}", section.to_uppercase(), key.to_uppercase())
}

fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().flat_map(|(section, keys)| keys.iter().map(move |key| (*section, *key)))
}

/// Puts variables that are keys into the table. A variable that looks like a key and is none is a mistake, and not ignored.
pub(super) fn apply(table: &mut Table, vars: impl IntoIterator<Item = (String, String)>) -> Result<()> {
    for (name, value) in vars {
        if let Some(option) = name.strip_prefix(OPTIONS) {
            let broker = table.entry("broker").or_insert_with(|| Value::Table(Table::new())).as_table_mut();
            let options = broker.map(|broker| broker.entry("options").or_insert_with(|| Value::Table(Table::new())));
            if let Some(options) = options.and_then(Value::as_table_mut) {
                options.insert(option.to_lowercase().replace('_', "."), Value::String(value));
            }
        } else if let Some((section, key)) = all().find(|(section, key)| variable(section, key) == name) {
            check(section, key, &name, &value)?;
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Some(section) = section.as_table_mut() {
                section.insert(key.to_owned(), Value::String(value));
            }
        } else if KEYS.iter().any(|(section, _)| name.starts_with(&variable(section, ""))) {
            return Err(Error::invalid(format!("{name} is no key of the configuration: {}", nearest(&name))));
        }
    }
    Ok(())
}

/// Reads the value alone, so that a mistake is told with the name of the variable.
fn check(section: &str, key: &str, name: &str, value: &str) -> Result<()> {
    let mut inner = Table::new();
    inner.insert(key.to_owned(), Value::String(value.to_owned()));
    let mut table = Table::new();
    table.insert(section.to_owned(), Value::Table(inner));
    match table.try_into::<Config>() {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::invalid(format!("{name}=`{value}`: {}", error.message()))),
    }
}

fn nearest(name: &str) -> String {
    let best = all().map(|(section, key)| variable(section, key)).min_by_key(|known| distance(name, known));
    best.map(|known| format!("did you mean {known}?")).unwrap_or_default()
}

/// How many letters have to change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_structs_is_in_the_list() {
        for (section, keys) in KEYS {
            let unknown = format!("[{section}]\nno_such_key = 1");
            let error = toml::from_str::<Config>(&unknown).unwrap_err().message().to_owned();
            let told: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
            assert_eq!(told, *keys, "[{section}]");
        }
    }
}
