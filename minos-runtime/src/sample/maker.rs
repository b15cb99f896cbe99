//! What was chosen and what was seen while values of a type are made.

use super::{
    fault::{Given, heard_so_far},
    loose::{Draw, Loose},
};
use std::{borrow::Cow, collections::HashMap};

/// Where a type begins.
pub(super) const ROOT: usize = 0;

/// From a place in a type to one in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of a struct, or a variant of an enum.
    Named(&'static str),
    /// A field beside a tag, where that has this word.
    Of(&'static str, &'static str),
    Nth(usize),
    Some,
    Item,
    Key,
}

/// What a type asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Plain(&'static str),
    Optional,
    #[cfg(feature = "sensitive")]
    Sensitive,
    List,
    Tuple(usize),
    Map,
    Struct(&'static [&'static str]),
    Enum(&'static [&'static str]),
}

/// A place in a type.
#[derive(Default)]
pub(super) struct Node {
    pub(super) parent: Option<(usize, Step)>,
    pub(super) kind: Option<Kind>,
    pub(super) parts: Vec<(Step, usize)>,
    /// The types that are here, by what reads them: one, and those around it that are written as what is in them.
    pub(super) types: Vec<&'static str>,
    /// The name of the type, if it is one that it stands in.
    pub(super) again: Option<Cow<'static, str>>,
    /// The variants, or words, that were given.
    taken: Vec<&'static str>,
    /// Those with which a sample was made.
    pub(super) accepted: Vec<&'static str>,
    /// Whether it was in a sample that was made: what was not may not be all that it could be.
    pub(super) is_seen: bool,
    /// Other names of fields, and those that they mean.
    pub(super) aliases: Vec<(&'static str, String)>,
    /// Fields whose other names come later.
    first: Vec<&'static str>,
    /// Its name, if its type has one.
    pub(super) name: Option<Cow<'static, str>>,
    /// Whether it is of another kind at times.
    pub(super) mixed: bool,
    /// Which string or number was taken.
    pub(super) taken_value: Option<usize>,
    /// What is known of a type that does not say what it wants.
    pub(super) loose: Loose,
    /// The field that tells what stands beside it.
    pub(super) tag: Option<&'static str>,
    /// Whether it is the map from which a type takes its own fields, and others theirs.
    pub(super) is_flat: bool,
    /// Whether it is read by nobody, so that it may be anything.
    pub(super) is_ignored: bool,
    /// Whether other names than those of the variants are taken.
    pub(super) takes_others: bool,
    /// The words that are taken here, if there are some only.
    pub(super) words: Option<&'static [&'static str]>,
    /// Fields that need not be there, each with the word of the tag that it stands beside.
    pub(super) optional: Vec<(&'static str, &'static str)>,
    /// Whether any string is taken.
    pub(super) is_plain: bool,
    /// Whether a long one is that has no form.
    pub(super) is_long: bool,
}

/// What a sample is to show of a place.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) enum Ask {
    #[default]
    Nothing,
    /// Whether a field may be missing: beside which word of a tag, if there is one, and its name.
    Without(usize, &'static str, &'static str),
    /// Whether any string is taken: `a` is given.
    Plain(usize),
    /// Whether a long one without any form is taken.
    Long(usize),
    /// What comes of this kind.
    Kind(usize, Given),
    /// Whether other variants are taken than those that have names.
    Other(usize),
}

/// As long as a UUID, and of no form.
const LONG: &str = "zzzzzzzz zzzz zzzz zzzz zzzzzzzzzzzz";
/// The name of a variant that no type has.
pub(super) const OTHER: &str = "~";

