//! What a store is like, without opening it for a service: nothing in it changes.

use super::{StoreError, StoreResult};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What it is and where, without a password.
    pub place: String,
    /// How many of its migrations it has had; 0 if it is new.
    pub version: usize,
    /// How many there are.
    pub latest: usize,
    /// The service to which it belongs, if one has claimed it.
    pub owner: Option<String>,
    /// Whether a process has it, where only one can.
    pub in_use: bool,
}

/// Looks at the store of this URL.
///
/// # Errors
/// If this build knows no such store, it cannot be reached or read, it is damaged, or a newer version has written it: the error says what to do.
pub async fn inspect(url: &str) -> StoreResult<Inspected> {
    if url == "memory:" {
        return Ok(Inspected { place: "memory".to_owned(), version: 0, latest: 0, owner: None, in_use: false });
    }
    #[cfg(feature = "sqlite")]
    if let Some(path) = url.strip_prefix("sqlite://") {
        let path = std::path::PathBuf::from(path);
        let inspected = tokio::task::spawn_blocking(move || super::sqlite::inspect(path)).await;
        return inspected.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return super::postgres::inspect(url).await;
    }
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    Err(StoreError::Unsupported(format!("this build knows no store for `{scheme}:` URLs")))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;
    use crate::{metrics::Metrics, store};

    #[tokio::test]
    async fn looking_at_a_store_changes_nothing() {
        let place = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite://{}", place.path().join("a.db").display());
        let files = || std::fs::read_dir(place.path()).unwrap().count();
        let new = inspect(&url).await.unwrap();
        assert_eq!((new.version, &new.owner, new.in_use, files()), (0, &None, false, 0), "{new:?}");
        let store = store::open(&url, "shop", &Metrics::new("shop")).await.unwrap();
        let busy = inspect(&url).await.unwrap();
        assert_eq!((busy.version, busy.owner.as_deref(), busy.in_use), (busy.latest, Some("shop"), true));
        store.close().await;
        drop(store);
        let idle = inspect(&url).await.unwrap();
        assert_eq!((idle.version, idle.in_use), (idle.latest, false));
        assert!(idle.latest > 0);
        let nowhere = inspect(&format!("sqlite://{}/no/a.db", place.path().display())).await.unwrap_err().to_string();
        assert!(nowhere.contains("is its directory there, and may it be written?"), "{nowhere}");
        std::fs::write(place.path().join("text.db"), "this is a text, and no database at all, whatever its name says").unwrap();
        let text = inspect(&format!("sqlite://{}/text.db", place.path().display())).await.unwrap_err().to_string();
        assert!(text.contains("is no SQLite database"), "{text}");
        assert!(inspect("mysql://ada:secret@host").await.unwrap_err().to_string().ends_with("this build knows no store for `mysql:` URLs"));
    }
}
