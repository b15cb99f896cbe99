//! Whether the keys of tokens are where they are said to be.

use super::Finding;
use std::path::Path;
use toml::Table;

const CHECK: &str = "auth";

/// Looks at what `[auth]` and the environment say.
pub(super) fn look(file: &Table, directory: &Path) -> Vec<Finding> {
    let value = |key: &str| {
        let from_file = || Some(file.get("auth")?.get(key)?.as_str()?.to_owned());
        std::env::var(format!("MINOS_AUTH_{}", key.to_uppercase())).ok().or_else(from_file).filter(|value| !value.is_empty())
    };
    let (secret, key, keys) = (value("secret"), value("public_key"), value("jwks"));
    let mut findings = Vec::new();
    if let Some(secret) = &secret {
        findings.push(match secret.len() {
            32.. => Finding::ok(CHECK, "a secret"),
            _ => Finding::warn(CHECK, "a secret that is short", "take one of 32 bytes or more, such as `openssl rand -base64 48` gives"),
        });
    }
    for (name, path) in [("public_key", key), ("jwks", keys)] {
        let Some(path) = path else { continue };
        if path.starts_with("http://") || path.starts_with("https://") || path.contains("-----BEGIN") {
            findings.push(Finding::ok(CHECK, format!("`auth.{name}` is {}", if path.contains("BEGIN") { "a key" } else { &path })));
            continue;
        }
        findings.push(match std::fs::read(directory.join(&path)) {
            Ok(text) if text.is_empty() => {
                Finding::fail(CHECK, format!("{path} is empty"), format!("put the key there, or name another file with `auth.{name}`"))
            }
            Ok(_) => Finding::ok(CHECK, format!("{path} can be read")),
            Err(error) => Finding::fail(
                CHECK,
                format!("{path} cannot be read: {error}"),
                format!("put the key there, or name another file with `auth.{name}`"),
            ),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::warn(CHECK, "open to everyone", "fine behind a wall; else say in `[auth]` whose tokens count"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn keys_are_looked_for() {
        let place = tempfile::TempDir::new().unwrap();
        std::fs::write(place.path().join("key.pem"), "-----BEGIN").unwrap();
        let told = |text: &str| {
            let findings = look(&text.parse().unwrap(), place.path());
            let (level, found) = findings[0].told();
            (level, found.to_owned())
        };
        assert_eq!(told("").0, Level::Warn);
        assert_eq!(told("[auth]\nsecret = \"short-one\""), (Level::Warn, "a secret that is short".to_owned()));
        assert_eq!(told("[auth]\npublic_key = \"key.pem\"").0, Level::Ok);
        let (level, found) = told("[auth]\njwks = \"no.json\"");
        assert!(level == Level::Fail && found.starts_with("no.json cannot be read"), "{found}");
    }
}