/// What was chosen so far. Whoever refuses a value does so before the next one is made: so it is the last choice that is changed first.
#[derive(Default)]
pub(super) struct Maker {
    /// Which of how many, in the order in which they are made.
    choices: Vec<(usize, usize)>,
    pub(super) made: usize,
    pub(super) path: Vec<String>,
    /// Whether values show as much of the type as there is, and not as little.
    pub(super) full: bool,
    pub(super) nodes: Vec<Node>,
    /// Which variants are to be taken, by place.
    wanted: HashMap<usize, &'static str>,
    /// The variants that were wanted once.
    tried: Vec<(usize, &'static str)>,
    /// The field whose name was given last.
    offered: Option<(usize, &'static str)>,
    /// What is to be seen by this sample.
    ask: Ask,
    /// Whether that has come up in it: not in an option that is none.
    came_up: bool,
    /// The place of the tag that was read last.
    pub(super) last: Option<usize>,
    /// The places that were asked for.
    visited: Vec<usize>,
    /// What was given in places that do not say what they want.
    pub(super) draws: Vec<Draw>,
    /// The words that were given, by place.
    pub(super) words_here: Vec<(usize, &'static str)>,
    /// Which strings and numbers were taken for this sample.
    values: Vec<(usize, usize)>,
}

impl Maker {
    pub(super) fn full() -> Self {
        Maker { full: true, ..Maker::default() }
    }

    pub(super) fn begin(&mut self) {
        (self.made, self.path, self.offered, self.last, self.came_up) = (0, Vec::new(), None, None, false);
        self.values.clear();
        self.visited.clear();
        self.draws.clear();
        self.words_here.clear();
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
    }

    /// One of so many.
    pub(super) fn choose(&mut self, of: usize) -> usize {
        let chosen = self.choices.get(self.made).map_or(0, |(chosen, _)| *chosen);
        if self.made == self.choices.len() {
            self.choices.push((0, of));
        }
        self.made += 1;
        chosen
    }

    /// The next way to choose; false if there is none.
    pub(super) fn next(&mut self) -> bool {
        self.choices.truncate(self.made);
        while let Some((chosen, of)) = self.choices.pop() {
            if chosen + 1 < of {
                self.choices.push((chosen + 1, of));
                return true;
            }
        }
        false
    }

    pub(super) fn child(&mut self, node: usize, step: Step) -> usize {
        if let Some((_, child)) = self.nodes[node].parts.iter().find(|(known, _)| *known == step) {
            return *child;
        }
        let child = self.nodes.len();
        self.nodes.push(Node { parent: Some((node, step)), ..Node::default() });
        self.nodes[node].parts.push((step, child));
        child
    }

    pub(super) fn note(&mut self, node: usize, kind: Kind) {
        self.visited.push(node);
        let node = &mut self.nodes[node];
        node.mixed |= *node.kind.get_or_insert(kind) != kind;
    }

    /// What is chosen is chosen anew.
    pub(super) fn start_over(&mut self) {
        self.choices.clear();
    }

    /// A kind is given in a place that does not say what it wants.
    pub(super) fn drew(&mut self, node: usize, given: Given) {
        self.draws.push(Draw { node, given, heard: heard_so_far() });
    }

    /// The kind that is to be given here.
    pub(super) fn forced(&mut self, node: usize) -> Option<Given> {
        let Ask::Kind(place, given) = self.ask else { return None };
        self.came_up |= place == node;
        (place == node).then_some(given)
    }

    /// The field that is left out here.
    pub(super) fn omitted_at(&mut self, node: usize) -> Option<&'static str> {
        let Ask::Without(place, word, name) = self.ask else { return None };
        let is_here = place == node && (word.is_empty() || self.word_at(node) == Some(word));
        self.came_up |= is_here;
        is_here.then_some(name)
    }

    /// Whether a variant is to be given here that there is not.
    pub(super) fn is_other_here(&mut self, node: usize) -> bool {
        let is_here = self.ask == Ask::Other(node);
        self.came_up |= is_here;
        is_here
    }

    /// A string or a number is given here.
    pub(super) fn took(&mut self, node: usize, value: usize) {
        self.values.push((node, value));
    }

    /// One of the words that are taken here, if that is known: the one that is wanted comes first.
    pub(super) fn choose_word(&mut self, node: usize) -> Option<&'static str> {
        if let Some((_, word)) = self.words_here.iter().rev().find(|(of, _)| *of == node) {
            return Some(word);
        }
        let words = self.nodes[node].words?;
        // In a type that contains itself the last one comes first, as with all enums.
        let first = if self.is_again(node) { words.len().saturating_sub(1) } else { 0 };
        let wanted = self.wanted.get(&node).and_then(|wanted| words.iter().position(|word| word == wanted)).unwrap_or(first);
        let word = *words.get((wanted + self.choose(words.len())).checked_rem(words.len())?)?;
        self.words_here.push((node, word));
        Some(word)
    }

    /// The string that is to be given here, to see if any is taken.
    pub(super) fn plain_here(&mut self, node: usize) -> Option<&'static str> {
        let text = match self.ask {
            Ask::Plain(place) if place == node => "a",
            Ask::Long(place) if place == node => LONG,
            _ => return None,
        };
        self.came_up = true;
        Some(text)
    }

    /// Whether what is left out, or given in place of something, has come up in this sample: not in an option that is none.
    pub(super) fn has_come_up(&self) -> bool {
        self.came_up
    }

    /// The string or number that was taken in a place is given again.
    pub(super) fn keep_values(&mut self) {
        for (node, value) in std::mem::take(&mut self.values) {
            self.nodes[node].taken_value.get_or_insert(value);
        }
    }

    /// A value was made.
    pub(super) fn keep(&mut self) {
        self.settle();
        for (node, word) in std::mem::take(&mut self.words_here) {
            self.takes(node, word);
            if !self.nodes[node].accepted.contains(&word) {
                self.nodes[node].accepted.push(word);
            }
        }
        for node in std::mem::take(&mut self.visited) {
            self.nodes[node].is_seen = true;
        }
    }

