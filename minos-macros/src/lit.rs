//! What literals say: paths, names of events, schedules. Mistakes are told on the literal.

use crate::{
    diag::{Errors, did_you_mean},
    word::{OWN_EVENTS, SET_CHANGES},
};
use std::time::Duration;
use syn::{Ident, LitStr};

/// The names of the parameters of a path.
pub(crate) fn path_parameters(errors: &Errors, path: &LitStr) -> Vec<String> {
    let text = path.value();
    if !text.starts_with('/') {
        errors.at(path, format!("a path starts with `/`\nhelp: `\"/{text}\"`"));
    }
    if let Some(bad) = text.chars().find(|c| c.is_whitespace() || matches!(c, '?' | '#')) {
        errors.at(path, format!("a path has no `{bad}`: the query string is read by `Query<T>`"));
    }
    let mut names: Vec<String> = Vec::new();
    let last = text.split('/').count() - 1;
    for (n, part) in text.split('/').enumerate() {
        let Some(name) = parameter(errors, path, part, n == last) else { continue };
        if names.contains(&name) {
            errors.at(path, format!("`{{{name}}}` occurs twice in this path"));
        }
        names.push(name);
    }
    names
}

/// The name of the parameter that this part of a path is, if it is one.
fn parameter(errors: &Errors, path: &LitStr, part: &str, is_last: bool) -> Option<String> {
    if let Some(name) = part.strip_prefix(':').or_else(|| part.strip_prefix('<').and_then(|part| part.strip_suffix('>'))) {
        errors.at(path, format!("a path parameter is written `{{{name}}}`, not `{part}`"));
        return Some(name.to_owned());
    }
    if !part.contains(['{', '}']) {
        return None;
    }
    let inner = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')).unwrap_or_default();
    let name = inner.strip_prefix('*').unwrap_or(inner);
    if syn::parse_str::<Ident>(name).is_err() {
        errors.at(path, format!("`{part}` is no path parameter\nhelp: a whole part of the path is one, written `{{name}}`"));
        return None;
    }
    if inner.starts_with('*') && !is_last {
        errors.at(path, format!("`{part}` takes all that follows, so it is the last part of a path"));
    }
    Some(name.to_owned())
}

/// That a name says whose event it is.
pub(crate) fn event_name(errors: &Errors, name: &LitStr) {
    let text = name.value();
    let own = |first: &str| OWN_EVENTS.iter().any(|suffix| first.len() > suffix.len() && first.ends_with(suffix));
    let words: Vec<&str> = text.split('.').collect();
    if let Some(bad) =
        words.iter().find(|word| syn::parse_str::<Ident>(word).is_err() && syn::parse_str::<Ident>(&format!("r#{word}")).is_err())
    {
        errors.at(name, format!("`{bad}` is no name in `{text}`\nhelp: `\"FooCreated\"`, `\"FooUpdated.field\"` or `\"Foo.EventName\"`"));
        return;
    }
    match words.as_slice() {
        [first] if !own(first) => errors.at(name, format!("`{text}` does not say whose event it is\nhelp: `\"Aggregate.{text}\"`")),
        [_] | [_, _] => {}
        [first, _, change] if own(first) && first.ends_with("Updated") => {
            if !SET_CHANGES.contains(change) {
                let hint = did_you_mean(change, SET_CHANGES);
                errors.at(name, format!("`{change}` is nothing that happens to a set; one of {}{hint}", SET_CHANGES.join(", ")));
            }
        }
        [first, field, ..] => errors.at(name, format!("an event has one field or name after the dot\nhelp: `\"{first}.{field}\"`")),
        [] => {}
    }
}

const FIELDS: [(&str, u32, u32); 5] = [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7)];

/// That a schedule has five fields whose numbers exist.
pub(crate) fn schedule(errors: &Errors, schedule: &LitStr) {
    let text = schedule.value();
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        errors.at(schedule, format!("a schedule has 5 fields (minute hour day month weekday), this has {}", fields.len()));
        return;
    }
    for (field, (name, low, high)) in fields.iter().zip(FIELDS) {
        if let Some(bad) = bad_number(field, low, high) {
            errors.at(schedule, format!("the {name} of a schedule is from {low} to {high}, not `{bad}`\nhelp: `*`, `{low}`, `{low}-{high}`, `*/2` or `{low},{high}`"));
        }
    }
}

