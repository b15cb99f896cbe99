//! JSON, read piece by piece, by functions that know no types: what a type asks for is compiled for each type, and what is behind it once.
//!
//! What is not simple is left to `serde_json`: escapes, fractions, what nobody asked for.

use super::fault::{Class, Fault};
use serde::de::{Deserialize, Expected, IgnoredAny, Visitor};
use std::{borrow::Cow, fmt};

/// How deep lists and objects may be in each other, as `serde_json` has it.
const DEEPEST: u8 = 127;

/// A text that is being read.
pub(crate) struct Json<'de> {
    bytes: &'de [u8],
    at: usize,
    depth: u8,
    /// Where the first mistake was.
    stopped: Option<usize>,
    /// The fields of the struct that all of it is.
    known: Option<&'static [&'static str]>,
    /// The first field that it does not have.
    unknown: Option<String>,
}

/// A number, as it stands there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Large(u128),
    Low(i128),
}

impl Number {
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Number::Unsigned(number) => visitor.visit_u64(number),
            Number::Signed(number) => visitor.visit_i64(number),
            Number::Float(number) => visitor.visit_f64(number),
            Number::Large(number) => visitor.visit_u128(number),
            Number::Low(number) => visitor.visit_i128(number),
        }
    }
}

/// Reads any number, as `serde_json` tells it.
struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number::Signed(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number::Float(number))
    }
}

