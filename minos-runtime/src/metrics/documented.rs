//! That the docs name every metric as it is, and that the dashboard asks for none that is not there.

use super::*;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

/// All metrics, each with something measured: one that has nothing is not told.
fn measured() -> String {
    let all = Metrics::new("foo");
    // Each by its name: whoever adds one adds it here, and to the docs.
    let Metrics {
        http_requests,
        http_seconds,
        handled,
        failed,
        conflicts: _,
        retries: _,
        dead_letters: _,
        parked_keys: _,
        commits: _,
        batch: _,
        queue: _,
        relayed: _,
        relay_open: _,
        relay_age: _,
        relay_leads: _,
        deliveries: _,
        consumer_lag,
        sagas_started,
        sagas_ended,
        saga_steps,
        saga_step_seconds,
        saga_alarms,
        saga_age: _,
        projection_position,
        projection_lag,
        projection_parked,
        announcements,
        registry: _,
    } = &all;
    let (text, name) = (String::new, "x");
    drop(http_requests.get_or_create(&HttpLabels { method: name, route: name, status: 200 }));
    drop(http_seconds.get_or_create(&RouteLabels { method: name, route: name }));
    for family in [handled, failed] {
        drop(family.get_or_create(&HandlerLabels { kind: name, handler: name }));
    }
    drop(consumer_lag.get_or_create(&PartitionLabels { topic: text(), partition: 0 }));
    drop(sagas_started.get_or_create(&SagaLabels { saga: text() }));
    drop(sagas_ended.get_or_create(&SagaEndLabels { saga: text(), status: name }));
    drop(saga_steps.get_or_create(&StepLabels { saga: name, step: name, direction: name, outcome: name }));
    drop(saga_step_seconds.get_or_create(&StepTimeLabels { saga: name, step: name }));
    drop(saga_alarms.get_or_create(&AlarmLabels { saga: text(), step: text(), why: name }));
    drop(projection_position.get_or_create(&ProjectionLabels { projection: name }));
    drop(projection_lag.get_or_create(&ProjectionLabels { projection: name }));
    drop(projection_parked.get_or_create(&ProjectionLabels { projection: name }));
    drop(announcements.get_or_create(&OutcomeLabels { outcome: name }));
    all.text()
}

/// What the table of the docs has to say: name, type and labels.
fn rows() -> BTreeSet<String> {
    let text = measured();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let row = |(name, kind): (&str, &str)| {
        let series = match kind {
            "counter" => format!("{name}_total"),
            "histogram" => format!("{name}_count"),
            _ => name.to_owned(),
        };
        let sample = text.lines().find_map(|line| line.strip_prefix(&series)?.strip_prefix('{')?.split_once('}'));
        let (labels, _) = sample.unwrap_or_else(|| panic!("{series} is not told in\n{text}"));
        let labels = labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| label);
        let labels: Vec<_> = labels.filter(|label| *label != "service").map(|label| format!("`{label}`")).collect();
        let name = if kind == "counter" { series } else { name.to_owned() };
        format!("| `{name}` | {kind} | {} |", labels.join(", ")).replace("|  |", "| |")
    };
    types.map(row).collect()
}

fn docs(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_docs_name_every_metric_with_its_type_and_labels() {
    let docs = docs("telemetry.md");
    let lines = docs.lines().filter(|line| line.starts_with("| `minos_"));
    // The last column is the meaning.
    let told: BTreeSet<String> = lines.filter_map(|line| Some(format!("{} |", line.rsplit_once(" | ")?.0))).collect();
    let rows = rows();
    assert!(rows.len() > 20, "{rows:?}");
    assert_eq!(rows.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "docs/telemetry.md does not say this");
    assert_eq!(told.difference(&rows).collect::<Vec<_>>(), Vec::<&String>::new(), "docs/telemetry.md says what is not so");
}

/// The names of metrics in a query.
fn names(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("minos_"))
}

fn queries<'v>(value: &'v Value, all: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(query) if matches!(key.as_str(), "expr" | "query" | "definition") => all.push(query),
                    _ => queries(value, all),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, all)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_nothing_that_is_not_measured() {
    let dashboard: Value = serde_json::from_str(&docs("grafana/minos.json")).unwrap();
    let (mut all, text) = (Vec::new(), measured());
    queries(&dashboard, &mut all);
    assert!(all.len() > 20, "{all:?}");
    let is_told = |name: &str| text.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
    let unknown: Vec<_> = all.iter().flat_map(|query| names(query)).filter(|name| !is_told(name)).collect();
    assert_eq!(unknown, Vec::<&str>::new());
    for name in rows().iter().filter_map(|row| row.split('`').nth(1)) {
        let is_asked = all.iter().flat_map(|query| names(query)).any(|asked| asked.starts_with(name));
        assert!(is_asked, "the dashboard shows nothing of {name}");
    }
}