    /// Begins anew, to see this.
    pub(super) fn try_to_see(&mut self, ask: Ask) {
        self.ask = ask;
        self.choices.clear();
        self.wanted.clear();
        match ask {
            Ask::Nothing => {}
            Ask::Without(place, word, _) => {
                if let Some(tag) = self.tag_of(place).filter(|_| !word.is_empty()) {
                    self.wanted.insert(tag, word);
                }
                self.aim(place);
            }
            Ask::Plain(place) | Ask::Long(place) | Ask::Kind(place, _) | Ask::Other(place) => self.aim(place),
        }
    }

    /// A type with a name begins here.
    pub(super) fn enter(&mut self, node: usize, name: &str, ty: &'static str) {
        self.nodes[node].name.get_or_insert_with(|| Cow::Owned(name.to_owned()));
        let mut above = self.nodes[node].parent;
        while let Some((parent, _)) = above {
            if self.nodes[parent].types.contains(&ty) {
                self.nodes[node].again.get_or_insert_with(|| Cow::Owned(name.to_owned()));
                return;
            }
            above = self.nodes[parent].parent;
        }
        if !self.nodes[node].types.contains(&ty) {
            self.nodes[node].types.push(ty);
        }
    }

    /// Whether the type that is here is one that it stands in, or stands in such a one, so that nothing new is to be seen.
    pub(super) fn is_again(&self, node: usize) -> bool {
        self.and_above(node).any(|place| self.nodes[place].again.is_some())
    }

    /// A place, and those that it stands in, from the inside to the outside.
    pub(super) fn and_above(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |place| self.nodes[*place].parent.map(|(parent, _)| parent))
    }

    /// The place of a variant: the one that is wanted comes first.
    pub(super) fn place_of(&self, node: usize, chosen: usize, of: usize) -> Option<usize> {
        let Some(Kind::Enum(names)) = self.nodes[node].kind else { return None };
        let wanted = self.wanted.get(&node).and_then(|wanted| names.iter().position(|name| name == wanted)).unwrap_or(0);
        (wanted + chosen).checked_rem(of)
    }

    pub(super) fn takes(&mut self, node: usize, variant: &'static str) {
        if !self.nodes[node].taken.contains(&variant) {
            self.nodes[node].taken.push(variant);
        }
    }

    /// Begins anew for a variant that was not taken yet; false if there is none.
    pub(super) fn wants_more(&mut self) -> bool {
        let missing = self.nodes.iter().enumerate().find_map(|(place, node)| {
            let names = match node.kind.filter(|_| !self.is_again(place))? {
                Kind::Enum(names) => names,
                _ => node.words?,
            };
            names.iter().find(|name| !node.taken.contains(name) && !self.tried.contains(&(place, name))).map(|name| (place, *name))
        });
        let Some((place, name)) = missing else { return false };
        self.tried.push((place, name));
        self.choices.clear();
        self.wanted = HashMap::from([(place, name)]);
        self.aim(place);
        true
    }

    /// What stands in a variant needs that one.
    fn aim(&mut self, place: usize) {
        let mut above = self.nodes[place].parent;
        while let Some((parent, step)) = above {
            match (self.nodes[parent].kind, step) {
                (Some(Kind::Enum(_)), Step::Named(variant)) => {
                    self.wanted.insert(parent, variant);
                }
                (_, Step::Of(word, _)) => {
                    if let Some(tag) = self.tag_of(parent) {
                        self.wanted.insert(tag, word);
                    }
                }
                _ => {}
            }
            above = self.nodes[parent].parent;
        }
    }

    /// The names that are given for the fields of a struct, the first one last.
    pub(super) fn offered(&mut self, node: usize, names: &'static [&'static str]) -> Vec<&'static str> {
        let omitted = match self.ask {
            // The word is not known before it is given, and is the one that is wanted.
            Ask::Without(place, _, name) if place == node => Some(name),
            _ => None,
        };
        self.came_up |= omitted.is_some();
        let node = &self.nodes[node];
        let others = names.iter().filter(|name| !node.first.contains(name) && !node.aliases.iter().any(|(alias, _)| alias == *name));
        let mut names: Vec<_> = node.first.iter().chain(others).copied().filter(|name| omitted != Some(*name)).collect();
        names.reverse();
        names
    }

    pub(super) fn offer(&mut self, node: usize, name: &'static str) {
        self.path.push(name.to_owned());
        self.offered = Some((node, name));
    }

    /// Whether a value was only refused because a field was given by two of its names. serde names aliases among the fields, and says which field it is.
    pub(super) fn is_alias(&mut self, refusal: &str) -> bool {
        let (Some((node, name)), Some(field)) = (self.offered, refusal.strip_prefix("duplicate field `")) else { return false };
        let Some(field) = field.strip_suffix('`') else { return false };
        let node = &mut self.nodes[node];
        if field != name {
            node.aliases.push((name, field.to_owned()));
        } else if node.first.contains(&name) {
            return false;
        } else {
            node.first.push(name);
        }
        true
    }
}
