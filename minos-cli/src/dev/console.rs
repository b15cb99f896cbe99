//! One log of all services: each line with the name of whose it is.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Who tells what belongs to no service alone.
const OWN: &str = "minos";
const ALL: &str = "services";
/// Colors that can be read on black and on white.
const COLORS: [u8; 6] = [36, 33, 35, 32, 34, 31];

/// Where lines go.
#[derive(Clone)]
pub(super) struct Console(Arc<Mutex<Known>>);

/// What is known of the services.
#[derive(Default)]
struct Known {
    services: Vec<String>,
    /// Methods and paths, each with whose they are.
    routes: BTreeMap<(String, String), String>,
}

impl Console {
    pub(super) fn new() -> Self {
        Console(Arc::default())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These services run from now on.
    pub(super) fn expect(&self, services: Vec<String>) {
        *self.known() = Known { services, routes: BTreeMap::new() };
    }

    /// A line of our own.
    pub(super) fn own(&self, line: impl Display) {
        put(&self.known().labelled(OWN, &line.to_string(), io::stderr().is_terminal()), true);
    }

    /// Tells every line that comes, in the background.
    pub(super) fn relay(&self, from: impl AsyncRead + Unpin + Send + 'static, to_error: bool) {
        let console = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).split(b'\n');
            while let Ok(Some(line)) = lines.next_segment().await {
                let line = String::from_utf8_lossy(&line).into_owned();
                let is_terminal = if to_error { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
                let mut known = console.known();
                let name = known.whose(&line);
                put(&known.labelled(&name, &line, is_terminal), to_error);
            }
        });
    }
}

fn put(line: &str, to_error: bool) {
    // Nobody may be there to read it: then nobody misses it.
    let _ = if to_error { writeln!(io::stderr(), "{line}") } else { writeln!(io::stdout(), "{line}") };
}

impl Known {
    fn labelled(&self, name: &str, line: &str, is_terminal: bool) -> String {
        let width = self.services.iter().map(String::len).chain([OWN.len(), ALL.len()]).max().unwrap_or_default();
        if !is_terminal || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return format!("{name:<width$} | {line}");
        }
        let color = self.services.iter().position(|known| known == name).map_or(90, |n| COLORS[n % COLORS.len()]);
        format!("\x1b[{color}m{name:<width$} |\x1b[0m {line}")
    }

    /// Whose line this is. Services say it where they tell of themselves; a request is that of the one that has the route.
    fn whose(&mut self, line: &str) -> String {
        if let [only] = &self.services[..] {
            return only.clone();
        }
        // The time, the level, and the rest.
        let mut words = line.split_whitespace().skip(2);
        let first = words.next().unwrap_or_default();
        if let Some(name) = first.strip_suffix(':').filter(|name| self.services.iter().any(|known| known == name)) {
            let name = name.to_owned();
            let rest: Vec<&str> = words.collect();
            if let [_, method, path, "->", _] = rest[..] {
                self.routes.insert((method.to_owned(), path.to_owned()), name.clone());
            }
            return name;
        }
        let value = |key: &str| line.split(key).nth(1).and_then(|rest| rest.split_whitespace().next()).map(|value| value.trim_matches('"'));
        let asked = (first == "http").then(|| (value("method="), value("path=")));
        if let Some((Some(method), Some(path))) = asked
            && let Some((_, name)) = self.routes.iter().find(|((m, route), _)| m == method && fits(route, path))
        {
            return name.clone();
        }
        ALL.to_owned()
    }
}

/// Whether a path is one of a route, such as `/orders/{uuid}`.
fn fits(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with("{*") => return true,
            (Some(part), Some(word)) if part == word || (part.starts_with('{') && !word.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_name_of_its_service() {
        let mut known = Known { services: vec!["order".to_owned(), "stock".to_owned()], ..Known::default() };
        let time = "2026-11-29T02:00:00.000000Z";
        let mut whose = |line: &str| known.whose(&format!("{time}  INFO {line}"));
        assert_eq!(whose("stock: query    GET    /articles/{uuid} -> get_article"), "stock");
        assert_eq!(whose("order: command  POST   /orders -> create_order"), "order");
        assert_eq!(whose("order: listening on http://127.0.0.1:1"), "order");
        assert_eq!(whose("http method=POST path=\"/orders\" status=200 micros=3"), "order");
        assert_eq!(whose("http method=GET path=\"/articles/1\" status=200"), "stock");
        assert_eq!(whose("http method=GET path=\"/nothing\" status=404"), "services");
        assert_eq!(whose("something: else"), "services");
        assert_eq!(known.whose("hello"), "services");
        assert_eq!(known.labelled("order", "hello", false), "order    | hello");
        assert_eq!(known.labelled("stock", "hello", true), "\u{1b}[33mstock    |\u{1b}[0m hello");
        known.services.pop();
        assert_eq!(known.whose("hello"), "order", "there is no other");
    }
}