impl<'de> Json<'de> {
    /// Begins to read.
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Json { bytes, at: 0, depth: 0, stopped: None, known: None, unknown: None }
    }

    /// That nothing comes any more.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Fault::syntax("trailing characters")),
        }
    }

    /// The first field that the struct does not have which all of it is, and those that it has.
    pub(crate) fn unknown(&self) -> Option<(&str, &'static [&'static str])> {
        self.unknown.as_deref().zip(self.known)
    }

    /// Line and column of the first mistake, from 1.
    pub(crate) fn place(&self) -> (usize, usize) {
        let before = self.bytes.get(..self.stopped.unwrap_or(self.at)).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        (1 + before.iter().filter(|byte| **byte == b'\n').count(), before.len() - start)
    }

    fn rest(&self) -> &'de [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// The next byte that is no space. There has to be one.
    pub(super) fn first(&mut self) -> Result<u8, Fault> {
        self.peek().ok_or_else(|| Fault::new(Class::Cut, "EOF while parsing a value"))
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        let is_cut = word.as_bytes().starts_with(self.rest());
        Err(if is_cut { Fault::new(Class::Cut, "EOF while parsing a value") } else { Fault::syntax("expected ident") })
    }

    /// Reads `null`, if that is what comes.
    pub(super) fn null(&mut self) -> Result<bool, Fault> {
        match self.peek() {
            Some(b'n') => self.word("null").map(|()| true),
            _ => Ok(false),
        }
    }

    pub(super) fn unit(&mut self, expected: &dyn Expected) -> Result<(), Fault> {
        self.first()?;
        if self.null()? { Ok(()) } else { Err(self.wrong(expected)) }
    }

    pub(super) fn bool(&mut self, expected: &dyn Expected) -> Result<bool, Fault> {
        match self.first()? {
            b't' => self.word("true").map(|()| true),
            b'f' => self.word("false").map(|()| false),
            _ => Err(self.wrong(expected)),
        }
    }

    pub(super) fn text(&mut self, expected: &dyn Expected) -> Result<Cow<'de, str>, Fault> {
        if self.first()? == b'"' { self.string() } else { Err(self.wrong(expected)) }
    }

    /// A string, whose quote comes next.
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>, Fault> {
        let inside = self.bytes.get(self.at + 1..).unwrap_or_default();
        match inside.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20)) {
            Some(length) if inside.get(length) == Some(&b'"') => {
                let text = inside.get(..length).unwrap_or_default();
                self.at += length + 2;
                std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| Fault::syntax("invalid unicode code point"))
            }
            _ => self.by_serde::<String>().map(Cow::Owned),
        }
    }

    /// Leaves one value to `serde_json`.
    fn by_serde<T: Deserialize<'de>>(&mut self) -> Result<T, Fault> {
        let mut decoder = serde_json::Deserializer::from_slice(self.rest());
        let read = T::deserialize(&mut decoder);
        self.went(&read, decoder);
        read.map_err(|error| fault(&error))
    }

    fn went<T>(&mut self, read: &Result<T, serde_json::Error>, decoder: serde_json::Deserializer<serde_json::de::SliceRead<'de>>) {
        match read {
            Ok(_) => self.at += decoder.into_iter::<IgnoredAny>().byte_offset(),
            // Where it says that it stopped.
            Err(error) => {
                let lines = self.rest().split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
                let place = self.at + lines.map(<[u8]>::len).sum::<usize>() + error.column();
                self.stopped.get_or_insert(place.min(self.bytes.len()));
            }
        }
    }

    pub(super) fn is_number(&mut self) -> Result<bool, Fault> {
        Ok(matches!(self.first()?, b'-' | b'0'..=b'9'))
    }

    /// A number, which comes next.
    pub(super) fn number(&mut self) -> Result<Number, Fault> {
        let rest = self.rest();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_plain = (1..=18).contains(&digits)
            && !(digits > 1 && rest.first() == Some(&b'0'))
            && !matches!(rest.get(digits), Some(b'.' | b'e' | b'E'));
        if is_plain {
            let number = rest.iter().take(digits).fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'));
            self.at += digits;
            return Ok(Number::Unsigned(number));
        }
        let mut decoder = serde_json::Deserializer::from_slice(rest);
        let read = serde::Deserializer::deserialize_u64(&mut decoder, AnyNumber);
        self.went(&read, decoder);
        read.map_err(|error| fault(&error))
    }

    /// A number of up to 128 bits, which comes next.
    pub(super) fn large(&mut self) -> Result<Number, Fault> {
        let text = self.raw()?;
        let large = text.parse().map(Number::Large).or_else(|_| text.parse().map(Number::Low));
        large.map_err(|_| Fault::data(format!("invalid type: floating point `{text}`, expected a whole number")))
    }

    /// A value as it stands there.
    pub(super) fn raw(&mut self) -> Result<&'de str, Fault> {
        self.first()?;
        let start = self.at;
        self.by_serde::<IgnoredAny>()?;
        std::str::from_utf8(self.bytes.get(start..self.at).unwrap_or_default()).map_err(|_| Fault::syntax("invalid unicode code point"))
    }

    /// Reads over a value.
    pub(super) fn ignore(&mut self) -> Result<(), Fault> {
        self.first()?;
        self.by_serde::<IgnoredAny>().map(|_| ())
    }

    /// A list or an object begins.
    pub(super) fn open(&mut self, bracket: u8, expected: &dyn Expected) -> Result<(), Fault> {
        if self.first()? != bracket {
            return Err(self.wrong(expected));
        }
        if self.depth >= DEEPEST {
            return Err(Fault::syntax("recursion limit exceeded"));
        }
        (self.at, self.depth) = (self.at + 1, self.depth + 1);
        Ok(())
    }

    /// It ends.
    pub(super) fn close(&mut self, bracket: u8, is_fine: bool) -> Result<(), Fault> {
        self.depth = self.depth.saturating_sub(1);
        if !is_fine {
            self.stopped.get_or_insert(self.at);
            return Ok(());
        }
        match self.peek() {
            Some(byte) if byte == bracket => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Fault::syntax("trailing characters")),
            None => Err(Fault::new(Class::Cut, "EOF while parsing a value")),
        }
    }

    /// Whether something comes before this bracket, and reads the comma before it.
    pub(super) fn goes_on(&mut self, bracket: u8, is_first: &mut bool) -> Result<bool, Fault> {
        let cut = || Fault::new(Class::Cut, if bracket == b']' { "EOF while parsing a list" } else { "EOF while parsing an object" });
        match self.peek().ok_or_else(cut)? {
            byte if byte == bracket => return Ok(false),
            _ if std::mem::take(is_first) => return Ok(true),
            b',' => self.at += 1,
            _ => return Err(Fault::syntax(if bracket == b']' { "expected `,` or `]`" } else { "expected `,` or `}`" })),
        }
        if self.first()? == bracket { Err(Fault::syntax("trailing comma")) } else { Ok(true) }
    }

    /// The key of an entry.
    pub(super) fn key(&mut self) -> Result<Cow<'de, str>, Fault> {
        if self.first()? != b'"' {
            return Err(Fault::syntax("key must be a string"));
        }
        let key = self.string()?;
        if let (1, Some(known), None) = (self.depth, self.known, &self.unknown)
            && !known.contains(&&*key)
        {
            self.unknown = Some(key.clone().into_owned());
        }
        Ok(key)
    }

    pub(super) fn colon(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Fault::syntax("expected `:`")),
            None => Err(Fault::new(Class::Cut, "EOF while parsing an object")),
        }
    }

    /// A struct with these fields is what comes next.
    pub(super) fn expect(&mut self, fields: &'static [&'static str]) {
        if self.depth == 0 {
            self.known = Some(fields);
        }
    }

    /// That something else comes than what the type takes.
    pub(super) fn wrong(&mut self, expected: &dyn Expected) -> Fault {
        let what = match self.peek() {
            Some(b'n') => self.word("null").map(|()| "null".to_owned()),
            Some(b't') => self.word("true").map(|()| "boolean `true`".to_owned()),
            Some(b'f') => self.word("false").map(|()| "boolean `false`".to_owned()),
            Some(b'"') => self.string().map(|text| format!("string {text:?}")),
            Some(b'-' | b'0'..=b'9') => self.number().map(|number| match number {
                Number::Float(number) => format!("floating point `{}`", serde_json::Value::from(number)),
                Number::Unsigned(number) => format!("integer `{number}`"),
                Number::Signed(number) => format!("integer `{number}`"),
                Number::Large(number) => format!("integer `{number}`"),
                Number::Low(number) => format!("integer `{number}`"),
            }),
            Some(b'[') => Ok("sequence".to_owned()),
            Some(b'{') => Ok("map".to_owned()),
            Some(_) => Err(Fault::syntax("expected value")),
            None => Err(Fault::new(Class::Cut, "EOF while parsing a value")),
        };
        self.stopped.get_or_insert(self.at);
        what.map_or_else(|fault| fault, |what| Fault::data(format!("invalid type: {what}, expected {expected}")))
    }
}

/// What `serde_json` says, without the place.
fn fault(error: &serde_json::Error) -> Fault {
    use serde_json::error::Category;
    let class = match error.classify() {
        Category::Data => Class::Data,
        Category::Eof => Class::Cut,
        Category::Syntax | Category::Io => Class::Syntax,
    };
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    Fault::new(class, text.strip_suffix(&place).unwrap_or(&text))
}
