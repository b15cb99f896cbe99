//! Places whose types do not say what they want before they have it, as serde reads enums with tags, what is flattened, and enums without tags: it keeps the
//! content, and makes something of it later. What they want is learned from what they say of what they are given.
//!
//! A field is missed only when all that was given was taken, so what was taken before stays as it is, and one thing is learned after the other.

use super::{
    fault::{Given, Said},
    maker::{Kind, Maker, Step},
};
use std::borrow::Cow;

/// In the order in which they are given.
pub(super) const KINDS: &[Given] = &[Given::Null, Given::Map, Given::Number, Given::Bool, Given::List, Given::Text];
/// So deep may such places stand within each other. Nothing else tells where a type begins anew that contains itself.
const DEEPEST: usize = 5;

/// How serde begins to call an enum with a tag beside its fields.
pub(super) const TAGGED: &str = "internally tagged enum ";

/// Numbers, by the names that serde has for them.
const NUMBERS: &[(&str, &str)] = &[
    ("i8", "i8"),
    ("i16", "i16"),
    ("i32", "i32"),
    ("i64", "i64"),
    ("isize", "i64"),
    ("i128", "i128"),
    ("u8", "u8"),
    ("u16", "u16"),
    ("u32", "u32"),
    ("u64", "u64"),
    ("usize", "u64"),
    ("u128", "u128"),
    ("f32", "f32"),
    ("f64", "f64"),
];

/// What is known of such a place.
#[derive(Debug, Default)]
pub(super) struct Loose {
    /// Which kind is given first.
    first: usize,
    /// What was taken, and is given again.
    pub(super) settled: Option<Given>,
    /// What it has said that it wants.
    pub(super) wants: Vec<String>,
    /// What came of each kind.
    pub(super) outcomes: Vec<(Given, Outcome)>,
    /// The fields that it wants: of which variant, if there is a tag, and their names.
    pub(super) fields: Vec<(&'static str, &'static str)>,
    /// Fields that it was offered and does not know.
    denied: Vec<(&'static str, &'static str)>,
    /// Whether it is of an enum without tags.
    pub(super) is_untagged: bool,
    /// The fields of which an object needs one, as such an enum says.
    pub(super) one_of: Vec<&'static str>,
    /// How long it is as a list, if each item is of a type of its own.
    pub(super) items: Option<usize>,
}

/// What came of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// It never is.
    Refused,
    /// This one was refused, and another one may be taken.
    Open,
}

/// What was given in such a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    pub(super) node: usize,
    pub(super) given: Given,
    /// How much had been said before.
    pub(super) heard: usize,
}

/// The primitive of serde's that calls itself so.
pub(super) fn number(wanted: &str) -> Option<&'static str> {
    NUMBERS.iter().find(|(name, _)| *name == wanted).map(|(_, kind)| *kind)
}

/// Whether it is read as an object. That its fields may come as a list is what serde has for other formats.
pub(super) fn is_object(wanted: &str) -> bool {
    ["struct ", TAGGED, "adjacently tagged enum "].iter().any(|start| wanted.starts_with(start))
}

/// The kind that is meant.
fn meant(wanted: &str) -> Option<Given> {
    match wanted {
        "a boolean" => Some(Given::Bool),
        "a string" | "a character" | "variant identifier" | "string or map" => Some(Given::Text),
        "a sequence" => Some(Given::List),
        "a map" => Some(Given::Map),
        _ if number(wanted).is_some() => Some(Given::Number),
        _ if is_object(wanted) => Some(Given::Map),
        _ if items(wanted).is_some() => Some(Given::List),
        _ => None,
    }
}

/// How many items a list has to have.
fn items(wanted: &str) -> Option<usize> {
    let of = wanted.strip_prefix("a tuple of size ").or_else(|| wanted.strip_prefix("an array of length "));
    of.and_then(|of| of.parse().ok())
}

impl Maker {
    /// What is given in such a place.
    pub(super) fn draw(&mut self, node: usize, kinds: &[Given]) -> Option<Given> {
        if self.and_above(node).filter(|place| self.nodes[*place].kind == Some(Kind::Plain("any"))).count() > DEEPEST {
            return None;
        }
        let forced = self.forced(node);
        let loose = &self.nodes[node].loose;
        let is_object = !loose.fields.is_empty() || self.nodes[node].tag.is_some();
        let given = match (forced, loose.settled) {
            (Some(given), _) => given,
            (None, _) if is_object => Given::Map,
            (None, Some(given)) => given,
            (None, None) => {
                let first = loose.first;
                *kinds.get((first + self.choose(kinds.len())) % kinds.len())?
            }
        };
        self.drew(node, given);
        Some(given)
    }

