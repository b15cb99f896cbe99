//! A line `mod name;` more in a file of the user's, which stays as it is otherwise.

/// Whether a file has this module.
pub(super) fn has(text: &str, module: &str) -> bool {
    text.lines()
        .any(|line| name(line) == Some(module) || line.trim_start().trim_start_matches("pub ").starts_with(&format!("mod {module} {{")))
}

/// The file with the module: in the order of names among those that are there, as `rustfmt` has it; else behind what is about the file as a whole.
pub(super) fn module(text: &str, module: &str) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("mod {module};{end}");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // A module with attributes and docs begins with them.
    let start = |n: usize| (0..n).rev().take_while(|n| is_about_next(lines[*n])).last().unwrap_or(n);
    let known: Vec<(usize, &str)> = lines.iter().enumerate().filter_map(|(n, line)| name(line).map(|name| (n, name))).collect();
    let at = match (known.iter().find(|(_, name)| *name > module), known.last()) {
        (Some((next, _)), _) => start(*next),
        (None, Some((last, _))) => last + 1,
        (None, None) => {
            let head = lines.iter().position(|line| !is_about_file(line)).unwrap_or(lines.len());
            let before: String = lines[..head].concat();
            let gap = if before.is_empty() || before.ends_with(&format!("{end}{end}")) { "" } else { end };
            return format!("{before}{gap}{line}{end}{}", lines[head..].concat());
        }
    };
    let before: String = lines[..at].concat();
    // The last line may have no end.
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { end };
    format!("{before}{gap}{line}{}", lines[at..].concat())
}

/// The module that a line at the outermost level declares.
fn name(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let line = ["pub ", "pub(crate) "].iter().find_map(|vis| line.strip_prefix(vis)).unwrap_or(line);
    line.strip_prefix("mod ")?.strip_suffix(';')
}

fn is_about_next(line: &str) -> bool {
    line.starts_with("#[") || line.starts_with("///")
}

fn is_about_file(line: &str) -> bool {
    line.starts_with("//!") || line.starts_with("#![") || line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_stand_in_the_order_of_their_names() {
        let text = "//! Docs.\n\nmod a;\n/// Of c.\npub mod c;\n#[cfg(test)]\nmod tests;\n\nuse x;\nfn  odd( ) { }\n";
        assert_eq!(module(text, "b"), text.replace("/// Of c.", "mod b;\n/// Of c."));
        assert_eq!(module(text, "d"), text.replace("#[cfg", "mod d;\n#[cfg"));
        assert_eq!(module(text, "z"), text.replace("mod tests;\n", "mod tests;\nmod z;\n"));
        assert!(has(text, "c") && has(text, "tests") && !has(text, "b"));
        assert!(has("pub mod inner {\n}", "inner"));
    }

    #[test]
    fn the_first_module_stands_behind_what_is_about_the_file() {
        assert_eq!(module("", "a"), "mod a;\n\n");
        assert_eq!(module("//! Docs.\n#![allow(x)]\n\nuse y;\n", "a"), "//! Docs.\n#![allow(x)]\n\nmod a;\n\nuse y;\n");
        assert_eq!(module("//! Docs.\nuse y;\n", "a"), "//! Docs.\n\nmod a;\n\nuse y;\n");
    }

    #[test]
    fn ends_of_lines_stay_what_they_are() {
        assert_eq!(module("mod a;\r\nmod c;\r\n", "b"), "mod a;\r\nmod b;\r\nmod c;\r\n");
        assert_eq!(module("mod a;", "b"), "mod a;\nmod b;\n");
    }
}
