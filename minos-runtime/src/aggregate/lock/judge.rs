//! Whether what the file knows can still be read, and what it does not know yet.

use super::{
    super::upcast::stamped,
    EventsLockError, GivenSample,
    persisted::{Persisted, Traced},
    text::{Entries, Entry},
};
use crate::sample::{Difference, Shape};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// What became of the file.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// What could not be read any more.
    pub(super) breaking: String,
    /// What can be read, and is not in the file.
    pub(super) changed: String,
    /// What is to be in the file.
    pub(super) next: Entries,
}

/// Holds the types of a program against what the file knows of them.
///
/// # Errors
/// If two of them have one name, or a sample is given of what is not there.
pub(super) fn judge(known: &Entries, all: &[&Persisted], given: &[GivenSample]) -> Result<Verdict, EventsLockError> {
    let mut named = BTreeMap::new();
    for persisted in all {
        if named.insert(persisted.name(), *persisted).is_some() {
            return Err(EventsLockError::DoubleName(persisted.name()));
        }
    }
    if let Some((name, _)) = given.iter().find(|(name, _)| !named.contains_key(*name)) {
        return Err(EventsLockError::Unknown { name: (*name).to_owned(), known: named.into_keys().collect::<Vec<_>>().join(", ") });
    }
    let mut verdict = Verdict { next: known.clone(), ..Verdict::default() };
    for name in known.keys().map(|(name, _)| name).filter(|name| !named.contains_key(*name)).collect::<BTreeSet<_>>() {
        gone(name, &mut verdict.breaking);
    }
    for (name, persisted) in named {
        let mut traced = (persisted.trace)();
        let samples = given.iter().filter(|(of, _)| *of == name).map(|(_, sample)| stamped(persisted.version, sample.clone()));
        let samples: Vec<String> = samples.collect();
        traced.give(&samples);
        let mut told = String::new();
        for ((_, version), entry) in known.iter().filter(|((of, _), _)| *of == name) {
            look(persisted, *version, entry, &traced, &mut told);
        }
        let key = (name, persisted.version);
        let entry = next(known.get(&key), &traced, &samples);
        if let Some(unread) = told.is_empty().then(|| first_unread(persisted, &entry)).flatten() {
            let _ = writeln!(
                told,
                "  what is stored from now on cannot be read back:\n{unread}  help: what `Serialize` writes, `Deserialize` has to take"
            );
        }
        if !told.is_empty() {
            let _ = write!(verdict.breaking, "{} v{} ({}:{})\n{told}", key.0, key.1, persisted.file, persisted.line);
            continue;
        }
        if known.get(&key) != Some(&entry) {
            let _ = writeln!(verdict.changed, "{} v{} ({}:{})", key.0, key.1, persisted.file, persisted.line);
            difference(known.get(&key), &entry, &mut verdict.changed);
        }
        verdict.next.insert(key, entry);
    }
    Ok(verdict)
}

fn gone(name: &str, told: &mut String) {
    let what = if name.contains('.') { "its method" } else { "its struct" };
    let _ = writeln!(
        told,
        "{name}\n  it is gone, and what is stored of it could not be read any more\n  help: keep {what}; if it has another name now, write \
         {}; if nothing of it is stored anywhere, take its lines out of the file",
        if name.contains('.') {
            "the one that is stored in its `#[event(\"…\")]`".to_owned()
        } else {
            format!("`#[aggregate(name = \"{name}\")]`")
        }
    );
}

/// What is wrong with one version of what is stored.
fn look(persisted: &Persisted, version: u32, entry: &Entry, traced: &Traced, told: &mut String) {
    if version > persisted.version {
        let _ = writeln!(
            told,
            "  it was of version {version} already, and what is stored since then could not be read\n  help: `{}`",
            written(persisted, version)
        );
        return;
    }
    let differences = if version == persisted.version { differences(persisted, entry, traced) } else { Vec::new() };
    let mut wrong = String::new();
    for Difference { at, was, is, breaks } in differences.iter().filter(|difference| difference.breaks.is_some()) {
        lines(at, was.as_deref(), is.as_deref(), &mut wrong);
        let _ = writeln!(wrong, "  {}", breaks.unwrap_or_default());
    }
    if let Some(unread) = first_unread(persisted, entry) {
        if wrong.is_empty() {
            for Difference { at, was, is, .. } in &differences {
                lines(at, was.as_deref(), is.as_deref(), &mut wrong);
            }
        }
        wrong.push_str(&unread);
    }
    if wrong.is_empty() {
        return;
    }
    told.push_str(&wrong);
    let _ = if version < persisted.version {
        writeln!(told, "  help: the upcaster from version {version}, and those behind it, have to read what version {version} has stored")
    } else {
        writeln!(told, "  help: {}", help(persisted))
    };
}

