//! What was made looks as `rustfmt` would have it, whatever the length of its names.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// A text of Rust as `rustfmt` has it in this directory; as it is, if there is no `rustfmt`.
pub(crate) fn format(text: &str, directory: &Path) -> String {
    by_rustfmt(text, directory).unwrap_or_else(|| text.to_owned())
}

fn by_rustfmt(text: &str, directory: &Path) -> Option<String> {
    // From its standard input, so that it formats nothing else: it would take the modules of a file along.
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2024"]).current_dir(directory);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let written = child.stdin.take()?.write_all(text.as_bytes());
    let output = child.wait_with_output().ok()?;
    written.ok()?;
    let formatted = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !formatted.is_empty()).then_some(formatted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_formatted_alone() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(format("mod  nothing_like_it ;\nfn a( ) { }\n", here), "mod nothing_like_it;\nfn a() {}\n");
        assert_eq!(format("fn a( {", here), "fn a( {", "what is no Rust stays as it is");
    }
}
