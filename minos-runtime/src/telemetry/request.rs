//! The line that each request has. It is the most frequent one by far, so where lines are written by nobody but us, it takes the short way: the general one
//! would take a tenth of the time of a small answer.

use super::{
    lines::Lines,
    text::{self, Time},
};
use crate::trace::Trace;
use http::Method;
use std::{cell::RefCell, fmt::Write, sync::OnceLock};
use tracing::Level;
use tracing_subscriber::{
    filter::Targets,
    fmt::{format::Writer, time::FormatTime},
};

/// Whose line it is, for filters.
const TARGET: &str = "minos_runtime::http::app";

/// Where lines go, if they go the short way.
static SHORT_WAY: OnceLock<Lines> = OnceLock::new();

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Lines of requests take the short way from now on, if this filter lets them through.
pub(super) fn take_short_way(lines: &Lines, filter: &Targets) {
    if filter.would_enable(TARGET, &Level::INFO) {
        // Set by the first service of the process; the others log in the same way.
        let _ = SHORT_WAY.set(lines.clone());
    }
}

/// What is told of a request.
pub(crate) struct RequestLine<'r> {
    pub(crate) method: &'r Method,
    pub(crate) path: &'r str,
    pub(crate) status: u16,
    pub(crate) micros: u64,
    pub(crate) correlation: &'r str,
    pub(crate) trace: Option<Trace>,
}

impl RequestLine<'_> {
    pub(crate) fn tell(&self) {
        let is_told = SHORT_WAY.get().is_some_and(|lines| LINE.with_borrow_mut(|line| self.put(lines, line).is_some()));
        if !is_told {
            self.tell_generally();
        }
    }

    /// For who asks for all lines.
    pub(crate) fn tell_quietly(&self) {
        let RequestLine { method, path, status, micros, correlation, trace } = self;
        tracing::debug!(target: TARGET, method = %method, path, status, micros, correlation = %correlation, traceparent = trace.map(tracing::field::display), "http");
    }

    fn tell_generally(&self) {
        let RequestLine { method, path, status, micros, correlation, trace } = self;
        tracing::info!(target: TARGET, method = %method, path, status, micros, correlation = %correlation, traceparent = trace.map(tracing::field::display), "http");
    }

    fn put(&self, lines: &Lines, line: &mut String) -> Option<()> {
        line.clear();
        Time.format_time(&mut Writer::new(line)).ok()?;
        self.write(line)?;
        lines.append(line.as_bytes());
        Some(())
    }

    /// What stands behind the time. Nothing, if something has to be escaped.
    fn write(&self, line: &mut String) -> Option<()> {
        let RequestLine { method, path, status, micros, correlation, trace } = self;
        if !text::is_plain(path) {
            return None;
        }
        for part in ["  INFO http method=", method.as_str(), " path=\"", path, "\" status="] {
            line.push_str(part);
        }
        text::push_number(line, (*status).into());
        line.push_str(" micros=");
        text::push_number(line, *micros);
        line.push_str(" correlation=");
        line.push_str(correlation);
        if let Some(trace) = trace {
            write!(line, " traceparent={trace}").ok()?;
        }
        line.push('\n');
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::text::tests::written, *};

    #[test]
    fn the_short_way_writes_the_same_line() {
        let uuid = uuid::Uuid::from_u128(7).to_string();
        let trace = Trace::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        for (path, trace) in [("/foos/1", None), ("/", Some(trace)), ("/a-b_c~%20", None)] {
            let line = RequestLine { method: &Method::PUT, path, status: 204, micros: 1234, correlation: &uuid, trace };
            let mut short = "now".to_owned();
            line.write(&mut short).unwrap();
            assert_eq!(short, written(|| line.tell_generally()));
            assert_eq!(short.replacen("  INFO ", " DEBUG ", 1), written(|| line.tell_quietly()));
        }
        let odd = RequestLine { method: &Method::GET, path: "/a\"b", status: 404, micros: 0, correlation: &uuid, trace: None };
        assert_eq!(odd.write(&mut String::new()), None, "what has to be escaped is left to who knows how");
        assert!(written(|| odd.tell_generally()).contains("path=\"/a\\\"b\" status=404 micros=0 "));
    }
}
