//! Whether what builds services is there, and fits.

use super::Finding;
use std::{
    path::Path,
    process::{Command, Stdio},
};
use toml::Table;

pub(super) fn look(root: &Path, needs_kafka: bool) -> Vec<Finding> {
    let mut findings = vec![version(root), rust()];
    // SQLite is compiled in.
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    findings.push(match runs(&compiler, "--version") {
        Some(_) => Finding::ok("C compiler", compiler),
        None => Finding::fail(
            "C compiler",
            format!("`{compiler}` does not run"),
            "install one, such as `apt-get install gcc`: the embedded store is compiled with it",
        ),
    });
    if needs_kafka {
        findings.push(match runs("make", "--version") {
            Some(_) => Finding::ok("make", "for the client of Kafka"),
            None => Finding::fail(
                "make",
                "`make` does not run",
                "install it, such as `apt-get install make g++`: the client of Kafka is built with it",
            ),
        });
    }
    findings
}

/// Whether services are built with the version of Minos that this program is of.
fn version(root: &Path) -> Finding {
    let ours = env!("CARGO_PKG_VERSION");
    // Who has only run `minos dev` has none but that of its program.
    let locks = root.ancestors().map(Path::to_owned).chain([crate::dev::program_of(root)]);
    let lock: Option<Table> =
        locks.into_iter().find_map(|directory| std::fs::read_to_string(directory.join("Cargo.lock")).ok()?.parse().ok());
    let Some(lock) = lock else {
        return Finding::warn(
            "minos",
            format!("this is {ours}; nothing was built here yet"),
            "`cargo test` or `minos dev` builds the services",
        );
    };
    let packages = lock.get("package").and_then(|packages| packages.as_array()).into_iter().flatten();
    let found = packages.filter(|package| package.get("name").and_then(|name| name.as_str()) == Some("minos"));
    let versions: Vec<&str> = found.filter_map(|package| package.get("version")?.as_str()).collect();
    match &versions[..] {
        [one] if *one == ours => Finding::ok("minos", format!("{ours}, as this program")),
        [] => Finding::warn("minos", format!("this is {ours}; no package here uses Minos"), "is this the directory of a service?"),
        [one] => Finding::warn(
            "minos",
            format!("services are built with {one}, and this program is {ours}"),
            format!("`cargo install minos-cli --version {one}`, or `cargo update --package minos --precise {ours}`"),
        ),
        many => Finding::fail(
            "minos",
            format!("services are built with {}", many.join(" and ")),
            "let all of them have one version: `cargo update`",
        ),
    }
}

/// Whether the compiler is new enough.
fn rust() -> Finding {
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let Some(told) = runs("rustc", "--version") else {
        return Finding::fail("rust", "`rustc` does not run", "install Rust from https://rustup.rs");
    };
    let number = |text: &str| text.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
    let version = told.split_whitespace().nth(1).unwrap_or_default().split('-').next().unwrap_or_default().to_owned();
    if number(&version) >= number(wanted) {
        Finding::ok("rust", version)
    } else {
        Finding::fail("rust", format!("{version} is older than {wanted}, which Minos needs"), "`rustup update stable`")
    }
}

/// What a program tells, if it runs.
fn runs(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn versions_are_compared() {
        let place = tempfile::TempDir::new().unwrap();
        assert!(super::version(place.path()).told().1.ends_with("nothing was built here yet"));
        let dev = crate::dev::program_of(place.path());
        std::fs::create_dir_all(&dev).unwrap();
        std::fs::write(dev.join("Cargo.lock"), format!("[[package]]\nname = \"minos\"\nversion = \"{}\"\n", env!("CARGO_PKG_VERSION")))
            .unwrap();
        assert_eq!(super::version(place.path()).told().0, Level::Ok, "by `minos dev` alone");
        let told = |version: &str| {
            std::fs::write(place.path().join("Cargo.lock"), format!("[[package]]\nname = \"minos\"\nversion = \"{version}\"\n")).unwrap();
            super::version(place.path()).told().0
        };
        assert_eq!(told(env!("CARGO_PKG_VERSION")), Level::Ok);
        assert_eq!(told("0.0.1"), Level::Warn);
        assert_eq!(rust().told().0, Level::Ok);
    }
}
