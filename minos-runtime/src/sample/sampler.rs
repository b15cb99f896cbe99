//! A sample that is being made: what is chosen where a type asks for something.

use super::{
    fault::Fault,
    json::Number,
    maker::{Kind, Maker, Step},
};
use std::borrow::Cow;

/// What strings are tried, after the empty one and a UUID of their own.
pub(super) const STRINGS: &[&str] = &[
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "1970-01-01T00:00:00",
    "PT1S",
    "1",
    "a",
    "a@example.org",
    "https://example.org/",
    "127.0.0.1",
    "127.0.0.1:1",
    "::1",
    "UTC",
    "EUR",
    "en",
];
const NUMBERS: &[u8] = &[0, 1, 2, 12, 100];
const FLOATS: &[f64] = &[0.0, 1.0, 0.5];
/// From here on the last variant comes before the first one, so that types that contain themselves come to an end.
const DEEP: usize = 4;
/// Deeper than any type that is not without end.
const DEEPEST: usize = 64;
/// Of how many parts a sample is made.
const PARTS: usize = 5_000;

/// A place in a sample.
pub(crate) struct Sampler<'m> {
    pub(super) maker: &'m mut Maker,
    pub(super) depth: usize,
    /// Where in the type.
    pub(super) node: usize,
}

/// What is made for a type that does not say what it wants.
pub(super) enum Drawn<'m> {
    Unit,
    Number(Number),
    Text(Cow<'static, str>),
    /// An object with these fields, the next one last.
    Map(Sampler<'m>, Vec<&'static str>),
}

/// What is made for a map.
pub(super) enum Entries<'m> {
    /// So many entries.
    Some(Sampler<'m>, usize),
    /// An object with these fields, the next one last.
    Named(Sampler<'m>, Vec<&'static str>),
}

impl<'m> Sampler<'m> {
    fn one_of<T: Copy>(&mut self, all: &[T]) -> Result<T, Fault> {
        let chosen = self.maker.choose(all.len());
        all.get(chosen).copied().ok_or_else(|| Fault::data("there is nothing to choose"))
    }

    fn is(&mut self, kind: Kind) {
        self.maker.note(self.node, kind);
    }

    /// Whether what is chosen first should be something small.
    fn is_small(&self) -> bool {
        !self.maker.full || self.maker.is_again(self.node)
    }

