//! The arrows between rooms run one way: a room names only rooms below it in this list.

use std::{fs, path::Path};

/// From top to bottom. The last ones are leaves that everything may use.
const ROOMS: &[&str] = &[
    "testing",
    "service",
    "http",
    "broker",
    "schedule",
    "contract",
    "saga",
    "projection",
    "handler",
    "aggregate",
    "document",
    "context",
    "message",
    "store",
    "telemetry",
    "auth",
    "discovery",
    "config",
    "health",
    "metrics",
    "stop",
    "clock",
    "codec",
    "sample",
    "sensitive",
    "sync",
    "tls",
    "trace",
    "failpoint",
    "error",
];

#[test]
fn arrows_run_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut read) = (Vec::new(), 0);
    for (rank, room) in ROOMS.iter().enumerate() {
        let mut todo = vec![src.join(room), src.join(format!("{room}.rs"))];
        let mut files = 0;
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            files += 1;
            for upper in &ROOMS[..rank] {
                wrong.extend(reaches(&text, upper).map(|line| format!("{}:{line}: {room} reaches up to {upper}", path.display())));
            }
        }
        assert!(files > 0, "there is no room `{room}`");
        read += files;
    }
    assert!(read > 40, "only {read} files were read");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The lines that name a room: `crate::http`, or `http` in a list after `crate::{`. A macro of ours may name its own crate's macros.
fn reaches<'t>(text: &'t str, room: &'t str) -> impl Iterator<Item = usize> + 't {
    let mut in_list = false;
    text.lines().enumerate().filter_map(move |(n, line)| {
        let code = line.trim_start();
        if code.starts_with("//") {
            return None;
        }
        let starts = |rest: &str| rest.strip_prefix(room).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
        in_list |= code.contains("use crate::{");
        // In a list, a room stands at the start of its line, as rustfmt writes it.
        let item = code.split_once("use crate::{").map_or(code, |(_, rest)| rest);
        let found = (in_list && starts(item)) || code.split("crate::").skip(1).any(starts);
        in_list &= !code.contains("};");
        found.then_some(n + 1)
    })
}

#[test]
fn the_test_sees_what_it_looks_for() {
    assert_eq!(reaches("use crate::{\n    error::Error,\n    http::App,\n};\n", "http").collect::<Vec<_>>(), [3]);
    assert_eq!(reaches("use crate::http::App;\n// crate::http\nlet x = crate::http::y();", "http").collect::<Vec<_>>(), [1, 3]);
    assert_eq!(reaches("use http::StatusCode;\nuse crate::https::X;", "http").count(), 0);
}
