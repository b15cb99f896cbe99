//! Wrong programs, and what the compiler says to each: the `.stderr` files are the specification of the interface.
//!
//! They were written with the compiler that `MADE_WITH` names. With another one, only what must not vary is compared: that it fails, our
//! first line, and the place.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

const MADE_WITH: &str = "rustc 1.95.";

#[test]
fn wrong_programs_are_told_what_to_write() {
    let version = Command::new("rustc").arg("--version").output().expect("rustc runs, since it compiled this");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if version.starts_with(MADE_WITH) {
        let tests = trybuild::TestCases::new();
        // Contracts are named by their path from the package, which trybuild makes below the target.
        let is_elsewhere = std::env::var_os("CARGO_TARGET_DIR").is_some();
        if is_elsewhere {
            let _ = writeln!(std::io::stderr(), "\nNOT RUN: tests/ui/import, since CARGO_TARGET_DIR is set.\n");
        }
        for case in cases(Path::new("tests/ui")).iter().filter(|case| !is_elsewhere || !case.starts_with("tests/ui/import")) {
            tests.compile_fail(case);
        }
        return;
    }
    // Not by `eprintln`, whose text the harness keeps for itself while the test passes.
    let _ = writeln!(
        std::io::stderr(),
        "\nNOT RUN AS WRITTEN: the expected messages were made with {MADE_WITH}x, and this is {version}Only what must not vary is looked at.\n"
    );
    for case in cases(Path::new("tests/ui")) {
        let text = fs::read_to_string(case.with_extension("stderr")).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|first| first.starts_with("error")), "{}: the first line is the error", case.display());
        assert!(text.contains(&format!(" --> {}", case.display())), "{}: the error is in the user's code", case.display());
    }
    trybuild::TestCases::new().compile_fail("tests/ui/handler/sig_not_async.rs");
}

fn cases(directory: &Path) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the cases are there")
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { cases(&entry.path()) } else { vec![entry.path()] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    cases.sort();
    cases
}