    /// The fields that are given here, the next one last, and the variant that they are of.
    pub(super) fn fields_here(&mut self, node: usize) -> Vec<&'static str> {
        let tag = self.nodes[node].tag;
        let word = tag.map_or("", |tag| {
            let place = self.child(node, Step::Named(tag));
            self.choose_word(place).unwrap_or("")
        });
        let omitted: Vec<_> = self.omitted_at(node).into_iter().collect();
        let fields = self.nodes[node].loose.fields.iter().filter(|(of, _)| *of == word || of.is_empty()).map(|(_, name)| *name);
        let mut names: Vec<_> =
            tag.into_iter().chain(fields.filter(|name| Some(*name) != tag)).filter(|name| !omitted.contains(name)).collect();
        names.reverse();
        names
    }

    /// The place of a field: what stands beside a tag depends on that.
    pub(super) fn step_of(&self, node: usize, name: &'static str) -> Step {
        let stands_by_any = self.nodes[node].loose.fields.contains(&("", name));
        match (self.nodes[node].tag, self.word_at(node)) {
            (Some(tag), Some(word)) if tag != name && !stands_by_any => Step::Of(word, name),
            _ => Step::Named(name),
        }
    }

    /// The word that the tag has in this sample.
    pub(super) fn word_at(&self, node: usize) -> Option<&'static str> {
        let place = self.tag_of(node)?;
        self.words_here.iter().rev().find(|(of, _)| *of == place).map(|(_, word)| *word)
    }

    /// The place of the tag.
    pub(super) fn tag_of(&self, node: usize) -> Option<usize> {
        let tag = self.nodes[node].tag?;
        self.nodes[node].parts.iter().find(|(step, _)| *step == Step::Named(tag)).map(|(_, child)| *child)
    }

    /// The words that the tag of a type may have.
    pub(super) fn words_of(&self, node: usize) -> Vec<&'static str> {
        let Some(tag) = self.tag_of(node).and_then(|tag| self.nodes.get(tag)) else { return Vec::new() };
        match (tag.words, tag.kind) {
            (Some(words), _) | (None, Some(Kind::Enum(words))) => words.to_vec(),
            _ => Vec::new(),
        }
    }

    /// What is here tells what stands beside it.
    pub(super) fn is_tag(&mut self, node: usize) {
        match self.nodes[node].parent {
            Some((parent, Step::Named(name))) => {
                let parent = &mut self.nodes[parent];
                parent.tag.get_or_insert(name);
                parent.loose.fields.retain(|(_, field)| *field != name);
            }
            // A name that the type looks for among its own, and what it does not find there is for others.
            Some((parent, Step::Key)) => self.nodes[parent].is_flat = true,
            _ => {}
        }
    }

    /// Learns from a refusal what a type wants that did not say so; whether there was something to learn.
    pub(super) fn learn(&mut self, said: &Said, heard: &[Said]) -> bool {
        let has_learned = match said {
            Said::NoVariant => {
                // Each variant has said something; the first one that wants an object is made.
                let misses = heard.iter().filter_map(|said| if let Said::Missing(name) = said { Some(*name) } else { None });
                let wanted: Vec<_> = misses.collect();
                wanted.into_iter().any(|name| self.misses(name)) || heard.iter().any(|said| self.learn_kind(said, true))
            }
            Said::Missing(name) => self.misses(name),
            Said::Unknown(name) => self.denies(name),
            Said::Variants(words) => self.learn_words(words),
            Said::Mismatch(..) | Said::Length(_) => self.learn_kind(said, false),
            Said::Other => false,
        };
        if has_learned {
            self.start_over();
        }
        has_learned
    }

    /// A field is missing. All that was given was taken, so it stays; whose field it is, is tried out, from the inside to the outside.
    fn misses(&mut self, name: &'static str) -> bool {
        self.settle();
        let objects: Vec<usize> = self.draws.iter().rev().filter(|draw| draw.given == Given::Map).map(|draw| draw.node).collect();
        for node in objects {
            let word = self.word_at(node).unwrap_or("");
            let is_known = |known: &[(&str, &str)]| known.iter().any(|(of, field)| *field == name && (*of == word || of.is_empty()));
            if self.nodes[node].tag != Some(name) && !is_known(&self.nodes[node].loose.fields) && !is_known(&self.nodes[node].loose.denied)
            {
                self.nodes[node].loose.fields.push((word, name));
                return true;
            }
        }
        false
    }

    /// It was another one's field.
    fn denies(&mut self, name: &str) -> bool {
        let objects: Vec<usize> = self.draws.iter().rev().filter(|draw| draw.given == Given::Map).map(|draw| draw.node).collect();
        for node in objects {
            let loose = &mut self.nodes[node].loose;
            if loose.fields.last().is_some_and(|(_, field)| *field == name) {
                loose.denied.extend(loose.fields.pop());
                return true;
            }
        }
        false
    }

    fn learn_words(&mut self, words: &'static [&'static str]) -> bool {
        let texts = self.draws.iter().rev().filter(|draw| draw.given == Given::Text).map(|draw| draw.node);
        let Some(node) = self.last.into_iter().chain(texts).find(|node| self.nodes[*node].words.is_none()) else { return false };
        self.nodes[node].words = Some(words);
        self.find_again(node, words);
        true
    }

    /// Whether the enum of this tag is one that it stands in: it has its name and its variants.
    fn find_again(&mut self, tag: usize, words: &'static [&'static str]) {
        let Some((node, _)) = self.nodes[tag].parent.filter(|(node, _)| self.tag_of(*node) == Some(tag)) else { return };
        let Some(name) = self.nodes[node].name.clone() else { return };
        let is_it = |place: usize| self.nodes[place].name.as_ref() == Some(&name) && self.words_of(place) == words;
        if self.and_above(node).skip(1).any(is_it) {
            self.nodes[node].again = Some(name);
        }
    }

    /// Something of the wrong kind was given. Where, tells that kind.
    fn learn_kind(&mut self, said: &Said, is_inside: bool) -> bool {
        let (given, wanted) = match said {
            Said::Mismatch(given, wanted) => (*given, wanted),
            Said::Length(wanted) => (Given::List, wanted),
            _ => return false,
        };
        let is_it = |draw: &&Draw| draw.given == given && self.nodes[draw.node].loose.settled.is_none();
        let Some(draw) = self.draws.iter().rev().find(is_it).copied() else { return false };
        if is_inside && self.draws.first().is_some_and(|first| first.node == draw.node) {
            return false;
        }
        let above = self.nodes[draw.node].parent.map(|(parent, _)| &self.nodes[parent].loose.wants);
        let is_adjacent = above.is_some_and(|wants| wants.iter().any(|wanted| wanted.starts_with("adjacently tagged enum ")));
        if wanted == "variant identifier" || (wanted == "string or map" && is_adjacent) {
            self.is_tag(draw.node);
        }
        if let Some(name) = wanted.strip_prefix(TAGGED) {
            self.nodes[draw.node].name.get_or_insert_with(|| Cow::Owned(name.to_owned()));
        }
        let loose = &mut self.nodes[draw.node].loose;
        let is_new = !loose.wants.contains(wanted);
        if is_new {
            loose.wants.push(wanted.clone());
        }
        if let Some(items) = items(wanted).filter(|_| loose.items.is_none()) {
            loose.items = Some(items);
        } else if !is_new {
            return false;
        }
        if let Some(place) = meant(wanted).and_then(|meant| KINDS.iter().position(|kind| *kind == meant)) {
            loose.first = place;
        }
        true
    }

    /// What was given in places that do not say what they want is given again.
    pub(super) fn settle(&mut self) {
        for draw in std::mem::take(&mut self.draws) {
            let loose = &mut self.nodes[draw.node].loose;
            loose.settled.get_or_insert(draw.given);
            self.draws.push(draw);
        }
        self.keep_values();
    }

    /// What came of giving this kind here, by what was said of it since.
    pub(super) fn came_of(&mut self, node: usize, given: Given, refused: Option<&[Said]>) {
        let outcome = match refused {
            None => Outcome::Taken,
            Some(heard) => {
                let since = self.draws.iter().find(|draw| draw.node == node).map_or(0, |draw| draw.heard);
                self.judge(node, given, heard.get(since..).unwrap_or_default())
            }
        };
        self.nodes[node].loose.outcomes.push((given, outcome));
    }

    fn judge(&mut self, node: usize, given: Given, said: &[Said]) -> Outcome {
        let loose = &mut self.nodes[node].loose;
        loose.is_untagged |= said.contains(&Said::NoVariant);
        if given == Given::List && !loose.is_untagged && loose.wants.iter().any(|wanted| is_object(wanted)) {
            return Outcome::Refused;
        }
        let mut outcome = Outcome::Refused;
        for one in said {
            match one {
                Said::Mismatch(what, wanted) if *what == given => {
                    if !loose.wants.contains(wanted) {
                        loose.wants.push(wanted.clone());
                    }
                }
                Said::Length(wanted) if is_object(wanted) => {}
                // It has to be longer.
                Said::Length(_) => outcome = Outcome::Taken,
                Said::NoVariant => {}
                Said::Missing(name) if given == Given::Map => {
                    loose.one_of.push(name);
                    outcome = Outcome::Taken;
                }
                _ => return Outcome::Open,
            }
        }
        if said.is_empty() { Outcome::Open } else { outcome }
    }
}
