//! Directories that are there as wholes, or not at all.

use crate::{
    error::{CliError, CliResult},
    project::unreadable,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A directory in the making, beside the place where it will be. It goes with this value, unless it is [put](Staging::put) there.
pub(super) struct Staging {
    target: PathBuf,
    directory: PathBuf,
    _holder: TempDir,
}

impl Staging {
    /// Begins a directory, for a place at which nothing is yet, or an empty one.
    pub(super) fn begin(target: &Path) -> CliResult<Self> {
        check(target)?;
        let parent = target.parent().ok_or_else(|| CliError::said(format!("{} has no directory around it", target.display())))?;
        let holder = tempfile::Builder::new().prefix(".minos-new-").tempdir_in(parent);
        let holder = holder.map_err(|error| CliError::said(format!("nothing can be made in {}: {error}", parent.display())))?;
        // That of `tempfile` is for nobody else, and stays so.
        let directory = holder.path().join("made");
        fs::create_dir(&directory).map_err(|error| unwritable(&directory, &error))?;
        Ok(Staging { target: target.to_owned(), directory, _holder: holder })
    }

    /// Writes a file into it.
    pub(super) fn write(&self, path: &str, text: &str) -> CliResult {
        let path = self.directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
        }
        fs::write(&path, text).map_err(|error| unwritable(&path, &error))
    }

    /// Puts it where it belongs.
    pub(super) fn put(self) -> CliResult<PathBuf> {
        check(&self.target)?;
        fs::rename(&self.directory, &self.target).map_err(|error| unwritable(&self.target, &error))?;
        Ok(self.target)
    }
}

fn check(target: &Path) -> CliResult {
    let what = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(target, &error)),
        Ok(meta) if !meta.is_dir() => "is there already, and is no directory",
        Ok(_) => match fs::read_dir(target).map_err(|error| unreadable(target, &error))?.next() {
            None => return Ok(()),
            Some(_) => "is there already, and is not empty",
        },
    };
    Err(CliError::said(format!("{} {what}: take another name, or remove it", target.display())))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::said(format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_put_leaves_nothing() {
        let place = TempDir::new().unwrap();
        let target = place.path().join("shop");
        let staging = Staging::begin(&target).unwrap();
        staging.write("a/b.txt", "text").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        let staging = Staging::begin(&target).unwrap();
        staging.write("a/b.txt", "text").unwrap();
        assert_eq!(staging.put().unwrap(), target);
        assert_eq!(fs::read_to_string(target.join("a/b.txt")).unwrap(), "text");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        let again = Staging::begin(&target).err().unwrap().to_string();
        assert!(again.ends_with("shop is there already, and is not empty: take another name, or remove it"), "{again}");
        let file = target.join("a/b.txt");
        assert!(Staging::begin(&file).err().unwrap().to_string().contains("is no directory"));
        let empty = place.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let staging = Staging::begin(&empty).unwrap();
        staging.write("c.txt", "").unwrap();
        staging.put().unwrap();
        assert!(empty.join("c.txt").is_file());
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_those_for_whom_any_other_directory_is() {
        use std::os::unix::fs::PermissionsExt;
        let place = TempDir::new().unwrap();
        let other = place.path().join("other");
        fs::create_dir(&other).unwrap();
        let made = Staging::begin(&place.path().join("shop")).unwrap().put().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&made), mode(&other));
    }
}
