//! The text of log lines, as `tracing-subscriber` writes it without colors, at a third of the cost: there is one line for each request, and with
//! the general formatter it would cost more than answering.

use jiff::Timestamp;
use std::{
    cell::RefCell,
    error::Error,
    fmt::{self, Debug, Write},
    time::{SystemTime, UNIX_EPOCH},
};
use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::{RecordFields, VisitOutput},
    fmt::{
        FormatFields,
        format::{DefaultVisitor, Writer},
        time::{self, FormatTime},
    },
};

/// The time of a line, in UTC with microseconds.
pub(super) struct Time;

thread_local! {
    /// The last second of which this thread had a line, and its text up to the fraction.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

impl FormatTime for Time {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SECOND.with_borrow_mut(|(second, text)| {
            if *second != now.as_secs() {
                let Ok(at) = Timestamp::from_second(now.as_secs().cast_signed()) else { return time::SystemTime.format_time(writer) };
                *second = now.as_secs();
                text.clear();
                write!(text, "{at:.0}")?;
                text.pop();
            }
            writer.write_str(text)
        })?;
        let mut fraction = *b".000000Z";
        put_digits(&mut fraction[1..7], now.subsec_micros().into());
        writer.write_str(ascii(&fraction))
    }
}

/// The fields of a line.
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct Visitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    /// Writes what stands in front of a value, and the value.
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.name(field).and_then(|()| value(&mut self.writer));
        }
    }

    fn name(&mut self, field: &Field) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        let name = field.name();
        self.writer.write_str(name.strip_prefix("r#").unwrap_or(name))?;
        self.writer.write_char('=')
    }

    /// Leaves what has rules of its own to the formatter that has them.
    fn leave(&mut self, visit: impl FnOnce(&mut DefaultVisitor<'_>)) {
        if self.result.is_ok() {
            let mut visitor = DefaultVisitor::new(self.writer.by_ref(), std::mem::take(&mut self.is_first));
            visit(&mut visitor);
            self.result = visitor.finish();
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |writer| with_digits(value, |digits| writer.write_str(digits)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // What has to be escaped is written as all else is.
        if is_plain(value) && field.name() != "message" {
            self.put(field, |writer| {
                writer.write_char('"')?;
                writer.write_str(value)?;
                writer.write_char('"')
            });
        } else {
            self.leave(|visitor| visitor.record_str(field, value));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.leave(|visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.leave(|visitor| visitor.record_debug(field, value));
        } else {
            self.put(field, |writer| write!(writer, "{value:?}"));
        }
    }
}

/// Whether nothing of this has to be escaped.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
}

/// Adds a number to a line.
pub(super) fn push_number(line: &mut String, number: u64) {
    with_digits(number, |digits| line.push_str(digits));
}

fn with_digits<T>(number: u64, write: impl FnOnce(&str) -> T) -> T {
    let mut digits = [b'0'; 20];
    // Of zero, one digit is left.
    let start = put_digits(&mut digits, number).min(19);
    write(ascii(digits.get(start..).unwrap_or_default()))
}

/// Writes a number to the end of this, behind the zeros that are there. Returns where it begins.
fn put_digits(text: &mut [u8], mut number: u64) -> usize {
    let mut start = text.len();
    for digit in text.iter_mut().rev() {
        if number == 0 {
            break;
        }
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
    }
    start
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::{
        io,
        sync::{Arc, Mutex},
    };
    use tracing_subscriber::{
        fmt::{
            self as fmt_layer, MakeWriter,
            format::{DefaultFields, Format, Full},
        },
        layer::SubscriberExt,
    };

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Page {
        type Writer = Page;

        fn make_writer(&'a self) -> Page {
            self.clone()
        }
    }

    /// Not the time: it goes on between two lines.
    struct Never;

    impl FormatTime for Never {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("now")
        }
    }

    fn layer<S>() -> fmt_layer::Layer<S, DefaultFields, Format<Full, Never>> {
        fmt_layer::layer().with_ansi(false).with_target(false).with_timer(Never)
    }

    /// What the general formatter writes.
    pub(in super::super) fn written(tell: impl FnOnce()) -> String {
        let page = Page::default();
        let subscriber = tracing_subscriber::registry().with(layer().with_writer(page.clone()));
        tracing::subscriber::with_default(subscriber, tell);
        let text = page.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer \x1b[31m")]
    struct Outer(#[from] fmt::Error);

    #[test]
    fn a_line_is_what_the_general_formatter_writes() {
        let (ours, theirs) = (Page::default(), Page::default());
        let subscriber = tracing_subscriber::registry()
            .with(layer().fmt_fields(Fields).with_writer(ours.clone()))
            .with(layer().with_writer(theirs.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(method = %"GET", path = "/foos/1", status = 200u16, micros = 1234u64, correlation = %uuid::Uuid::nil(), "http");
            tracing::warn!(zero = 0, most = u64::MAX, least = i64::MIN, yes = true, half = 0.5, r#type = 1u8, none = Option::<u8>::None);
            tracing::error!(path = "a\"b\\c\n\u{1b}[31m\u{7f}ü", shown = %"two\nlines", debug = ?"x\ny", "told \x1b[31m in {} words", 4);
            let error = Outer(fmt::Error);
            tracing::error!(error = &error as &(dyn Error + 'static), plain = &fmt::Error as &(dyn Error + 'static));
            tracing::info!(message = "a text \x07", after = 1);
            let _span = tracing::info_span!("outside", id = 7, name = "n").entered();
            tracing::info!("in a span");
        });
        let text = |page: &Page| String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text(&ours), text(&theirs));
        assert_eq!(
            text(&ours).lines().next().unwrap(),
            "now  INFO http method=GET path=\"/foos/1\" status=200 micros=1234 correlation=00000000-0000-0000-0000-000000000000"
        );
    }

    #[test]
    fn the_time_has_microseconds() {
        let time = || {
            let mut text = String::new();
            Time.format_time(&mut Writer::new(&mut text)).unwrap();
            text
        };
        for _ in 0..3 {
            let (before, text, after) = (Timestamp::now(), time(), Timestamp::now());
            assert_eq!(text.len(), "2026-01-01T00:00:00.000000Z".len(), "{text}");
            let at: Timestamp = text.parse().unwrap();
            assert!(before.as_microsecond() <= at.as_microsecond() && at <= after, "{before} {text} {after}");
            SECOND.with_borrow_mut(|(second, _)| *second -= 1);
        }
    }
}
