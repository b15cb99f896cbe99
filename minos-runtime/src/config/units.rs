//! Durations and sizes with their units, and other values that are more than text, for `#[serde(deserialize_with = "…")]`.

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected},
};
use std::{collections::BTreeMap, time::Duration};

/// A number, or its text: the environment knows only text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(i64),
    Text(String),
}

/// A table of texts; numbers and switches are as good.
pub(super) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let table = BTreeMap::<String, toml::Value>::deserialize(deserializer)?;
    let text = |(key, value)| match value {
        toml::Value::String(text) => Ok((key, text)),
        toml::Value::Integer(number) => Ok((key, number.to_string())),
        toml::Value::Float(number) => Ok((key, number.to_string())),
        toml::Value::Boolean(switch) => Ok((key, switch.to_string())),
        _ => Err(D::Error::custom(format!("`{key}` is no text, number or switch"))),
    };
    table.into_iter().map(text).collect()
}

/// A list of texts, or one text with `,` between them: the environment knows only text.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum List {
        Many(Vec<String>),
        Text(String),
    }
    Ok(match List::deserialize(deserializer)? {
        List::Many(texts) => texts,
        List::Text(text) => text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect(),
    })
}

/// A whole number.
///
/// # Errors
/// If it is none.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = match Scalar::deserialize(deserializer)? {
        Scalar::Number(number) => number,
        Scalar::Text(text) => text.trim().parse().map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a whole number"))?,
    };
    usize::try_from(number).map_err(|_| D::Error::invalid_value(Unexpected::Signed(number), &"a whole number from 0"))
}

/// A hundred years, in milliseconds. Added to the time of today, more may be no time any more.
const LONGEST: u64 = 36_500 * 86_400_000;

/// `"30s"`.
///
/// # Errors
/// If it is none, or longer than a hundred years.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => text,
        Scalar::Number(number) => number.to_string(),
    };
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    match with_unit(&text, &units).filter(|millis| *millis > 0) {
        None => Err(D::Error::custom(format!("`{text}` is no duration: write \"30s\", \"5m\", \"500ms\", \"2h\" or \"7d\""))),
        Some(millis) if millis > LONGEST => Err(D::Error::custom(format!("`{text}` is longer than the longest duration, `36500d`"))),
        Some(millis) => Ok(Duration::from_millis(millis)),
    }
}

/// `"1MiB"`, or a number of bytes.
///
/// # Errors
/// If it is none.
pub fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => text,
        Scalar::Number(number) => format!("{number}B"),
    };
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
    let bytes = with_unit(&text, &units).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| D::Error::custom(format!("`{text}` is no size: write \"64KiB\", \"1MiB\" or a number of bytes")))
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// `"info,shop::orders=debug"`. A word that is no level would be taken for a module whose every line is wanted.
pub(super) fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let level = |part: &str| part.rsplit('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    match text.split(',').map(level).find(|level| !LEVELS.contains(&level.as_str())) {
        None => Ok(text),
        Some(wrong) => Err(D::Error::custom(format!(
            "`{wrong}` is no log level: write one of {}, or `module=level`, with `,` between",
            LEVELS.join(", ")
        ))),
    }
}

/// A number with one of these units; the unit is what follows the digits.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim().find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.trim().split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}
