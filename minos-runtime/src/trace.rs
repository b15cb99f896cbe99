//! A place in a trace, as W3C Trace Context names it: what a caller sends as `traceparent`, and everything that follows from its request carries on.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

/// The `traceparent` of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    id: u128,
    parent: u64,
    flags: u8,
}

impl Trace {
    /// Reads `00-<32 hexadecimal digits>-<16>-<2>`; nothing if that is malformed. A later version may say more behind a further dash, and nothing else
    /// in front.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |digits: usize| {
            let part = parts.next()?;
            // Neither a sign nor capitals, which the parser of numbers would take.
            let is_hex = part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            is_hex.then(|| u128::from_str_radix(part, 16).ok())?
        };
        let (version, id, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_whole = version != 0xff && (version != 0 || parts.next().is_none());
        let (parent, flags) = (u64::try_from(parent).ok()?, u8::try_from(flags).ok()?);
        (is_whole && id != 0 && parent != 0).then_some(Trace { id, parent, flags })
    }

    /// The trace that it is a place in.
    pub fn id(self) -> Uuid {
        Uuid::from_u128(self.id)
    }

    /// A place in the trace of this id: the span of this number, of which somebody keeps records, or nobody does.
    pub(crate) fn at(id: Uuid, span: u64, is_sampled: bool) -> Self {
        Trace { id: id.as_u128(), parent: span, flags: is_sampled.into() }
    }

    /// Whether whoever was there before keeps records of it.
    pub fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    /// The span that it names.
    pub(crate) fn span(self) -> u64 {
        self.parent
    }

    /// The same trace, at another span.
    pub(crate) fn moved_to(self, span: u64) -> Self {
        Trace { parent: span, ..self }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.parent, self.flags)
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads one that others have written: what is malformed is no reason to refuse what it came with.
pub(crate) fn if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Trace>, D::Error> {
    Ok(Trace::parse(&String::deserialize(deserializer)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn what_is_well_formed_is_carried_on() {
        let text = format!("00-{ID}-b7ad6b7169203331-01");
        let trace = Trace::parse(&text).unwrap();
        assert_eq!((trace.to_string(), trace.id().simple().to_string()), (text.clone(), ID.to_owned()));
        assert_eq!(Trace::parse(&format!("01-{ID}-b7ad6b7169203331-01-more")), Some(trace), "a later version, as far as this one knows it");
        assert_eq!(serde_json::to_string(&trace).unwrap(), format!("\"{text}\""));
        assert_eq!(if_any(serde_json::Value::from(text)).unwrap(), Some(trace));
    }

    #[test]
    fn what_is_malformed_goes_no_further() {
        for text in [
            String::new(),
            format!("00-{ID}"),
            format!("00-{ID}-b7ad6b7169203331"),
            format!("00-{ID}-b7ad6b7169203331-01-more"),
            format!("00-{ID}-b7ad6b7169203331-1"),
            format!("00-{ID}-+7ad6b7169203331-01"),
            format!("00-{ID}-{}-01", "0".repeat(16)),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("ff-{ID}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", ID.to_uppercase()),
            format!("00-{ID}-{}-01", "b".repeat(60_000)),
            format!("{}-{ID}-b7ad6b7169203331-01", "0".repeat(60_000)),
        ] {
            assert_eq!(Trace::parse(&text), None, "{text:.80}");
            assert_eq!(if_any(serde_json::Value::from(text)).unwrap(), None);
        }
    }
}
