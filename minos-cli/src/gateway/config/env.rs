//! The environment over the file.

use super::GatewayConfig;
use crate::gateway::GatewayError;
use toml::{Table, Value};

/// What the names of all variables begin with.
const PREFIX: &str = "MINOS_GATEWAY_";

/// Every key that there is, but for those of services. A test holds it against the structs.
const KEYS: &[(&str, &[&str])] = &[
    (
        "http",
        &[
            "addr",
            "workers",
            "max_connections",
            "max_connections_per_client",
            "max_requests",
            "max_headers",
            "max_body",
            "header_timeout",
            "body_timeout",
            "slowest",
            "drain_timeout",
            "trusted_proxies",
            "strip",
        ],
    ),
    ("tls", &["certificate", "key"]),
    ("discovery", &["url", "token"]),
    ("upstream", &["connect_timeout", "first_byte_timeout", "idle_timeout", "total_timeout", "keep_idle", "max_idle", "patience"]),
    ("retries", &["attempts", "percent", "max_body"]),
    ("ejection", &["failures", "first_pause", "longest_pause"]),
    ("rate", &["global", "per_client", "per_user", "burst", "remembered"]),
    ("cors", &["origins", "headers", "expose", "credentials", "max_age"]),
    ("auth", &["secret", "public_key", "jwks", "refresh", "issuer", "audience", "leeway", "id", "roles", "scopes", "carry"]),
    ("access", &["required", "public"]),
    ("admin", &["addr", "token", "role"]),
    ("openapi", &["serve", "title", "refresh"]),
    ("log", &["format", "level"]),
];

fn variable(section: &str, key: &str) -> String {
    format!("{PREFIX}{}_{}", section.to_uppercase(), key.to_uppercase())
}

/// Puts variables that are keys into the table. A variable that looks like a key and is none is a mistake, and not ignored.
pub(super) fn apply(table: &mut Table, vars: impl IntoIterator<Item = (String, String)>) -> Result<(), GatewayError> {
    for (name, value) in vars.into_iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let all = KEYS.iter().flat_map(|(section, keys)| keys.iter().map(move |key| (*section, *key)));
        let Some((section, key)) = all.into_iter().find(|(section, key)| variable(section, key) == name) else {
            return Err(GatewayError::Config(unknown(&name)));
        };
        check(section, key, &name, &value)?;
        let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            section.insert(key.to_owned(), Value::String(value));
        }
    }
    Ok(())
}

fn unknown(name: &str) -> String {
    let section = KEYS.iter().find(|(section, _)| name.starts_with(&variable(section, "")));
    let known: Vec<String> = match section {
        Some((section, keys)) => keys.iter().map(|key| variable(section, key)).collect(),
        None => KEYS.iter().map(|(section, _)| variable(section, "…")).collect(),
    };
    format!("{name} is no key of the configuration: write one of {}", known.join(", "))
}

/// Reads the value alone, so that a mistake is told with the name of the variable.
fn check(section: &str, key: &str, name: &str, value: &str) -> Result<(), GatewayError> {
    let inner = Table::from_iter([(key.to_owned(), Value::String(value.to_owned()))]);
    let table = Table::from_iter([(section.to_owned(), Value::Table(inner))]);
    match table.try_into::<GatewayConfig>() {
        Ok(_) => Ok(()),
        // A token stays out of what is told.
        Err(error) if matches!(key, "token" | "secret") => Err(GatewayError::Config(format!("{name}: {}", error.message()))),
        Err(error) => Err(GatewayError::Config(format!("{name}=`{value}`: {}", error.message()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_structs_is_in_the_list() {
        for (section, keys) in KEYS {
            let unknown = format!("[{section}]\nno_such_key = 1");
            let error = toml::from_str::<GatewayConfig>(&unknown).unwrap_err().message().to_owned();
            let told: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
            assert_eq!(told, *keys, "[{section}]");
        }
        let error = toml::from_str::<GatewayConfig>("no_such_section = 1").unwrap_err().message().to_owned();
        let told: Vec<&str> = error.split('`').skip(3).step_by(2).filter(|section| *section != "services").collect();
        assert_eq!(told, KEYS.iter().map(|(section, _)| *section).collect::<Vec<_>>());
    }
}
