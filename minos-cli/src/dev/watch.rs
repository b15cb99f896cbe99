//! Which files change: all of the project but what is built, what services keep, and what editors leave behind.

use crate::error::{CliError, CliResult};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;

/// How long it has to be quiet: whoever saves files saves several.
const QUIET: Duration = Duration::from_millis(150);

/// Changes of files below a directory.
pub(super) struct Changes {
    root: PathBuf,
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Changes {
    pub(super) fn of(root: &Path) -> CliResult<Self> {
        let changed = Arc::new(Notify::new());
        let (tell, base) = (changed.clone(), root.to_owned());
        let heard = move |event: notify::Result<Event>| match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => {}
            Ok(event) if event.paths.iter().any(|path| is_relevant(&base, path)) => tell.notify_one(),
            Ok(_) => {}
            // Something was missed: better built once too often.
            Err(_) => tell.notify_one(),
        };
        let watcher = notify::recommended_watcher(heard).map_err(|error| unwatched(root, &error))?;
        let mut changes = Changes { root: root.to_owned(), watcher, watched: BTreeSet::new(), changed };
        changes.watcher.watch(root, RecursiveMode::NonRecursive).map_err(|error| unwatched(root, &error))?;
        changes.look()?;
        Ok(changes)
    }

    /// Waits until something has changed, and it is quiet again.
    pub(super) async fn next(&mut self) {
        self.changed.notified().await;
        while tokio::time::timeout(QUIET, self.changed.notified()).await.is_ok() {}
        // A directory that is new at the top is one more to watch; one that is gone is none of ours any more.
        let _ = self.look();
    }

    /// Watches the directories at the top, but for that in which everything is built, which is large and changes all the time.
    fn look(&mut self) -> CliResult {
        self.watched.retain(|path| path.is_dir());
        let entries = fs::read_dir(&self.root).map_err(|error| crate::project::unreadable(&self.root, &error))?;
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.is_dir() && is_relevant(&self.root, &path) && !self.watched.contains(&path) {
                self.watcher.watch(&path, RecursiveMode::Recursive).map_err(|error| unwatched(&path, &error))?;
                self.watched.insert(path);
            }
        }
        Ok(())
    }
}

fn unwatched(path: &Path, error: &notify::Error) -> CliError {
    CliError::said(format!(
        "changes in {} cannot be watched: {error}; on Linux, `fs.inotify.max_user_watches` may be too low",
        path.display()
    ))
}

/// Whether services are built anew when this changes.
fn is_relevant(root: &Path, path: &Path) -> bool {
    let path = path.strip_prefix(root).unwrap_or(path);
    let mut names = path.components().filter_map(|part| part.as_os_str().to_str());
    let is_ours = names.all(|name| !name.starts_with('.') && !matches!(name, "target" | "node_modules"));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_left = [".swp", ".swx", ".tmp", ".lock", "~"].iter().any(|end| name.ends_with(end)) || name == "4913";
    is_ours && !is_left && !name.contains(".db") && !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_is_built_and_kept_is_of_no_interest() {
        let is = |path: &str| is_relevant(Path::new("/shop"), &Path::new("/shop").join(path));
        for path in ["services/order/src/lib.rs", "services/order/minos.toml", "Cargo.toml", "services/order/src/page.html", "crates/x"] {
            assert!(is(path), "{path}");
        }
        for path in [
            "target/debug/x.rs",
            ".git/index",
            "services/order/target/x",
            "services/order/order.db",
            "services/order/order.db-wal",
            "services/order/.lib.rs.swp",
            "services/order/src/lib.rs~",
            "services/order/src/4913",
            "Cargo.lock",
            "",
        ] {
            assert!(!is(path), "{path}");
        }
    }

    #[tokio::test]
    async fn many_changes_at_once_are_one() {
        let place = tempfile::TempDir::new().unwrap();
        let root = place.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("services/order/src")).unwrap();
        fs::create_dir_all(root.join("target")).unwrap();
        let mut changes = Changes::of(&root).unwrap();
        fs::write(root.join("target/x"), "1").unwrap();
        assert!(tokio::time::timeout(QUIET * 3, changes.next()).await.is_err(), "nobody cares for what is built");
        for n in 0..5 {
            fs::write(root.join(format!("services/order/src/{n}.rs")), "1").unwrap();
        }
        let before = Instant::now();
        tokio::time::timeout(QUIET * 20, changes.next()).await.expect("it is told");
        assert!(before.elapsed() >= QUIET);
        assert!(tokio::time::timeout(QUIET * 3, changes.next()).await.is_err(), "and told once");
        fs::create_dir(root.join("crates")).unwrap();
        tokio::time::timeout(QUIET * 20, changes.next()).await.expect("a new directory is told");
        fs::write(root.join("crates/x.rs"), "1").unwrap();
        tokio::time::timeout(QUIET * 20, changes.next()).await.expect("and what is in it");
    }
}