    /// One part of it.
    pub(super) fn inside(&mut self, step: Step) -> Result<Sampler<'_>, Fault> {
        if self.depth >= DEEPEST || self.maker.made > PARTS {
            return Err(Fault::data("it contains itself without end"));
        }
        let node = self.maker.child(self.node, step);
        Ok(Sampler { maker: self.maker, depth: self.depth + 1, node })
    }

    fn into_inside(self, step: Step) -> Result<Self, Fault> {
        if self.depth >= DEEPEST || self.maker.made > PARTS {
            return Err(Fault::data("it contains itself without end"));
        }
        let node = self.maker.child(self.node, step);
        Ok(Sampler { depth: self.depth + 1, node, ..self })
    }

    /// The same place.
    pub(super) fn again(&mut self) -> Sampler<'_> {
        Sampler { maker: self.maker, depth: self.depth, node: self.node }
    }

    pub(super) fn any(mut self) -> Result<Drawn<'m>, Fault> {
        self.anything();
        let guessed = self.maker.guessed(self.node);
        if !guessed.is_empty() {
            return Ok(Drawn::Map(self, guessed));
        }
        Ok(match self.maker.choose(4) {
            0 => Drawn::Unit,
            1 => Drawn::Map(self, Vec::new()),
            2 => Drawn::Number(Number::Unsigned(0)),
            _ => Drawn::Text(self.word()?),
        })
    }

    pub(super) fn anything(&mut self) {
        self.is(Kind::Plain("any"));
        self.maker.is_loose(self.node);
    }

    pub(super) fn nothing(&mut self) {
        self.is(Kind::Plain("nothing"));
    }

    /// A variant by its name alone.
    pub(super) fn bare(&mut self) {
        self.is(Kind::Plain(""));
    }

    pub(super) fn bool(mut self) -> Result<bool, Fault> {
        self.is(Kind::Plain("bool"));
        self.one_of(&[false, true])
    }

    pub(super) fn number(mut self, ty: &'static str) -> Result<Number, Fault> {
        self.is(Kind::Plain(ty));
        if ty.starts_with('f') {
            return self.one_of(FLOATS).map(Number::Float);
        }
        let number = self.one_of(NUMBERS)?;
        self.maker.took(self.node, number.into());
        Ok(Number::Unsigned(number.into()))
    }

    pub(super) fn text(mut self, ty: &'static str) -> Result<Cow<'static, str>, Fault> {
        self.is(Kind::Plain(ty));
        match ty {
            "char" => self.one_of(&["a", "A", "1"]).map(Cow::Borrowed),
            "bytes" => Ok(Cow::Borrowed("")),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Cow<'static, str>, Fault> {
        if let Some(words) = self.maker.words(self.node) {
            return self.one_of(words).map(Cow::Borrowed);
        }
        if self.maker.is_plain_here(self.node) {
            return Ok(Cow::Borrowed("a"));
        }
        let chosen = self.maker.choose(STRINGS.len() + 2);
        self.maker.took(self.node, chosen);
        Ok(match chosen {
            0 => Cow::Borrowed(""),
            // Another one each time.
            1 => Cow::Owned(uuid::Uuid::from_u128(0x4000_8000_0000_0000_0000 + self.maker.made as u128).to_string()),
            n => Cow::Borrowed(STRINGS.get(n - 2).ok_or_else(|| Fault::data("there is no such string"))?),
        })
    }

    /// What is in an option, if there is something.
    pub(super) fn option(mut self) -> Result<Option<Self>, Fault> {
        self.is(Kind::Optional);
        // The other one comes second.
        if (self.maker.choose(2) == 0) == self.is_small() { Ok(None) } else { self.into_inside(Step::Some).map(Some) }
    }

    /// It is written as what is in it.
    #[cfg_attr(not(feature = "sensitive"), expect(unused_mut, reason = "only what is sensitive is noted"))]
    pub(super) fn newtype(mut self, name: &'static str, ty: &'static str) -> Result<Self, Fault> {
        #[cfg(feature = "sensitive")]
        if name == crate::sensitive::SENSITIVE {
            self.is(Kind::Sensitive);
            return self.into_inside(Step::Some);
        }
        self.maker.enter(self.node, name, ty);
        if self.depth >= DEEPEST {
            return Err(Fault::data("it contains itself without end"));
        }
        Ok(Sampler { depth: self.depth + 1, ..self })
    }

    /// So many items.
    pub(super) fn list(mut self, of: Option<usize>) -> (Self, usize) {
        if let Some(of) = of {
            self.is(Kind::Tuple(of));
            return (self, of);
        }
        self.is(Kind::List);
        let chosen = self.maker.choose(3);
        let left = if self.is_small() { chosen } else { (chosen + 1) % 3 };
        (self, left)
    }

    pub(super) fn map(mut self) -> Entries<'m> {
        self.is(Kind::Map);
        self.maker.is_loose(self.node);
        let guessed = self.maker.guessed(self.node);
        if !guessed.is_empty() {
            return Entries::Named(self, guessed);
        }
        let chosen = self.maker.choose(2);
        let left = if self.is_small() { chosen } else { 1 - chosen };
        Entries::Some(self, left)
    }

    /// A type with a name begins here.
    pub(super) fn enter(&mut self, name: &'static str, ty: &'static str) {
        self.maker.enter(self.node, name, ty);
    }

    /// The fields, the next one last.
    pub(super) fn fields(mut self, names: &'static [&'static str]) -> (Self, Vec<&'static str>) {
        self.is(Kind::Struct(names));
        let names = self.maker.offered(self.node, names);
        (self, names)
    }

    /// The name of a field is given.
    pub(super) fn offer(&mut self, name: &'static str) {
        self.maker.offer(self.node, name);
    }

    /// The field is read.
    pub(super) fn leave(&mut self) {
        self.maker.path.pop();
    }

    /// The place in a variant, and its name.
    pub(super) fn variant(mut self, variants: &'static [&'static str]) -> Result<(Self, &'static str), Fault> {
        self.is(Kind::Enum(variants));
        let (chosen, last) = (self.maker.choose(variants.len()), variants.len().saturating_sub(1));
        let is_deep = if self.maker.full { self.is_small() } else { self.depth >= DEEP };
        let place = if is_deep { last.checked_sub(chosen) } else { self.maker.place_of(self.node, chosen, variants.len()) };
        let name = place.and_then(|place| variants.get(place)).ok_or_else(|| Fault::data("it has no variants"))?;
        self.maker.takes(self.node, name);
        Ok((self.into_inside(Step::Named(name))?, name))
    }
}