fn differences(persisted: &Persisted, entry: &Entry, traced: &Traced) -> Vec<Difference> {
    match Shape::parse(entry.shape.lines()) {
        Some(was) => was.differences(&traced.shape, persisted.was),
        // It was changed by hand.
        None => vec![Difference {
            at: persisted.name(),
            was: Some("something that is no shape".to_owned()),
            is: Some("what the code says".to_owned()),
            breaks: Some("the file was changed by hand: take it as it was from the repository"),
        }],
    }
}

/// The first sample that cannot be read.
fn first_unread(persisted: &Persisted, entry: &Entry) -> Option<String> {
    entry.samples.iter().find_map(|sample| {
        let error = (persisted.read)(sample).err()?;
        Some(format!("  {sample}\n  cannot be read: {}\n", error.chain()))
    })
}

/// What the file should say of this version.
fn next(known: Option<&Entry>, traced: &Traced, given: &[String]) -> Entry {
    let mut entry = Entry::of(traced);
    let Some(known) = known else { return entry };
    if known.shape == entry.shape && !known.samples.is_empty() {
        let mut entry = Entry { none: None, ..known.clone() };
        entry.samples.extend(given.iter().filter(|sample| !known.samples.contains(sample)).cloned());
        return entry;
    }
    // Samples stay for ever.
    let new = std::mem::take(&mut entry.samples);
    entry.samples.clone_from(&known.samples);
    entry.samples.extend(new.into_iter().filter(|sample| !known.samples.contains(sample)));
    if !entry.samples.is_empty() {
        entry.none = None;
    }
    entry
}

fn difference(was: Option<&Entry>, is: &Entry, told: &mut String) {
    let (was, is) = (was.map(Entry::lines).unwrap_or_default(), is.lines());
    for line in was.lines().filter(|line| !is.lines().any(|other| other == *line)) {
        let _ = writeln!(told, "-{line}");
    }
    for line in is.lines().filter(|line| !was.lines().any(|other| other == *line)) {
        let _ = writeln!(told, "+{line}");
    }
}

fn lines(at: &str, was: Option<&str>, is: Option<&str>, told: &mut String) {
    for (sign, head) in [("-", was), ("+", is)] {
        let Some(head) = head else { continue };
        let colon = if at.is_empty() || head.is_empty() { "" } else { ": " };
        let _ = writeln!(told, "{sign} {at}{colon}{head}");
    }
}

/// What to write when a version breaks.
fn help(persisted: &Persisted) -> String {
    let attribute = written(persisted, persisted.version.saturating_add(1));
    let from = persisted.version;
    match persisted.event {
        Some(event) => format!(
            "write `{attribute}`, with a `fn from_v{from}` from the event as it was to `{event}`; a new parameter may be an `Option` instead, and a renamed \
             one says `#[minos(was = \"old\")]`"
        ),
        None => format!(
            "write `{attribute}`, with a `fn from_v{from}(fields: &mut Fields) -> Result<()>`; a new field may say `#[serde(default)]` or be an `Option` \
             instead, and a renamed one says `#[minos(was = \"old\")]`"
        ),
    }
}

/// The attribute of a version.
fn written(persisted: &Persisted, version: u32) -> String {
    let steps: Vec<_> = (1..version).map(|from| format!("from_v{from}")).collect();
    let upcast = if steps.len() == 1 { steps.concat() } else { format!("[{}]", steps.join(", ")) };
    match persisted.event {
        Some(event) => format!("#[event(\"{event}\", version = {version}, upcast = {upcast})]"),
        None => format!("#[aggregate(version = {version}, upcast = {upcast})]"),
    }
}