/// The first part of a field that is no number in its range. Names of days and months are left to the runtime.
fn bad_number(field: &str, low: u32, high: u32) -> Option<&str> {
    field.split(',').find(|item| {
        let (range, step) = item.split_once('/').unwrap_or((item, "1"));
        let is_number = |text: &str| match text.parse::<u32>() {
            Ok(number) => (low..=high).contains(&number),
            Err(_) => text.len() == 3 && text.chars().all(|c| c.is_ascii_alphabetic()),
        };
        let fits = range == "*" || range.split('-').all(is_number);
        !fits || !step.parse::<u32>().is_ok_and(|step| step > 0)
    })
}

/// How a duration is written.
pub(crate) const DURATION: &str = "a duration is a string: `\"30s\"`, `\"5m\"`, `\"2h\"`";

/// Units of durations, in milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest duration, in milliseconds: a century, which any clock can add to its time.
const LONGEST: u64 = 36_525 * 86_400_000;

/// What a duration says.
pub(crate) fn duration(errors: &Errors, duration: &LitStr) -> Option<Duration> {
    let text = duration.value();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let milliseconds = number.parse::<u64>().ok().zip(UNITS.iter().find(|(name, _)| *name == unit.trim()));
    let message = match milliseconds.map(|(number, (_, factor))| number.saturating_mul(*factor)) {
        None => "a duration is a number with a unit: `\"30s\"`, `\"5m\"`, `\"2h\"`\nhelp: units are `ms`, `s`, `m`, `h` and `d`",
        Some(0) => "this duration is nothing\nhelp: leave it out, or write one that something can happen in",
        Some(value) if value > LONGEST => "a duration is at most a century",
        Some(value) => return Some(Duration::from_millis(value)),
    };
    errors.at(duration, message);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn told(check: impl Fn(&Errors, &LitStr), text: &str) -> String {
        let errors = Errors::default();
        check(&errors, &LitStr::new(text, Span::call_site()));
        errors.into_tokens().to_string()
    }

    #[test]
    fn parameters_of_paths() {
        let path = |text: &str| {
            let errors = Errors::default();
            let names = path_parameters(&errors, &LitStr::new(text, Span::call_site()));
            (names, errors.is_empty())
        };
        assert_eq!(path("/foos/{uuid}/bar/{n}"), (vec!["uuid".into(), "n".into()], true));
        assert_eq!(path("/files/{*rest}"), (vec!["rest".into()], true));
        for wrong in ["foos", "/:id", "/<id>", "/{a}/{a}", "/x{id}", "/{}", "/{*a}/b", "/a b", "/a?b"] {
            assert!(!path(wrong).1, "{wrong}");
        }
    }

    #[test]
    fn names_of_events() {
        for right in
            ["FooCreated", "FooUpdated.bar", "FooUpdated.type", "FooUpdated.entries.create", "FooDeleted", "Account.MoneyDeposited"]
        {
            assert_eq!(told(event_name, right), "", "{right}");
        }
        for wrong in
            ["MoneyDeposited", "Created", "", "Foo.", "Foo Created", "FooUpdated.a.b", "FooUpdated.a.update.b", "FooCreated.a.create"]
        {
            assert_ne!(told(event_name, wrong), "", "{wrong}");
        }
    }

    #[test]
    fn schedules() {
        for right in ["0 * * * *", "*/5 0-6 1,15 * MON-FRI", "0 0 1 JAN 0"] {
            assert_eq!(told(schedule, right), "", "{right}");
        }
        for wrong in ["0 * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "x * * * *"] {
            assert_ne!(told(schedule, wrong), "", "{wrong}");
        }
    }

    #[test]
    fn durations() {
        let read = |text: &str| {
            let errors = Errors::default();
            let read = duration(&errors, &LitStr::new(text, Span::call_site()));
            assert_eq!(read.is_none(), !errors.is_empty(), "{text}");
            read.map(|duration| duration.as_millis())
        };
        for (right, milliseconds) in [("30s", 30_000), ("5 m", 300_000), ("2h", 7_200_000), ("250ms", 250), ("7d", 604_800_000)] {
            assert_eq!(read(right), Some(milliseconds), "{right}");
        }
        for wrong in ["", "30", "s", "30 seconds", "-1s", "1.5h", "0s", "99999999999999999999d", "99999999d", "1h30m", "ｓ"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
