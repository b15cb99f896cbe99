//! Finds out what a type looks like: makes one sample of it after the other, each to see one thing.

use super::{
    TRIES,
    fault::Fault,
    maker::{Kind, Maker, ROOT},
    reader::Reader,
    sampler::Sampler,
    schema::Schema,
};

/// How often something is tried that the type may refuse.
const FEW: usize = 200;

/// What a sample is to show.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Goal {
    /// All that is there.
    First,
    /// A variant that was not taken yet.
    Variant,
    /// Whether a field may be missing.
    Without(usize, &'static str),
    /// Whether any string is taken in a place.
    Plain(usize),
    /// Nothing more: it is what the program goes on with.
    Last,
    Done,
}

/// What was seen of a type so far.
pub(crate) struct Tracer {
    maker: Maker,
    goal: Goal,
    tries: usize,
    /// What is still to be seen, the next one last.
    left: Vec<Goal>,
    failed: Option<String>,
}

impl Tracer {
    pub(crate) fn new() -> Self {
        Tracer { maker: Maker::full(), goal: Goal::First, tries: 0, left: Vec::new(), failed: None }
    }

    /// What the type is to be read from.
    pub(crate) fn reader<'de>(&mut self) -> Reader<'_, 'de> {
        self.tries += 1;
        self.maker.begin();
        Reader::Sample(Sampler { maker: &mut self.maker, depth: 0, node: ROOT })
    }

    /// A sample was made. Whether that was the last one.
    pub(crate) fn made(&mut self) -> bool {
        let has_come_up = self.maker.has_come_up();
        match self.goal {
            // It was not seen.
            Goal::Without(..) | Goal::Plain(_) if !has_come_up => {}
            Goal::Without(node, name) => self.maker.nodes[node].optional.push(name),
            Goal::Plain(node) => self.maker.nodes[node].is_plain = true,
            _ => self.maker.keep(),
        }
        let is_last = self.goal == Goal::Last;
        self.next();
        is_last
    }

    /// A sample was refused. Whether another one is to be made.
    pub(crate) fn refused(&mut self, fault: &Fault) -> bool {
        let text = fault.to_string();
        let goes_on = match self.goal {
            Goal::Without(_, name) if fault.missing() == Some(name) => false,
            Goal::Without(..) | Goal::Plain(_) => self.tries < FEW && (self.maker.is_alias(&text) || self.maker.next()),
            _ => {
                self.tries < TRIES
                    && (self.maker.is_alias(&text) || self.maker.learn(fault.missing(), fault.variants()) || self.maker.next())
            }
        };
        if goes_on {
            return true;
        }
        if matches!(self.goal, Goal::First | Goal::Last) {
            self.failed.get_or_insert(text);
            self.goal = Goal::Done;
            return false;
        }
        self.next();
        true
    }

    fn next(&mut self) {
        self.tries = 0;
        self.goal = match self.goal {
            Goal::First | Goal::Variant if self.maker.wants_more() => Goal::Variant,
            Goal::First | Goal::Variant => {
                self.left = self.questions();
                self.left.pop().unwrap_or(Goal::Last)
            }
            Goal::Without(..) | Goal::Plain(_) => self.left.pop().unwrap_or(Goal::Last),
            Goal::Last | Goal::Done => Goal::Done,
        };
        match self.goal {
            Goal::Without(node, name) => self.maker.try_without(Some((node, name)), None),
            Goal::Plain(node) => self.maker.try_without(None, Some(node)),
            Goal::Last => self.maker.try_without(None, None),
            _ => {}
        }
    }

    /// What is to be seen of the places that there are.
    fn questions(&self) -> Vec<Goal> {
        let mut questions = Vec::new();
        for (place, node) in self.maker.nodes.iter().enumerate() {
            match node.kind {
                _ if self.maker.is_again(place) => {}
                Some(Kind::Struct(names)) => {
                    let fields = names.iter().filter(|name| !node.aliases.iter().any(|(alias, _)| alias == *name));
                    questions.extend(fields.map(|name| Goal::Without(place, name)));
                }
                Some(Kind::Plain("string")) if node.words.is_none() && node.taken_value.is_some_and(|taken| taken > 0) => {
                    questions.push(Goal::Plain(place));
                }
                _ => {}
            }
        }
        questions
    }

    /// Whether serde makes one of nothing, as it does of an option where a field is missing.
    pub(crate) fn is_optional(&self) -> bool {
        let root = self.maker.nodes.get(ROOT);
        root.is_some_and(|root| root.kind == Some(Kind::Optional) && root.name.is_none() && !root.mixed)
    }

    /// What was seen, and why not all of it was.
    pub(crate) fn finish(self) -> (Schema, Option<String>) {
        (Schema::of(&self.maker), self.failed)
    }
}
