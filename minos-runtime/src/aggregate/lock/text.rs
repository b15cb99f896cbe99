//! The file as text: readable, and a change of a field is a change of a line.

use super::persisted::Traced;
use std::{collections::BTreeMap, fmt::Write};

const HEAD: &str = "# What is stored of aggregates and their events. `MINOS_EVENTS_LOCK=write cargo test` writes it anew, and refuses what breaks.\n\
                    # Samples are read by each test, for ever.\n";
const SAMPLE: &str = "  sample ";
const NONE: &str = "  no sample, for ";

/// What the file says, by name and version.
pub(super) type Entries = BTreeMap<(String, u32), Entry>;

/// One version of an aggregate's fields, or of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The lines of its shape.
    pub(super) shape: String,
    pub(super) samples: Vec<String>,
    /// Why there is no sample.
    pub(super) none: Option<String>,
}

impl Entry {
    pub(super) fn of(traced: &Traced) -> Self {
        let none = traced.none.as_ref().map(|why| why.replace('\n', " "));
        Entry { shape: traced.shape.lines(), samples: traced.samples.clone(), none }
    }

    /// Its lines behind the first.
    pub(super) fn lines(&self) -> String {
        let mut text = self.shape.clone();
        for sample in &self.samples {
            let _ = writeln!(text, "{SAMPLE}{sample}");
        }
        if let Some(why) = &self.none {
            let _ = writeln!(text, "{NONE}{why}");
        }
        text
    }
}

pub(super) fn write(entries: &Entries) -> String {
    let mut text = HEAD.to_owned();
    for ((name, version), entry) in entries {
        let _ = write!(text, "\n{name} v{version}\n{}", entry.lines());
    }
    text
}

/// Reads the file.
///
/// # Errors
/// The number of the first line that is not understood.
pub(super) fn parse(text: &str) -> Result<Entries, usize> {
    let mut entries = Entries::new();
    let mut last: Option<(String, u32)> = None;
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#')) {
        if !line.starts_with(' ') {
            let key = line.rsplit_once(" v").and_then(|(name, version)| Some((name.to_owned(), version.parse().ok()?)));
            let key = key.filter(|key| !entries.contains_key(key)).ok_or(n + 1)?;
            entries.insert(key.clone(), Entry::default());
            last = Some(key);
            continue;
        }
        let entry = last.as_ref().and_then(|key| entries.get_mut(key)).ok_or(n + 1)?;
        match (line.strip_prefix(SAMPLE), line.strip_prefix(NONE)) {
            (Some(sample), _) if sample.starts_with('{') => entry.samples.push(sample.to_owned()),
            (_, Some(why)) => entry.none = Some(why.to_owned()),
            _ if entry.samples.is_empty() && entry.none.is_none() => {
                entry.shape.push_str(line);
                entry.shape.push('\n');
            }
            _ => return Err(n + 1),
        }
    }
    Ok(entries)
}
