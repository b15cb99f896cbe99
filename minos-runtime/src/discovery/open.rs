//! From a configuration to the one who is asked.

use super::{Discovery, DiscoveryError, DiscoveryResult, Dns, Registry, Table};
use crate::config::DiscoveryConfig;
use std::sync::Arc;

/// Opens what `discovery.url` names: a registry (`http://host:7070`, several with commas between), `static:` or `static:services.toml`, or `dns:`. It asks
/// nobody yet.
///
/// # Errors
/// If the configuration makes no sense: the error says what to write.
pub fn open(config: &DiscoveryConfig) -> DiscoveryResult<Arc<dyn Discovery>> {
    let url = config.url.trim();
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(Arc::new(Registry::new(url, config.token.clone(), config.renew)?));
    }
    if url == "dns:" {
        return Ok(Arc::new(Dns::new(&config.services)?));
    }
    match url.strip_prefix("static:") {
        Some("") => Ok(Arc::new(Table::new(&config.services)?)),
        Some(file) => Ok(Arc::new(Table::file(file)?)),
        None => {
            // It is not told itself: it may hold a password.
            let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
            let why = format!("there is no `{scheme}:` to ask: write `http://host:7070`, `static:`, `static:services.toml` or `dns:`");
            Err(DiscoveryError::Refused { registry: "`discovery.url`".to_owned(), why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn opened(lines: &str) -> Result<String, String> {
        let config = Config::parse(&format!("[service]\nname = \"foo\"\n[discovery]\n{lines}")).map_err(|error| error.to_string())?;
        open(&config.discovery).map(|discovery| discovery.describe()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_url_names_is_opened() {
        assert_eq!(opened("url = \"http://a:7070, http://b:7070/\"").unwrap(), "the registry at http://a:7070, http://b:7070");
        assert_eq!(opened("url = \"static:\"\nservices.order = \"http://order:8080\"").unwrap(), "the table of the configuration");
        let many = "url = \"dns:\"\n[discovery.services]\norder = { urls = [\"http://o\"], routes = [\"GET /orders/{id}\"] }\nstock = [\"http://s:1\"]";
        assert_eq!(opened(many).unwrap(), "DNS (o, s)");
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (lines, told) in [
            ("url = \"etcd://a\"", "there is no `etcd:` to ask: write `http://host:7070`, `static:`, `static:services.toml` or `dns:`"),
            ("url = \"http://me:pw@a\"", "names and passwords do not belong into it"),
            ("url = \"http://a,\"", "it is no URL"),
            ("url = \"static:none.toml\"", "none.toml"),
            ("url = \"static:\"\nservices.order = []", "`order` has no URL"),
            ("url = \"static:\"\nservices.order = \"order:8080\"", "cannot be asked"),
            (
                "url = \"static:\"\nservices.order = 5",
                "a URL, a list of URLs, or `{ urls = [\"http://host:port\"], routes = [\"GET /path\"], admin = \"http://host:port\" }`",
            ),
            ("url = \"static:\"\nservices.order = { urls = [\"http://o\"], routes = [\"/x\"] }", "no HTTP method"),
            (
                "url = \"static:\"\nservices.order = { urls = [\"http://a\", \"http://b\", \"http://c\"], admin = [\"http://a:1\", \"http://b:1\"] }",
                "`order` has 3 of `urls` and 2 of `admin`: write one for each, or one for all",
            ),
            ("url = \"static:\"\nservices.order = { urls = [\"http://o\"], admin = \"o:9090\" }", "cannot be asked"),
            ("url = \"dns:\"", "DNS does not say which services there are"),
            ("ulr = \"dns:\"", "unknown field `ulr`"),
        ] {
            let error = opened(lines).unwrap_err();
            assert!(error.contains(told) && !error.contains("pw"), "{lines}: {error}");
        }
    }
}
