//! Whether the store can be reached, and how far its migrations have come.

use super::Finding;
use minos_runtime::{Config, store::inspect};
use std::path::Path;

const CHECK: &str = "store";

pub(super) async fn look(config: &Config, directory: &Path) -> Vec<Finding> {
    let url = at(&config.store.url, directory);
    if url == "memory:" {
        return vec![Finding::warn(
            CHECK,
            "in memory",
            "nothing is kept there: give it a file or a server with `store.url`, unless it is for a test",
        )];
    }
    let finding = match inspect(&url).await {
        Err(error) => Finding::fail(
            CHECK,
            error.to_string(),
            "let the service reach its store, or name another one with `store.url` or MINOS_STORE_URL",
        ),
        Ok(found) => {
            let name = &config.service.name;
            let use_of = if found.in_use { ", in use by a process" } else { "" };
            match (&found.owner, found.version) {
                (Some(owner), _) if owner != name => Finding::fail(
                    CHECK,
                    format!("{} belongs to the service `{owner}`", found.place),
                    "give each service a store of its own with `store.url`",
                ),
                (_, 0) => Finding::ok(CHECK, format!("{} is new: it is set up at the first start", found.place)),
                (_, version) if version < found.latest => Finding::warn(
                    CHECK,
                    format!("{} is at migration {version} of {}{use_of}", found.place, found.latest),
                    "the next start of the service brings it up to date; a backup before that is a good habit",
                ),
                (_, version) => Finding::ok(CHECK, format!("{}, migration {version} of {}{use_of}", found.place, found.latest)),
            }
        }
    };
    vec![finding]
}

/// A file is where the service is, as long as it is not said otherwise.
fn at(url: &str, directory: &Path) -> String {
    match url.strip_prefix("sqlite://") {
        Some(path) => format!("sqlite://{}", directory.join(path).display()),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[tokio::test]
    async fn a_store_is_told_with_what_to_do() {
        let place = tempfile::TempDir::new().unwrap();
        let told = async |url: &str| {
            let config = Config::parse(&format!("[service]\nname = \"order\"\n[store]\nurl = \"{url}\"")).unwrap();
            let findings = look(&config, place.path()).await;
            let (level, found) = findings[0].told();
            (level, found.to_owned())
        };
        assert_eq!(told("memory:").await.0, Level::Warn);
        let (level, found) = told("sqlite://order.db").await;
        assert!(level == Level::Ok && found.contains("order.db is new"), "{found}");
        let url = format!("sqlite://{}/order.db", place.path().display());
        let metrics = minos_runtime::metrics::Metrics::new("other");
        let store = minos_runtime::store::open(&url, "other", &metrics).await.unwrap();
        store.close().await;
        let (level, found) = told("sqlite://order.db").await;
        assert!(level == Level::Fail && found.ends_with("belongs to the service `other`"), "{found}");
        let (level, found) = told("postgres://ada:secret@127.0.0.1:1/order").await;
        assert!(level == Level::Fail && !found.contains("secret"), "{found}");
    }
}
