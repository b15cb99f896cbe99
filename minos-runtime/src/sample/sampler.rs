//! A sample that is being made: what is chosen where a type asks for something.

use super::{
    fault::{Fault, Given},
    json::Number,
    loose::{KINDS, TAGGED},
    maker::{Kind, Maker, OTHER, Step},
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
    Bool,
    Number(Number),
    Text(Cow<'static, str>),
    /// So many items; and whether each is of a type of its own.
    List(Sampler<'m>, usize, Option<usize>),
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

    /// What is given to a type that does not say what it wants; how it calls itself may be a name.
    pub(super) fn any(mut self, calls_itself: &str, ty: &'static str) -> Result<Drawn<'m>, Fault> {
        self.is(Kind::Plain("any"));
        if let Some(name) = calls_itself.strip_prefix(TAGGED) {
            self.maker.enter(self.node, name, ty);
        }
        let Some(given) = self.maker.draw(self.node, KINDS) else { return Err(Fault::data("it contains itself without end")) };
        Ok(match given {
            Given::Map => {
                let is_asked = self.maker.forced(self.node).is_some();
                let fields = if is_asked { Vec::new() } else { self.maker.fields_here(self.node) };
                Drawn::Map(self, fields)
            }
            Given::Number => {
                let number = u64::from(self.maker.nodes[self.node].loose.settled.is_none() && self.maker.choose(2) == 1);
                self.maker.took(self.node, usize::from(number > 0));
                let kept = self.maker.nodes[self.node].taken_value.map_or(number, |taken| taken as u64);
                Drawn::Number(Number::Unsigned(kept))
            }
            Given::Bool => Drawn::Bool,
            // Whatever is in it, it is not about that.
            Given::List if self.maker.forced(self.node).is_some() => Drawn::List(self, 0, None),
            Given::List => match self.maker.nodes[self.node].loose.items {
                Some(of) => Drawn::List(self, of, Some(of)),
                None => {
                    let is_empty = self.maker.choose(2) == 1;
                    Drawn::List(self, usize::from(!is_empty), None)
                }
            },
            Given::Text => Drawn::Text(self.word()?),
            Given::Null | Given::None => Drawn::Unit,
        })
    }

    /// It is read by nobody.
    pub(super) fn ignored(&mut self) {
        self.is(Kind::Plain("any"));
        self.maker.nodes[self.node].is_ignored = true;
    }

    /// The word that tells what stands beside it.
    pub(super) fn tag(mut self) -> Result<Cow<'static, str>, Fault> {
        self.is(Kind::Plain("string"));
        self.maker.is_tag(self.node);
        self.maker.last = Some(self.node);
        self.word()
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
        if let Some(word) = self.maker.choose_word(self.node) {
            return Ok(Cow::Borrowed(word));
        }
        if let Some(text) = self.maker.plain_here(self.node) {
            return Ok(Cow::Borrowed(text));
        }
        let (taken, is_settled) = (self.maker.nodes[self.node].taken_value, self.maker.nodes[self.node].loose.settled.is_some());
        let chosen = match taken.filter(|_| is_settled) {
            Some(taken) => taken,
            // What was taken before comes first.
            None => (taken.unwrap_or(0) + self.maker.choose(STRINGS.len() + 2)) % (STRINGS.len() + 2),
        };
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
        self.maker.drew(self.node, Given::Map);
        let fields = self.maker.fields_here(self.node);
        if !fields.is_empty() {
            return Entries::Named(self, fields);
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

    /// The place of a field.
    pub(super) fn step_of(&self, name: &'static str) -> Step {
        self.maker.step_of(self.node, name)
    }

    /// What is here tells what stands beside it.
    pub(super) fn is_tag(&mut self) {
        self.maker.is_tag(self.node);
    }

    /// The field is read.
    pub(super) fn leave(&mut self) {
        self.maker.path.pop();
    }

    /// The place in a variant, and its name.
    pub(super) fn variant(mut self, variants: &'static [&'static str]) -> Result<(Self, &'static str), Fault> {
        self.is(Kind::Enum(variants));
        if self.maker.is_other_here(self.node) {
            return Ok((self.into_inside(Step::Named(OTHER))?, OTHER));
        }
        let (chosen, last) = (self.maker.choose(variants.len()), variants.len().saturating_sub(1));
        let is_deep = if self.maker.full { self.is_small() } else { self.depth >= DEEP };
        let place = if is_deep { last.checked_sub(chosen) } else { self.maker.place_of(self.node, chosen, variants.len()) };
        let name = place.and_then(|place| variants.get(place)).ok_or_else(|| Fault::data("it has no variants"))?;
        self.maker.takes(self.node, name);
        self.maker.words_here.push((self.node, name));
        Ok((self.into_inside(Step::Named(name))?, name))
    }
}
